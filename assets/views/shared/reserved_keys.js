// Keys that the focused element keeps for itself.

// Text fields, sliders, lists, tables and dialogs keep every key.
export const TAKES_KEYS = "input, textarea, select, dialog, [contenteditable='true'], [role='slider'], [role='combobox'], [role='listbox'], [role='menu'], [role='grid'], [role='dialog'], [data-testid='stDataFrame']";
const TAKES_ARROWS = `${TAKES_KEYS}, .sc-port, .sc-graph-box, [role='radio'], [role='tab'], [role='toolbar']`;
export const TAKES_SPACE = `${TAKES_KEYS}, a, button, summary, [role='button'], [role='radio'], [role='tab']`;

export function taken({ target }, what) {
  return Boolean(target.closest?.(what) || document.querySelector("dialog[open]"));
}

export function modified({ ctrlKey, metaKey, altKey, shiftKey }) {
  return ctrlKey || metaKey || altKey || shiftKey;
}

// -1 or 1 for an arrow key that no element keeps, which turns the replay a frame back or forward; else 0.
export function turnOf(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
  return by && !modified(event) && !taken(event, TAKES_ARROWS) ? by : 0;
}
