// The part of the cards of methods and tasks that drawings read: a page hands it to its view.

const UNKNOWN = { colour: "#7f7f7f", second: "#009e73", constrained: true }; // of a method without a card here
let cards = { methods: {}, metrics: {} };

export function readCards(given) {
  cards = given;
}

const card = (method) => cards.methods[method] ?? UNKNOWN;

// The colour of a method, the same in every figure.
export const colourOf = (method) => card(method).colour;

// The colours of two runs: those of their methods, and another one for the second run of the same method.
export const coloursOf = (first, second) => [card(first).colour, first === second ? card(second).second : card(second).colour];

// Whether a method removes weights.
export const isConstrained = (method) => card(method).constrained;

// Whether a score is an error, of which less is better.
export const isError = (score) => Object.values(cards.metrics).some(({ name, lower }) => name === score && lower);

// The first metric of a run's task: its name, whether less of it is better, and whether it is a share of 1.
export const metricOf = (config) => cards.metrics[config?.task] ?? { name: "", lower: false, percent: false };
