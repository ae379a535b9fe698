// Files made in the browser: pictures as they appear on the page, and tables. Used by the views and by the save
// buttons of other pages (sparsecore/dashboard/saved_figures.py).

import { loadPlotly } from "./plotly.js";

const PICTURE_SCALE = 3; // of a PNG, so that it prints well
const HEAD = 52; // pixels above a picture for its title and a note
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/; // how a spreadsheet's formula begins, as OWASP lists it

function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// A table as CSV: every digit, no text that a spreadsheet reads as a formula, and a byte order mark for Excel.
function csvOf(header, rows) {
  const text = (value) => {
    const plain = FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const cell = (value) => (value === null || value === undefined || Number.isNaN(value) ? "" : typeof value === "string" ? text(value) : String(value));
  return `\ufeff${[header, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

export function saveTable(name, header, rows) {
  saveBlob(new Blob([csvOf(header, rows)], { type: "text/csv" }), `${name}.csv`);
}

export const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

// A Plotly figure as it is on the page, with the user's zoom: { svg, width, height }.
export async function plotPicture(node, source, paper) {
  await loadPlotly(source);
  const [width, height] = [node.clientWidth, node.clientHeight];
  const layout = { ...structuredClone(node.layout), autosize: false, width, height, paper_bgcolor: paper };
  const figure = { data: structuredClone(node.data), layout };
  const svg = await window.Plotly.toImage(figure, { format: "svg", width, height, imageDataOnly: true });
  return { svg, width, height };
}

// The font size at which a line of text fits a width: a narrow figure must not cut its title off.
function fitting(text, size, weight, font, width) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${weight} ${size}px ${font}`;
  return size * Math.min(1, width / (pen.measureText(text).width || 1));
}

// The picture under a title and a note, on the page's background.
export function framed({ svg, width, height }, { title, note, ink, soft, paper, font }) {
  const line = (text, y, size, colour, weight) => (
    `<text x="8" y="${y}" font-size="${fitting(text, size, weight, font, width - 16)}" font-weight="${weight}" fill="${colour}">${escaped(text)}</text>`
  );
  const head = title ? HEAD : 0;
  const said = title ? line(title, 22, 16, ink, 600) + line(note ?? "", 42, 12, soft, 400) : "";
  const size = `width="${width}" height="${height + head}"`;
  const own = svg.replace("<svg ", `<svg y="${head}" `);
  const text = `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${width} ${height + head}" font-family="${escaped(font)}"><rect ${size} fill="${paper}"/>${said}${own}</svg>`;
  return { svg: text, width, height: height + head };
}

export async function savePicture({ svg, width, height }, format, name) {
  const drawn = new Blob([svg], { type: "image/svg+xml" });
  if (format === "svg") {
    saveBlob(drawn, `${name}.svg`);
    return;
  }
  const image = new Image();
  image.src = URL.createObjectURL(drawn);
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * PICTURE_SCALE);
  canvas.height = Math.round(height * PICTURE_SCALE);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  saveBlob(await new Promise((resolve) => canvas.toBlob(resolve, "image/png")), `${name}.png`);
}
