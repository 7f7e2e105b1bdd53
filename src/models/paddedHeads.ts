import type { Graph, Value } from '../onnx/graph.ts';

/*
 * onnxruntime's attention wants heads of a multiple of 16 values. Narrower ones get zeros behind each of their two
 * rotated halves: rotated zeros are zeros, which add nothing to a product and are cut off again.
 */

/** The width of a head within the attention, and so in its cache. */
export function paddedWidth(headWidth: number): number {
  return Math.ceil(headWidth / 16) * 16;
}

/** x (1, T, count headWidth) with every head padded: (1, T, count paddedWidth). */
export function padHeads(graph: Graph, x: Value, count: number, headWidth: number): Value {
  const width = paddedWidth(headWidth);
  if (width === headWidth) return x;
  const halves = graph.op('Reshape', [x, graph.int64([-1, count, 2, headWidth / 2])]); // (T, count, 2, headWidth / 2)
  const zeros = graph.int64([0, 0, 0, 0, 0, 0, 0, (width - headWidth) / 2]);
  return graph.op('Reshape', [
    graph.op('Pad', [halves, zeros]),
    graph.int64([1, -1, count * width]),
  ]);
}

/** What the attention gives (1, T, count paddedWidth), as rows without the zeros: (T, count headWidth). */
export function cutHeads(graph: Graph, x: Value, count: number, headWidth: number): Value {
  const width = paddedWidth(headWidth);
  const rows = graph.int64([-1, count * headWidth]);
  if (width === headWidth) return graph.op('Reshape', [x, rows]);
  const halves = graph.op('Reshape', [x, graph.int64([-1, count, 2, width / 2])]); // (T, count, 2, paddedWidth / 2)
  const ends = [graph.int64([0]), graph.int64([headWidth / 2]), graph.int64([3])];
  return graph.op('Reshape', [graph.op('Slice', [halves, ...ends]), rows]);
}
