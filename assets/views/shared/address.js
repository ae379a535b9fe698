// The full address of a path of the server: this module lies three folders below the app's root, which may itself lie
// below the root of the host.
export const addressOf = (path) => new URL(`../../..${path}`, import.meta.url);
