// Layers: their names on the screen, and the blocks that share a budget.

export function layerName(say, name) {
  const block = name.match(/^blocks\.(\d+)(?:\.(\w+))?$/);
  if (block) return `${say("live.block_name", { number: Number(block[1]) + 1 })} ${block[2] ? say(`live.layer.${block[2]}`) : ""}`.trim();
  return name.replace(/^fc(\d+)$/, "W$1").replace(/^head$/, say("live.layer.head"));
}

// The matrices of a frame by the layer that they belong to for a budget: a block of a Transformer is one layer.
export function blocksOf(matrices, say) {
  const blocks = new Map();
  matrices.forEach(({ layer: { block, shape } }, place) => {
    if (!blocks.has(block)) blocks.set(block, { block, name: layerName(say, block), places: [], weights: [] });
    blocks.get(block).places.push(place);
    blocks.get(block).weights.push(shape[0] * shape[1]);
  });
  return [...blocks.values()];
}

// The share of its weights that a block keeps, by a record of the run.
export function keptShare({ places, weights }, { density }) {
  const all = weights.reduce((sum, n) => sum + n, 0);
  return places.reduce((sum, place, i) => sum + density[place] * weights[i], 0) / all;
}
