// One matrix with a pixel for every weight, in a dialog: Esc or the button closes it.

import { make, setText, Tip } from "../shared/dom.js";
import { MatrixPicture, PLATES } from "../shared/matrix_picture.js";
import { isLarge, matricesPicture, matricesTable } from "../shared/matrix_saving.js";
import { SaveMenu } from "../shared/save_menu.js";

const WIDEST_ROW = 1024; // a longer row is drawn as several lines: no screen and no canvas is wider

// A wide matrix with each row split into several lines; the cells keep their order.
function folded(matrix) {
  let parts = Math.ceil(matrix.cols / WIDEST_ROW);
  while (matrix.cols % parts) parts += 1;
  if (matrix.cols / parts < WIDEST_ROW / 8) parts = 1; // a width without a fitting divisor stays one line
  return { ...matrix, rows: matrix.rows * parts, cols: matrix.cols / parts, width: matrix.cols };
}

export class FullMatrix {
  constructor(view) {
    this.view = view;
    this.dialog = make("dialog", "sc-full", view.root);
    const head = make("header", "", this.dialog);
    this.note = make("span", "sc-dim", head);
    this.picture = null;
    this.save = new SaveMenu(view, { figure: head, title: this.note }, "matrix", {
      picture: () => matricesPicture(view, [this.picture], []),
      table: () => matricesTable(view, [this.picture]),
      embeds: () => this.picture && isLarge(this.picture),
      heading: () => this.picture.title.textContent,
      step: () => this.picture.step,
    });
    view.saves.push(this.save);
    this.close = make("button", "", head);
    this.close.type = "button";
    this.close.onclick = () => this.dialog.close();
    this.host = make("div", "sc-full-host", this.dialog);
    this.dialog.onclick = (event) => { if (event.target === this.dialog) this.dialog.close(); };
    this.dialog.onclose = () => { this.host.replaceChildren(); this.opener?.focus(); };
  }

  open(place, opener) {
    const { say, connection } = this.view;
    Object.assign(this, { place, opener });
    setText(this.close, say("live.full.close"));
    setText(this.note, say("live.full.loading"));
    this.save.button.hidden = true;
    this.host.replaceChildren();
    this.dialog.showModal();
    connection.say({ matrix: place });
  }

  show(blob) {
    if (!this.dialog.open || blob.meta.place !== this.place) return;
    const { say, number } = this.view;
    if (blob.meta.refused) {
      setText(this.note, say(`live.full.${blob.meta.refused}`));
      return;
    }
    const matrix = folded(blob.matrices[0]);
    // A tooltip of its own: nodes outside a modal dialog lie below it.
    const view = Object.create(this.view, { tip: { value: new Tip(this.dialog) }, openFull: { value: null } });
    this.host.replaceChildren();
    const picture = new MatrixPicture(this.host, view);
    const mode = this.view.mode === "both" ? "count" : this.view.mode;
    const scale = Math.min((window.innerWidth * 0.92 - 42) / matrix.cols, (window.innerHeight * 0.86 - 120) / matrix.rows);
    this.picture = picture;
    this.save.button.hidden = false;
    this.save.name = `matrix-${matrix.layer.name}`;
    picture.draw(matrix, mode, blob.meta.step, { width: Math.round(matrix.cols * scale), height: Math.round(matrix.rows * scale) });
    const lines = matrix.cols < matrix.width ? say("live.full.folded", { columns: number(matrix.cols) }) : "";
    setText(this.note, `${say("live.full.step", { step: number(blob.meta.step) })} ${lines} ${say("live.zoom_hint")}`);
    picture.plates[PLATES[mode][0]].port.focus();
  }
}
