import { Failure } from '../../common/failure.ts';
import type { Value } from '../graph.ts';
import { fromStart } from '../shapes.ts';
import type { Algebra } from './algebra.ts';
import type { OpNode, Rule, RuleTable } from './rule.ts';

const backToShape: Rule = (math, { a }, d) => [() => math.reshapeLike(d, a)];

/** Ops that move elements, or pick some of them. */
export const shapingRules: RuleTable = {
  Reshape: backToShape,
  Squeeze: backToShape,
  Unsqueeze: backToShape,
  Expand: (math, { a }, d) => [() => math.sumTo(d, a)],
  Transpose: (math, node, d) => {
    const order = node.ints('perm');
    // Without an order the axes are reversed, which undoes itself.
    const inverse = order && { perm: order.map((_, axis) => BigInt(order.indexOf(axis))) };
    return [() => math.op('Transpose', [d], inverse)];
  },
  Concat: (math, node, d) => {
    const axis = node.int('axis', 0);
    const parts = node.proto.input.map((_, i) => node.input(i));
    const sizes = lengthsAlong(math, parts, axis);
    const split = math.graph.outputsOf(parts.length, 'Split', [d, sizes], { axis: BigInt(axis) });
    return split.map(part => () => part);
  },
  Split: (math, node) => [
    () => {
      const parts = node.proto.output.map(
        (_, i) => node.gradients[i] ?? math.filled(0, node.output(i)),
      );
      return math.op('Concat', parts, { axis: BigInt(node.int('axis', 0)) });
    },
  ],
  Slice: (math, node, d) => [() => padded(math, node, d)],
  Pad: (math, node, d) => [() => unpadded(math, node, d)],
  Gather: (math, node, d) => [() => gathered(math, node, d)],
  GatherElements: (math, node, d) => [
    () => scattered(math, node.a, node.b, d, node.int('axis', 0)),
  ],
  // The k largest are elements of the input, and their places are known.
  TopK: (math, node, d) => [() => scattered(math, node.a, node.output(1), d, node.int('axis', -1))],
};

/** The lengths along an axis, int64 (parts). */
function lengthsAlong(math: Algebra, parts: readonly Value[], axis: number): Value {
  const known = parts.map(part => math.knownShape(part)?.at(axis));
  if (known.every(length => typeof length === 'number')) return math.integers(...known);
  const end = axis === -1 ? undefined : axis + 1;
  const lengths = parts.map(part => math.shape(part, axis, end));
  return math.op('Concat', lengths, { axis: 0n });
}

/**
 * Zeros of the shape of `like`, with `d` added at `indices` along the axis. ScatterElements runs on one thread and adds
 * right where indices repeat; ScatterND loses additions when several threads run it.
 */
function scattered(math: Algebra, like: Value, indices: Value, d: Value, axis: number): Value {
  return math.op('ScatterElements', [math.filled(0, like), indices, d], {
    axis: BigInt(axis),
    reduction: 'add',
  });
}

/** The indices of a Gather take the place of one axis: they are laid along it and repeated over the others. */
function gathered(math: Algebra, node: OpNode, d: Value): Value {
  const axis = node.int('axis', 0);
  const before = math.shape(node.a, 0, axis);
  const behind = axis === -1 ? math.integers() : math.shape(node.a, axis + 1);
  const ones = math.op('Expand', [math.integers(1), math.shape(behind)]);
  const column = math.op('Concat', [math.integers(-1), ones], { axis: 0n });
  const count = math.reshape(math.op('Size', [node.b]), math.integers(1));
  const shape = math.op('Concat', [before, count, behind], { axis: 0n });
  const indices = math.op('Expand', [math.reshape(node.b, column), shape]);
  return scattered(math, node.a, indices, math.reshape(d, shape), axis);
}

/** The end of a Slice that leaves nothing out. */
const toTheEnd = Number.MAX_SAFE_INTEGER;

/** Of `d`, what lies where the input of a Pad lay. */
function unpadded(math: Algebra, node: OpNode, d: Value): Value {
  if (node.text('mode', 'constant') !== 'constant') node.refuse('pads with other than a constant');
  const pads = math.constant(node.b);
  if (pads?.some(count => count < 0)) node.refuse('cuts off');
  const axes = node.optionalInput(3);
  if (pads) {
    const ends = pads.slice(pads.length / 2).map(count => (count > 0 ? -count : toTheEnd));
    const bounds = [pads.slice(0, pads.length / 2), ends].map(bound => math.integers(...bound));
    return math.op('Slice', [d, ...bounds, ...(axes ? [axes] : [])]);
  }
  const [before] = math.graph.outputsOf(2, 'Split', [node.b], { axis: 0n, num_outputs: 2n });
  if (!before) throw new Failure('internal', 'Split gives two parts.');
  const shape = math.shape(node.a);
  const lengths = axes ? math.op('Gather', [shape, axes]) : shape;
  return math.op('Slice', [d, before, math.add(before, lengths), ...(axes ? [axes] : [])]);
}

/** What a Slice left out, as zeros around `d`. */
function padded(math: Algebra, node: OpNode, d: Value): Value {
  const steps = node.optionalInput(4);
  if (steps && !math.constant(steps)?.every(step => step === 1)) {
    node.refuse('takes steps other than 1');
  }
  const known = knownPads(math, node);
  if (known?.every(count => count === 0)) return d;
  if (known) return math.op('Pad', [d, math.integers(...known)]);
  const axes = node.optionalInput(3);
  const lengthsOf = (value: Value) =>
    axes ? math.op('Gather', [math.shape(value), axes]) : math.shape(value);
  const [lengths, kept, starts] = [lengthsOf(node.a), lengthsOf(d), node.input(1)];
  const zero = math.integers(0);
  const fromEnd = math.op('Less', [starts, zero]);
  const counted = math.op('Where', [fromEnd, math.add(starts, lengths), starts]);
  const before = math.op('Min', [math.op('Max', [counted, zero]), lengths]);
  const behind = math.subtract(math.subtract(lengths, kept), before);
  const pads = math.op('Concat', [before, behind], { axis: 0n });
  return math.op('Pad', [d, pads, undefined, axes]);
}

/** What a Slice left out before and behind, axis for axis; undefined where only a run can tell. */
function knownPads(math: Algebra, node: OpNode): readonly number[] | undefined {
  const [whole, kept] = [math.knownShape(node.a), math.knownShape(node.y)];
  const starts = math.constant(node.input(1));
  if (!whole || !kept || !starts) return undefined;
  const axesInput = node.optionalInput(3);
  const axes = axesInput ? math.constant(axesInput) : starts.map((_, axis) => axis);
  const before = whole.map(() => 0);
  const behind = whole.map(() => 0);
  for (const [i, start] of starts.entries()) {
    const axis = fromStart(axes?.[i] ?? NaN, whole.length);
    const [length, left] = [whole[axis], kept[axis]];
    if (typeof length !== 'number' || typeof left !== 'number') return undefined;
    const first = Math.min(Math.max(start < 0 ? start + length : start, 0), length);
    before[axis] = first;
    behind[axis] = length - left - first;
  }
  return [...before, ...behind];
}
