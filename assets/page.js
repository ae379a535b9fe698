// The address holds the settings of a page, and Streamlit makes every change of them a step of the browser's history, so
// that Back would not leave the page. Only another page, run, sweep, table, lesson or document is a step.
if (!history.countsSteps) {
  history.countsSteps = true;
  const { pushState, replaceState } = history;
  const steps = ["run", "sweep", "table", "lesson", "doc"];
  history.pushState = function (state, title, url) {
    const [from, to] = [new URL(location.href), new URL(url ?? "", location.href)];
    const [before, after] = [from, to].map(({ searchParams }) => steps.map((name) => searchParams.get(name)));
    const turned = from.pathname !== to.pathname || steps.some((_, at) => before[at] && after[at] && before[at] !== after[at]);
    return (turned ? pushState : replaceState).call(history, state, title, url);
  };
}

// The tooltip of a button that was pressed stays away until the pointer is elsewhere (page.css).
if (!document.hidesTooltips) {
  document.hidesTooltips = true;
  const button = ({ target }) => target.closest?.(".stApp button");
  const mark = (pressed) => document.documentElement.toggleAttribute("data-pressed", Boolean(pressed));
  addEventListener("click", (event) => mark(event.detail && button(event)), true); // detail 0: pressed by a key
  addEventListener("pointerover", (event) => { if (!button(event)) mark(false); }, { capture: true, passive: true });
}
