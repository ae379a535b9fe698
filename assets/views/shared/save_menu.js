// The menu at each figure of a view: it saves the figure as PNG or SVG, and its data as CSV.
//
// A new figure needs one line in the view's `saving.js`: for a panel drawn by Plotly `plotSave(view, panel, "name")`;
// for any other `new SaveMenu(view, panel, "name", { picture, table })`, where `picture()` returns { svg, width, height }
// (`canvasPicture` makes it from a canvas) and `table()` returns [header, rows].

import { make, setText } from "./dom.js";
import { framed, plotPicture, savePicture, saveTable } from "./figure_saving.js";

const SAVED = ["png", "svg", "csv"];
const ARROW = '<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="M8 2v8m-3.5-3L8 10.5 11.5 7M2.5 13.5h11" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>';
export const SHARE = "(1 = 100 %)"; // for an axis with ticks in percent and values as shares

let menus = 0;

export class SaveMenu {
  // embeds: whether an SVG embeds parts of it as bitmaps. heading, step: for the file, where they are not the panel's and the view's.
  constructor(view, { figure, title }, name, { picture, table, embeds, heading, step }) {
    Object.assign(this, { view, title, name, picture, table, embeds, heading, step });
    this.button = make("button", "sc-save");
    this.button.innerHTML = ARROW;
    this.button.type = "button";
    this.word = make("span", "sc-unseen", this.button);
    this.menu = make("div", "sc-save-menu");
    this.menu.popover = "auto";
    this.button.popoverTargetElement = this.menu;
    this.menu.addEventListener("toggle", (event) => { if (event.newState === "open") this.#opened(); });
    this.items = Object.fromEntries(SAVED.map((format) => {
      const item = make("button", "", this.menu);
      item.type = "button";
      item.onclick = () => this.#save(format);
      return [format, item];
    }));
    menus += 1;
    this.word.id = `sc-save-${menus}`;
    title.id ||= `sc-title-${menus}`;
    this.button.setAttribute("aria-labelledby", `${this.word.id} ${title.id}`);
    (title.closest("figcaption") ?? title).after(this.button, this.menu);
    figure.classList.add("sc-saves");
  }

  label() {
    const { say } = this.view;
    setText(this.word, say("save.figure"));
    this.button.title = say("save.figure");
    for (const format of SAVED) setText(this.items[format], say(`save.${format}`));
    if (this.embeds?.()) setText(this.items.svg, say("save.svg.embedded"));
  }

  // A popover is placed by hand: below its button, inside the window.
  #opened() {
    this.label();
    const button = this.button.getBoundingClientRect();
    const left = Math.min(button.right - this.menu.offsetWidth, window.innerWidth - this.menu.offsetWidth - 8);
    const below = button.bottom + 4 + this.menu.offsetHeight < window.innerHeight;
    this.menu.style.left = `${Math.max(8, left)}px`;
    this.menu.style.top = `${below ? button.bottom + 4 : Math.max(8, button.top - 4 - this.menu.offsetHeight)}px`;
    this.items.png.focus();
  }

  async #save(format) {
    this.menu.hidePopover();
    const { view } = this;
    const at = this.step?.() ?? view.shownStep;
    const file = `sparsecore-${view.savedName}-${this.name}-step-${at}`;
    if (format === "csv") {
      saveTable(file, ...this.table());
      return;
    }
    const note = `${view.savedNote} · ${view.say("live.at", { step: view.number(at) })}`;
    const { text, soft, font } = view.theme();
    const look = { title: this.heading?.() ?? this.title.textContent, note, ink: text, soft, paper: paperOf(view), font };
    await savePicture(framed(await this.picture(), look), format, file);
  }
}

export const paperOf = (view) => `rgb(${view.ink().paper.join(",")})`;

export function plotSave(view, panel, name, table = () => plotTable(view, panel.plot)) {
  return new SaveMenu(view, panel, name, {
    picture: () => plotPicture(panel.plot, view.charting.source, paperOf(view)),
    table,
  });
}

// The content of a canvas as a picture of its size on the page.
export function canvasPicture(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  return { svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${embedded(canvas, width, height)}</svg>`, width, height };
}

export function embedded(canvas, width, height) {
  return `<image width="${width}" height="${height}" preserveAspectRatio="none" style="image-rendering:pixelated" href="${canvas.toDataURL()}"/>`;
}

// The points of a Plotly figure. The titles of its axes are the headers; with several y axes they name the panel.
export function plotTable({ say }, { data, layout }) {
  const axisOf = (trace, letter) => layout[`${letter}axis${(trace[`${letter}axis`] ?? letter).slice(1)}`] ?? {};
  const titleOf = (axis, letter) => {
    const title = axis.title?.text ?? letter;
    return (axis.tickformat ?? "").endsWith("%") ? `${title} ${SHARE}` : title;
  };
  const quantities = [...new Set(data.map((trace) => titleOf(axisOf(trace, "y"), "y")))];
  const map = data.find((trace) => trace.type === "heatmap");
  const columns = [
    [quantities.length > 1, say("save.panel"), (row) => row.panel],
    [data.some((trace) => trace.name), say("save.series"), (row) => row.series],
    [true, titleOf(axisOf(data[0], "x"), "x"), (row) => row.x],
    [true, quantities.length > 1 ? say("save.value") : quantities[0], (row) => row.y],
    [map, map?.name ?? say("save.value"), (row) => row.value],
    [map?.meta, map?.meta, (row) => row.count], // the numbers written in its cells
  ].filter(([wanted]) => wanted);
  const rows = data.flatMap((trace) => {
    const own = { panel: titleOf(axisOf(trace, "y"), "y"), series: trace.name };
    return (trace.type === "heatmap" ? cellRows(trace) : pointRows(trace)).map((row) => ({ ...own, ...row }));
  });
  return [columns.map(([, head]) => head), rows.map((row) => columns.map(([, , value]) => value(row)))];
}

const pointRows = ({ x, y }) => Array.from(y, (value, place) => ({ x: x[place], y: value }));

function cellRows({ x, y, x0, dx, y0, dy, z, text }) {
  return z.flatMap((line, row) => Array.from(line, (value, column) => (
    { x: x?.[column] ?? x0 + dx * column, y: y?.[row] ?? y0 + dy * row, value, count: text?.[row]?.[column] }
  )));
}
