// A blob of the log (safetensors): a length, a JSON header, then the arrays in order.

const ARRAY_KINDS = {
  F32: Float32Array, F64: Float64Array, U8: Uint8Array, U16: Uint16Array, U32: Uint32Array, I32: Int32Array,
};

export function readBlob(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const arrays = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [start, end] = entry.data_offsets.map((offset) => 8 + length + offset);
    arrays[name] = new ARRAY_KINDS[entry.dtype](buffer.slice(start, end));
  }
  return { meta: JSON.parse(header.__metadata__.meta), arrays };
}

// The matrices of a frame: for each cell its count, the share kept (0 or 1 when exact) and its value; the biases of
// its rows where the frame has them.
export function readMatrices({ meta, arrays }) {
  return meta.matrices.map((entry, index) => {
    const [down, across] = entry.pool;
    const rows = Math.ceil(entry.rows / down);
    const cols = Math.ceil(entry.cols / across);
    const exact = down * across === 1;
    const count = arrays[`count.${index}`];
    const mask = arrays[`mask.${index}`];
    const packed = arrays[`value.${index}`];
    const kept = exact ? new Uint8Array(rows * cols) : Float32Array.from(mask, (part) => part / 255);
    const value = exact ? new Float32Array(rows * cols) : packed;
    if (exact) {
      for (let cell = 0, next = 0; cell < kept.length; cell += 1) {
        if ((mask[cell >> 3] >> (cell & 7)) & 1) {
          kept[cell] = 1;
          value[cell] = packed[next++];
        }
      }
    }
    return { ...entry, place: entry.layer, layer: meta.layers[entry.layer], rows, cols, exact, count, kept, value, bias: arrays[`bias.${index}`] };
  });
}
