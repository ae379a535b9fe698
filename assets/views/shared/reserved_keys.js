// Whose a key is: what has the focus may take it itself.

// A text, a slider, a list, a table, a dialog take every key.
export const TAKES_KEYS = "input, textarea, select, dialog, [contenteditable='true'], [role='slider'], [role='combobox'], [role='listbox'], [role='menu'], [role='grid'], [role='dialog'], [data-testid='stDataFrame']";
const TAKES_ARROWS = `${TAKES_KEYS}, .sc-port, .sc-graph-box, [role='radio'], [role='tab'], [role='toolbar']`;
export const TAKES_SPACE = `${TAKES_KEYS}, a, button, summary, [role='button'], [role='radio'], [role='tab']`;

export function taken({ target }, what) {
  return Boolean(target.closest?.(what) || document.querySelector("dialog[open]"));
}

export function modified({ ctrlKey, metaKey, altKey, shiftKey }) {
  return ctrlKey || metaKey || altKey || shiftKey;
}

// A frame back or on, where an arrow is pressed that nobody takes; else 0.
export function turnOf(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
  return by && !modified(event) && !taken(event, TAKES_ARROWS) ? by : 0;
}
