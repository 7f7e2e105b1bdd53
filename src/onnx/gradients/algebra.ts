import type { Attribute, Graph, Value } from '../graph.ts';
import { padded, type Shape, Shapes } from '../shapes.ts';

/** What rules write gradients with: every call adds to the graph. Element types follow from the values given. */
export class Algebra {
  readonly graph: Graph;
  private readonly shapes: Shapes;

  constructor(graph: Graph) {
    this.graph = graph;
    this.shapes = new Shapes(graph);
  }

  op(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): Value {
    return this.graph.op(type, inputs, attributes, domain);
  }

  add(a: Value, b: Value): Value {
    return this.op('Add', [a, b]);
  }

  subtract(a: Value, b: Value): Value {
    return this.op('Sub', [a, b]);
  }

  multiply(a: Value, b: Value): Value {
    return this.op('Mul', [a, b]);
  }

  divide(a: Value, b: Value): Value {
    return this.op('Div', [a, b]);
  }

  negative(a: Value): Value {
    return this.op('Neg', [a]);
  }

  integers(...values: readonly number[]): Value {
    return this.graph.int64(values);
  }

  /** A number, of the element type of `like`. */
  number(value: number, like: Value): Value {
    return this.op('CastLike', [this.graph.float32(Float32Array.of(value), []), like]);
  }

  /** The number wherever `like` has an element. */
  filled(value: number, like: Value): Value {
    return this.op('Expand', [this.number(value, like), this.shape(like)]);
  }

  /** The shape as a value, or the part of it from one axis to before another; axes may count from the end. */
  shape(of: Value, start?: number, end?: number): Value {
    const attributes = {
      ...(start !== undefined && { start: BigInt(start) }),
      ...(end !== undefined && { end: BigInt(end) }),
    };
    return this.op('Shape', [of], attributes);
  }

  reshape(a: Value, shape: Value): Value {
    return this.op('Reshape', [a, shape]);
  }

  /** `a` in the shape of `like`, which has as many elements: named beforehand where all lengths but one are known. */
  reshapeLike(a: Value, like: Value): Value {
    const shape = this.shapes.of(like);
    const named = shape?.filter(length => typeof length === 'string').length ?? Infinity;
    if (!shape || named > 1) return this.reshape(a, this.shape(like));
    const lengths = shape.map(length => (typeof length === 'number' ? length : -1));
    return this.reshape(a, this.integers(...lengths));
  }

  /** The sum along one axis, which stays with length 1. */
  sumAlong(a: Value, axis: number): Value {
    return this.op('ReduceSum', [a, this.integers(axis)]);
  }

  /** Undoes broadcasting: sums `gradient` over whatever was repeated to make the shape that it has of `to`'s. */
  sumTo(gradient: Value, to: Value): Value {
    const [from, target] = [this.shapes.of(gradient), this.shapes.of(to)];
    if (!from || !target) return this.sumAtRun(gradient, to);
    const added = from.length - target.length;
    const reduced: number[] = [];
    for (const [i, length] of padded(target, from.length).entries()) {
      if (i < added || length === from[i]) continue;
      if (length === 1) reduced.push(i);
      // A name against another length: only a run can tell whether it stands for 1.
      else if (typeof length === 'string') return this.sumAtRun(gradient, to);
    }
    let sum = gradient;
    if (reduced.length > 0) sum = this.op('ReduceSum', [sum, this.integers(...reduced)]);
    if (added === 0) return sum;
    const leading = Array.from({ length: added }, (_, i) => i);
    return this.op('ReduceSum', [sum, this.integers(...leading)], { keepdims: 0n });
  }

  /** The integers of a constant; undefined where each run decides them. */
  constant(value: Value): readonly number[] | undefined {
    return this.shapes.constant(value);
  }

  /** What is known of the shape without a run. */
  knownShape(of: Value): Shape | undefined {
    return this.shapes.of(of);
  }

  /** Says that `value` has the shape of `other`, where that cannot be inferred. */
  assumeShape(value: Value, other: Value): void {
    this.shapes.assume(value, other);
  }

  /** `sumTo`, with the axes found by each run. */
  private sumAtRun(gradient: Value, to: Value): Value {
    const [from, target] = [this.shape(gradient), this.shape(to)];
    const added = this.subtract(this.shape(from), this.shape(target));
    const ones = this.op('Expand', [this.integers(1), added]);
    const aligned = this.op('Concat', [ones, target], { axis: 0n });
    const differ = this.op('Not', [this.op('Equal', [from, aligned])]);
    const axes = this.reshape(this.op('NonZero', [differ]), this.integers(-1));
    const sum = this.op('ReduceSum', [gradient, axes], { noop_with_empty_axes: 1n });
    return this.reshape(sum, target);
  }
}
