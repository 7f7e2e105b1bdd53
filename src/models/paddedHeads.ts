import type { Graph, Value } from '../onnx/graph.ts';

/*
 * onnxruntime's attention wants heads, and the values of a head that are rotated, in multiples of 16. Others get zeros
 * behind each of the two rotated halves, and behind the rest: rotated zeros are zeros, which add nothing to a product
 * and are cut off again.
 */

/** A head's values: the first `rotaryWidth` of them are rotated. */
export interface HeadShape {
  readonly headWidth: number;
  readonly rotaryWidth: number;
}

/** The width of a head within the attention, and so in its cache. */
export function paddedWidth({ headWidth, rotaryWidth }: HeadShape): number {
  return sixteens(sixteens(rotaryWidth) + headWidth - rotaryWidth);
}

/** Pairs of a head that are rotated within the attention, those of zeros included: columns of the tables. */
export function rotaryColumns({ rotaryWidth }: HeadShape): number {
  return sixteens(rotaryWidth) / 2;
}

function sixteens(width: number): number {
  return Math.ceil(width / 16) * 16;
}

/** x (1, T, count headWidth) with every head padded: (1, T, count paddedWidth). */
export function padHeads(graph: Graph, x: Value, count: number, head: HeadShape): Value {
  const { headWidth, rotaryWidth } = head;
  const width = paddedWidth(head);
  if (width === headWidth) return x;
  const flat = graph.int64([1, -1, count * width]);
  if (rotaryWidth === headWidth) {
    return graph.op('Reshape', [padHalves(graph, x, count, headWidth), flat]);
  }
  const heads = graph.op('Reshape', [x, graph.int64([-1, count, headWidth])]); // (T, count, headWidth)
  const rest = slice(graph, heads, [rotaryWidth, headWidth], 2);
  const free = width - sixteens(rotaryWidth) - (headWidth - rotaryWidth);
  const padded = graph.op('Pad', [rest, graph.int64([0, 0, 0, 0, 0, free])]);
  if (rotaryWidth === 0) return graph.op('Reshape', [padded, flat]);
  const rotated = padHalves(graph, slice(graph, heads, [0, rotaryWidth], 2), count, rotaryWidth);
  const front = graph.op('Reshape', [rotated, graph.int64([-1, count, sixteens(rotaryWidth)])]);
  return graph.op('Reshape', [graph.op('Concat', [front, padded], { axis: 2n }), flat]);
}

/** What the attention gives (1, T, count paddedWidth), as rows without the zeros: (T, count headWidth). */
export function cutHeads(graph: Graph, x: Value, count: number, head: HeadShape): Value {
  const { headWidth, rotaryWidth } = head;
  const width = paddedWidth(head);
  const rows = graph.int64([-1, count * headWidth]);
  if (width === headWidth) return graph.op('Reshape', [x, rows]);
  if (rotaryWidth === headWidth) {
    return graph.op('Reshape', [cutHalves(graph, x, count, headWidth), rows]);
  }
  const heads = graph.op('Reshape', [x, graph.int64([-1, count, width])]); // (T, count, paddedWidth)
  const start = sixteens(rotaryWidth);
  const rest = slice(graph, heads, [start, start + headWidth - rotaryWidth], 2);
  if (rotaryWidth === 0) return graph.op('Reshape', [rest, rows]);
  const halves = cutHalves(graph, slice(graph, heads, [0, start], 2), count, rotaryWidth);
  const front = graph.op('Reshape', [halves, graph.int64([-1, count, rotaryWidth])]);
  return graph.op('Reshape', [graph.op('Concat', [front, rest], { axis: 2n }), rows]);
}

/** (T, count, 2, padded half) of heads of `width` values, which are all rotated. */
function padHalves(graph: Graph, x: Value, count: number, width: number): Value {
  const halves = graph.op('Reshape', [x, graph.int64([-1, count, 2, width / 2])]);
  const zeros = graph.int64([0, 0, 0, 0, 0, 0, 0, (sixteens(width) - width) / 2]);
  return graph.op('Pad', [halves, zeros]);
}

/** (T, count, 2, width / 2) of heads whose halves are padded. */
function cutHalves(graph: Graph, x: Value, count: number, width: number): Value {
  const halves = graph.op('Reshape', [x, graph.int64([-1, count, 2, sixteens(width) / 2])]);
  return slice(graph, halves, [0, width / 2], 3);
}

function slice(graph: Graph, x: Value, [from, to]: readonly [number, number], axis: number): Value {
  return graph.op('Slice', [x, graph.int64([from]), graph.int64([to]), graph.int64([axis])]);
}
