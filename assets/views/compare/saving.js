// The menu that saves each figure of the comparison.

import { layerName } from "../shared/layers.js";
import { cellsOf, isLarge, matricesPicture } from "../shared/matrix_saving.js";
import { plotSave, SaveMenu, SHARE } from "../shared/save_menu.js";

export function attachSaves(view) {
  const { outputPanels: [first, second], fitPanel, overlapPanel, densityPanel, difference } = view;
  const plots = { "output-a": first, "output-b": second, learning: fitPanel, overlap: overlapPanel, densities: densityPanel };
  return [
    ...Object.entries(plots).map(([name, panel]) => plotSave(view, panel, name)),
    new SaveMenu(view, difference.panel, "masks", {
      picture: () => matricesPicture(view, difference.pictures.map(withOverlap), difference.legend()),
      table: () => differenceTable(view, difference.pictures),
      embeds: () => difference.pictures.some(isLarge),
    }),
  ];
}

// A picture with the overlap as its only caption: the numbers are in the table.
const withOverlap = ({ title, overlap, plates, zoom, matrix }) => ({ title, kept: overlap, plates, zoom, matrix });

// One row per cell: the shares of its weights that both runs keep, and that only one keeps.
function differenceTable(view, pictures) {
  const kinds = ["both", "first", "second"];
  const header = [...["layer", "row", "column", "block"].map((word) => view.say(`save.${word}`)), ...kinds.map((kind) => `${view.kindName(kind)} ${SHARE}`)];
  const rows = pictures.flatMap(({ matrix }) => cellsOf(matrix).map(({ row, col, size, cell }) => [
    layerName(view.say, matrix.layer.name), row + 1, col + 1, size, ...kinds.map((kind) => matrix[kind][cell]),
  ]));
  return [header, rows];
}
