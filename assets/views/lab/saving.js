// The menu that saves each figure of the Lab.

import { isLarge, matricesPicture, matricesTable } from "../shared/matrix_saving.js";
import { canvasPicture, plotSave, SaveMenu } from "../shared/save_menu.js";

export function attachSaves(view) {
  const { dataPanel, outputPanel, fitPanel, sparsityPanel, histogramPanel, matrixPanel, weights } = view;
  const plots = { data: dataPanel, output: outputPanel, learning: fitPanel, sparsity: sparsityPanel };
  const { low, bar, high } = weights.legend;
  return [
    ...Object.entries(plots).map(([name, panel]) => plotSave(view, panel, name)),
    plotSave(view, histogramPanel, "cut", () => view.histogram.table()),
    new SaveMenu(view, matrixPanel, "matrices", {
      picture: () => (weights.graph.host.hidden ? matricesPicture(view, weights.pictures, [low, bar, high]) : canvasPicture(weights.graph.canvas)),
      table: () => matricesTable(view, weights.pictures),
      embeds: () => !weights.graph.host.hidden || weights.pictures.some(isLarge),
    }),
  ];
}
