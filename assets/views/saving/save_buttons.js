// Buttons that save a figure of a page, by its key, as PNG or SVG: sparsecore/dashboard/saved_figures.py.

import { framed, plotPicture, savePicture } from "../shared/figure_saving.js";
import { htmlPicture } from "./html_picture.js";

const FORMATS = ["png", "svg"];

function build(parent) {
  const host = document.createElement("div");
  const buttons = Object.fromEntries(FORMATS.map((format) => [format, document.createElement("button")]));
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  for (const button of Object.values(buttons)) button.type = "button";
  host.append(...Object.values(buttons), status);
  parent.append(host);
  return { host, buttons, status };
}

const hosts = new WeakMap();

export default function buttonsOf({ data: [data], parentElement }) {
  if (!hosts.has(parentElement)) hosts.set(parentElement, build(parentElement));
  const { host, buttons, status } = hosts.get(parentElement);
  for (const format of FORMATS) {
    buttons[format].textContent = data.words[format];
    buttons[format].onclick = async () => {
      const node = document.querySelector(`.st-key-${data.figure} :is(.js-plotly-plot, .stHtml)`);
      status.textContent = node ? "" : data.words.gone;
      if (node) await save(node, format);
    };
  }

  async function save(node, format) {
    const style = getComputedStyle(host);
    const paper = style.getPropertyValue("--st-background-color").trim();
    const drawn = node.layout ? await plotPicture(node, data.plotly, paper) : htmlPicture(node);
    const own = (node.layout?.title?.text ?? "").replace(/<[^>]*>/g, ""); // Streamlit turns no title into "<b></b>"
    const title = own ? "" : data.title;
    await savePicture(framed(drawn, { title, ink: style.color, soft: style.color, paper, font: style.fontFamily }), format, data.name);
  }

  return () => { hosts.get(parentElement)?.host.remove(); hosts.delete(parentElement); };
}
