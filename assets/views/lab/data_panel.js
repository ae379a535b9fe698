// What goes in: the data's own picture, and of texts a few and where they come from.

import { drawData } from "../shared/charts.js";
import { make, setText } from "../shared/dom.js";

const SAMPLES = 4;

export function drawScene(view, { title, plot }, list, outputTitle) {
  const { meta } = view.scene;
  setText(title, view.say(`live.title.data.${meta.kind}`));
  setText(outputTitle, view.say(`live.title.output.${meta.kind}`));
  drawData(view, plot);
  const texts = meta.kind === "confusion" ? meta.sample : [];
  list.hidden = !texts.length;
  const told = texts.length ? [sourceNotice(view, meta)] : [];
  list.replaceChildren(...told, ...texts.slice(0, SAMPLES).map(([text, grade]) => {
    const row = make("li");
    make("b", "", row).textContent = meta.grades[grade];
    make("span", "", row).textContent = text;
    row.title = text;
    return row;
  }));
}

function sourceNotice({ say, number }, meta) {
  const row = make("li", "sc-source");
  const counts = { texts: number(meta.texts), of: number(meta.of), name: meta.name };
  row.textContent = meta.generated ? `${say("live.generated")} ${say("live.used", counts)}` : say("live.file", counts);
  return row;
}
