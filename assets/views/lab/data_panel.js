// The input data: a picture, and for texts a few samples with their source.

import { make, setText } from "../shared/dom.js";
import { drawData, gradeNames, outputTitle } from "../shared/pictures.js";

const SAMPLES = 4;

export function drawScene(view, panel, list, titleOfOutput) {
  const { meta } = view.scene;
  setText(panel.title, view.say("live.title.data"));
  setText(titleOfOutput, outputTitle(view.say, view.scene));
  drawData(view, panel);
  const texts = meta.sample ?? [];
  list.hidden = !texts.length;
  const names = texts.length ? gradeNames(view) : [];
  const source = texts.length ? [sourceNotice(view, meta)] : [];
  list.replaceChildren(...source, ...texts.slice(0, SAMPLES).map(([text, grade]) => {
    const row = make("li");
    make("b", "", row).textContent = names[grade];
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
