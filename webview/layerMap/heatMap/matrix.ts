import type { LayerMap } from '../../../src/contracts/layerMap.ts';

/** What a heat map draws: rows of layers or heads by columns of buffers; row r has `reach[r]` cells. */
export interface Matrix {
  readonly rowName: 'layer' | 'head';
  /** The numbers that the rows are called by (R). */
  readonly rows: readonly number[];
  readonly columns: number;
  /** Cells of each row: a layer reads no buffer behind it (R). */
  readonly reach: readonly number[];
  /** (R, columns) */
  readonly values: Float32Array;
}

/** The sizes that every map of a model has. */
export type Sizes = Pick<LayerMap, 'layers' | 'heads' | 'queryHeads'>;

/** Layer by buffer: the paper's Fig. 5. The first layer is left out, as there: it has one buffer. */
export function layerMatrix(map: Float32Array, { layers }: Sizes): Matrix {
  const rows = routedLayers(layers);
  return {
    rowName: 'layer',
    rows,
    columns: layers,
    reach: rows.map(layer => layer + 1),
    values: map.subarray(layers),
  };
}

/** Head by buffer of one layer: a panel of the paper's Fig. 9; `perHead` is (L, heads, L). */
export function headMatrix(
  perHead: Float32Array,
  layer: number,
  { layers }: Sizes,
  heads: number,
): Matrix {
  const from = layer * heads * layers;
  return {
    rowName: 'head',
    rows: Array.from({ length: heads }, (_, head) => head),
    columns: layers,
    reach: Array.from({ length: heads }, () => layer + 1),
    values: perHead.subarray(from, from + heads * layers),
  };
}

/** Layer by buffer of one head, or of the mean over heads; `perHead` is (L, heads, L). */
export function readerMatrix(
  perHead: Float32Array,
  head: number | 'mean',
  sizes: Sizes,
  heads: number,
): Matrix {
  const { layers } = sizes;
  const map = new Float32Array(layers * layers);
  const read = head === 'mean' ? Array.from({ length: heads }, (_, h) => h) : [head];
  for (let layer = 0; layer < layers; layer++) {
    for (let buffer = 0; buffer <= layer; buffer++) {
      let sum = 0;
      for (const h of read) sum += perHead[(layer * heads + h) * layers + buffer] ?? NaN;
      map[layer * layers + buffer] = sum / read.length;
    }
  }
  return layerMatrix(map, sizes);
}

/** The head with the largest share of a layer in a buffer; `perHead` is (L, heads, L). */
export function strongestHead(
  perHead: Float32Array,
  { layer, buffer }: { readonly layer: number; readonly buffer: number },
  layers: number,
  heads: number,
): number {
  let best = 0;
  const share = (head: number): number => perHead[(layer * heads + head) * layers + buffer] ?? 0;
  for (let head = 1; head < heads; head++) if (share(head) > share(best)) best = head;
  return best;
}

export function difference(a: Matrix, b: Matrix): Matrix {
  return { ...a, values: a.values.map((value, i) => value - (b.values[i] ?? NaN)) };
}

export function valueAt({ values, columns }: Matrix, row: number, column: number): number {
  return values[row * columns + column] ?? NaN;
}

/** The layers that have buffers to choose from. */
export function routedLayers(layers: number): number[] {
  return Array.from({ length: Math.max(0, layers - 1) }, (_, i) => i + 1);
}
