// PNG and SVG of the figure of a page whose key is `figure`: sparsecore/dashboard/figure_files.py.

import { framed, plotPicture, savePicture } from "../shared/figure_saving.js";
import { htmlPicture } from "./html_picture.js";

const FORMATS = ["png", "svg"];

function built(parent) {
  const host = document.createElement("div");
  const buttons = Object.fromEntries(FORMATS.map((format) => [format, document.createElement("button")]));
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  for (const button of Object.values(buttons)) button.type = "button";
  host.append(...Object.values(buttons), said);
  parent.append(host);
  return { host, buttons, said };
}

const hosts = new WeakMap();

export default function buttonsOf({ data: [data], parentElement }) {
  if (!hosts.has(parentElement)) hosts.set(parentElement, built(parentElement));
  const { host, buttons, said } = hosts.get(parentElement);
  for (const format of FORMATS) {
    buttons[format].textContent = data.words[format];
    buttons[format].onclick = async () => {
      const node = document.querySelector(`.st-key-${data.figure} :is(.js-plotly-plot, .stHtml)`);
      said.textContent = node ? "" : data.words.gone;
      if (node) await save(node, format);
    };
  }

  async function save(node, format) {
    const style = getComputedStyle(host);
    const paper = style.getPropertyValue("--st-background-color").trim();
    const drawn = node.layout ? await plotPicture(node, data.plotly, paper) : htmlPicture(node);
    const own = (node.layout?.title?.text ?? "").replace(/<[^>]*>/g, ""); // Streamlit leaves "<b></b>" of no title
    const title = own ? "" : data.title;
    await savePicture(framed(drawn, { title, ink: style.color, soft: style.color, paper, font: style.fontFamily }), format, data.name);
  }

  return () => { hosts.get(parentElement)?.host.remove(); hosts.delete(parentElement); };
}
