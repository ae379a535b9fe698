// Every figure of the comparison is saved as those of the live view are.

import { layerName } from "../shared/captions.js";
import { cellsOf, isLarge, matricesPicture } from "../shared/matrix_saving.js";
import { plotSave, SaveMenu, SHARE } from "../shared/save_menu.js";

export function compareSaves(view) {
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

// Of a picture's caption only how far the masks overlap: the numbers are in the table.
const withOverlap = ({ title, overlap, plates, zoom, matrix }) => ({ title, kept: overlap, plates, zoom, matrix });

// A row a cell: the shares of its weights that both keep, and that only one of the two does.
function differenceTable(view, pictures) {
  const kinds = ["both", "first", "second"];
  const header = [...["layer", "row", "column", "block"].map((word) => view.say(`save.${word}`)), ...kinds.map((kind) => `${view.kindName(kind)} ${SHARE}`)];
  const rows = pictures.flatMap(({ matrix }) => cellsOf(matrix).map(({ row, col, size, cell }) => [
    layerName(view.say, matrix.layer.name), row + 1, col + 1, size, ...kinds.map((kind) => matrix[kind][cell]),
  ]));
  return [header, rows];
}
