// The control that saves each figure of the Lab.

import { isLarge, matricesPicture, matricesTable } from "../shared/matrix_saving.js";
import { canvasPicture, plotSave, SaveMenu } from "../shared/save_menu.js";

export function attachSaves(view) {
  const { dataPanel, outputPanel, fitPanel, sparsityPanel, spreadPanel, matrixPanel, plates } = view;
  const plots = { data: dataPanel, output: outputPanel, learning: fitPanel, sparsity: sparsityPanel };
  const { low, bar, high } = plates.legend;
  return [
    ...Object.entries(plots).map(([name, panel]) => plotSave(view, panel, name)),
    plotSave(view, spreadPanel, "cut", () => view.spread.table()),
    new SaveMenu(view, matrixPanel, "matrices", {
      picture: () => (plates.graph.host.hidden ? matricesPicture(view, plates.pictures, [low, bar, high]) : canvasPicture(plates.graph.canvas)),
      table: () => matricesTable(view, plates.pictures),
      embeds: () => !plates.graph.host.hidden || plates.pictures.some(isLarge),
    }),
  ];
}
