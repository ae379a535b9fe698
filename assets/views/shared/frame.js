// The layout of a frame, read in the browser; sparsecore/engine/training/frame_layout.py declares it.

const VERSION = 2; // a frame that does not state its version is of the first
const FULL = 255; // a share or a probability of 1
const ARRAY_KINDS = {
  F32: Float32Array, F64: Float64Array, U8: Uint8Array, U16: Uint16Array, U32: Uint32Array, I32: Int32Array,
};

// A frame, a scene or an answer of the live route: its description `meta`, its arrays by the parts of their names, such
// as `train.x`, and for a frame its `matrices`.
export function readFrame(buffer) {
  const { meta, arrays } = readBlob(buffer);
  if ((meta.version ?? 1) > VERSION) throw new Error(`This frame is of version ${meta.version}; this page reads those up to ${VERSION}.`);
  const named = {};
  for (const [name, array] of Object.entries(arrays)) {
    const parts = name.split(".");
    const last = parts.pop();
    parts.reduce((inside, part) => (inside[part] ??= {}), named)[last] = array;
  }
  return { ...named, meta, matrices: meta.matrices?.map((entry, index) => readMatrix(entry, index, meta.layers, named)) };
}

// A safetensors file: a length, a JSON header, then the arrays in order.
function readBlob(buffer) {
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

// A drawn matrix: for each cell its count, the share kept (0 or 1 when exact) and its value; where the frame has them,
// the biases of its rows, and the histograms `kept` and `cut` of its weights.
function readMatrix(entry, index, layers, { mask, count, value, bias, spread }) {
  const [down, across] = entry.pool;
  const rows = Math.ceil(entry.rows / down);
  const cols = Math.ceil(entry.cols / across);
  const exact = down * across === 1;
  const cells = exact ? unpack(mask[index], value[index], rows * cols) : { kept: shares(mask[index]), value: value[index] };
  const histograms = { kept: spread?.kept?.[index], cut: spread?.cut?.[index] };
  return {
    ...entry, ...cells, place: entry.layer, layer: layers[entry.layer], rows, cols, exact, count: count[index], bias: bias?.[index], spread: histograms,
  };
}

// What a frame says of its step, as a record of the run; churn is known only between two records.
export function rowOf({ meta, matrices }) {
  const density = matrices.map(({ layer: { kept, shape } }) => kept / (shape[0] * shape[1]));
  return { step: meta.step, loss: meta.loss ?? null, density, threshold: matrices.map(({ layer }) => meta.thresholds[layer.group] ?? null), churn: null };
}

// The weights of a matrix from the values of those that its mask keeps.
function unpack(bits, values, size) {
  const kept = new Uint8Array(size);
  const value = new Float32Array(size);
  for (let cell = 0, next = 0; cell < size; cell += 1) {
    if (!bitAt(bits, cell)) continue;
    kept[cell] = 1;
    value[cell] = values[next++];
  }
  return { kept, value };
}

// Whether a packed mask keeps a weight: row by row, the lowest bit first.
export const bitAt = (bits, weight) => (bits[weight >> 3] >> (weight & 7)) & 1;

// Shares or probabilities that are stored in bytes.
export const shares = (bytes, Kind = Float32Array) => Kind.from(bytes, (byte) => byte / FULL);
