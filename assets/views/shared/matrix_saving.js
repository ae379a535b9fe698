// The weight matrices as one picture, laid out as on the page, and as one table.

import { escaped } from "./figure_saving.js";
import { layerName } from "./layers.js";
import { drawOutline } from "./matrix_picture.js";
import { embedded } from "./save_menu.js";

const VECTOR_CELLS = 10_000; // a larger matrix is embedded as a bitmap: as rectangles it would take megabytes

export const isLarge = ({ matrix }) => matrix.rows * matrix.cols > VECTOR_CELLS;

// pictures: MatrixPicture objects; more: other nodes of the figure, namely texts and the colour ramp.
export function matricesPicture(view, pictures, more) {
  const words = pictures.flatMap(({ title, kept }) => [title, kept]).concat(more.filter((node) => !node.classList.contains("sc-ramp")));
  const ports = pictures.flatMap((picture) => Object.entries(picture.plates).map(([kind, plate]) => ({ picture, kind, ...plate }))).filter(({ port }) => !port.hidden);
  const ramps = more.filter((node) => node.classList.contains("sc-ramp"));
  const keys = more.filter((node) => node.classList.contains("cp-key"));
  const shown = [...words.filter((node) => node.textContent), ...ramps, ...keys];
  const boxes = [...shown, ...ports.map(({ port }) => port)].map((node) => node.getBoundingClientRect());
  const [left, top] = [Math.min(...boxes.map((box) => box.left)) - 8, Math.min(...boxes.map((box) => box.top)) - 4];
  const width = Math.max(...boxes.map((box) => box.right)) + 8 - left;
  const height = Math.max(...boxes.map((box) => box.bottom)) + 8 - top;
  const place = (node) => { const box = node.getBoundingClientRect(); return { x: box.left - left, y: box.top - top, width: box.width, height: box.height }; };
  const parts = [
    ...words.filter((node) => node.textContent).map((node) => wordSvg(view, node, place(node))),
    ...ramps.map((node) => rampSvg(node, place(node))),
    ...keys.map((node) => keySvg(view, node, place(node))),
    ...ports.map((each) => plateSvg(view, each, place(each.port))),
  ];
  return { svg: `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${parts.join("")}</svg>`, width, height };
}

function wordSvg(view, node, { x, y, height }) {
  const { text, soft } = view.theme();
  const { fontSize, fontWeight } = getComputedStyle(node);
  const colour = node.classList.contains("sc-dim") ? soft : text;
  return `<text x="${x}" y="${y + height / 2}" dominant-baseline="central" font-size="${fontSize}" font-weight="${fontWeight}" fill="${colour}">${escaped(node.textContent)}</text>`;
}

function rampSvg(node, { x, y, width, height }) {
  const colours = node.style.background.match(/rgb\([^)]*\)/g);
  const stops = colours.map((colour, i) => `<stop offset="${i / (colours.length - 1)}" stop-color="${colour}"/>`).join("");
  return `<linearGradient id="ramp">${stops}</linearGradient><rect x="${x}" y="${y}" width="${width}" height="${height}" fill="url(#ramp)"/>`;
}

// The square of a legend.
function keySvg(view, node, { x, y, width, height }) {
  const { backgroundColor } = getComputedStyle(node);
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${backgroundColor}" stroke="${view.theme().soft}"/>`;
}

// One drawing of a matrix in its border, with the user's zoom.
function plateSvg(view, { picture, kind, canvas }, { x, y, width, height }) {
  const { zoom, matrix } = picture;
  const inside = isLarge(picture) ? embedded(canvas, width, height) : cellsSvg(canvas, matrix, kind, view.ink().ink, width, height);
  const frame = `<rect width="${width}" height="${height}" fill="none" stroke="${view.theme().soft}"/>`;
  return `<svg x="${x}" y="${y}" width="${width}" height="${height}" overflow="hidden"><g transform="translate(${zoom.x} ${zoom.y}) scale(${zoom.scale})">${inside}</g>${frame}</svg>`;
}

// The cells as rectangles in the colours of the canvas; neighbours of one colour in a row are one rectangle.
function cellsSvg(canvas, matrix, kind, ink, width, height) {
  const { rows, cols } = matrix;
  const scale = canvas.width / cols; // an outlined matrix has several pixels a cell
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colourOf = (row, col) => {
    const at = 4 * (Math.floor((row + 0.5) * scale) * canvas.width + Math.floor((col + 0.5) * scale));
    return `#${[0, 1, 2].map((channel) => data[at + channel].toString(16).padStart(2, "0")).join("")}`;
  };
  const parts = [];
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols;) {
      const colour = colourOf(row, col);
      let end = col + 1;
      while (end < cols && colourOf(row, end) === colour) end += 1;
      parts.push(`<rect x="${col}" y="${row}" width="${end - col}" height="1" fill="${colour}"/>`);
      col = end;
    }
  }
  const outline = kind === "outline" && scale > 1 ? outlineSvg(matrix, ink) : "";
  return `<g transform="scale(${width / cols} ${height / rows})" shape-rendering="crispEdges">${parts.join("")}${outline}</g>`;
}

// The outline that `drawOutline` draws on a canvas, as a path.
function outlineSvg(matrix, ink) {
  const path = [];
  const pen = { beginPath() {}, stroke() {}, moveTo: (x, y) => path.push(`M${x} ${y}`), lineTo: (x, y) => path.push(`L${x} ${y}`) };
  drawOutline(pen, matrix, 1, ink);
  return `<path d="${path.join("")}" fill="none" stroke="${pen.strokeStyle}" stroke-width="${pen.lineWidth}" vector-effect="non-scaling-stroke"/>`;
}

// One row per cell: a weight, or a block of weights with its means.
export function matricesTable(view, pictures) {
  const { say } = view;
  const matrices = pictures.map(({ matrix }) => matrix);
  const blocks = matrices.some(({ exact }) => !exact);
  const header = ["layer", "row", "column", ...(blocks ? ["block"] : []), "times", "kept", "weight"].map((word) => say(`save.${word}`));
  const rows = pictures.flatMap(({ matrix, step }) => cellsOf(matrix).map(({ row, col, size, cell }) => [
    layerName(say, matrix.layer.name), row + 1, col + 1, ...(blocks ? [size] : []), matrix.count[cell], matrix.kept[cell], matrix.value[cell], step,
  ]));
  return [[...header, say("live.step_axis")], rows];
}

export function cellsOf({ rows, cols, pool, exact, width, layer }) {
  const across = width ?? cols; // a row may be drawn as several lines
  const [high, wide] = exact ? [1, 1] : pool;
  return Array.from({ length: rows * cols }, (_, cell) => {
    const [row, col] = [Math.floor(cell / across) * high, (cell % across) * wide];
    return { cell, row, col, size: Math.min(high, layer.shape[0] - row) * Math.min(wide, layer.shape[1] - col) };
  });
}
