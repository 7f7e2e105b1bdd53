import type { Graph, Value } from './graph.ts';

/** TensorProto.DataType.FLOAT */
const float = 1n;

/** What graphs of float32 arithmetic are written with: every call adds nodes; plain numbers are constants. */
export class Arithmetic {
  readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
  }

  op(type: string, ...inputs: readonly (Value | number)[]): Value {
    return this.graph.op(
      type,
      inputs.map(input => (typeof input === 'number' ? this.number(input) : input)),
    );
  }

  number(value: number): Value {
    return this.graph.float32(Float32Array.of(value), [1]);
  }

  add(a: Value | number, b: Value | number): Value {
    return this.op('Add', a, b);
  }

  sub(a: Value | number, b: Value | number): Value {
    return this.op('Sub', a, b);
  }

  mul(a: Value | number, b: Value | number): Value {
    return this.op('Mul', a, b);
  }

  div(a: Value | number, b: Value | number): Value {
    return this.op('Div', a, b);
  }

  square(a: Value): Value {
    return this.op('Mul', a, a);
  }

  /** 1 where a > b, else 0. */
  isAbove(a: Value | number, b: Value | number): Value {
    return this.asNumber(this.op('Greater', a, b));
  }

  asNumber(truth: Value): Value {
    return this.graph.op('Cast', [truth], { to: float });
  }

  /** The sum over an axis, which goes. */
  sum(a: Value, axis: number): Value {
    return this.reduce('ReduceSum', a, axis);
  }

  /** The sum of everything, (1): the last of two axes first, for sums of millions lose digits in one go. */
  total(a: Value): Value {
    return this.graph.op('ReduceSum', [this.sum(a, 1)], { keepdims: 1n });
  }

  reduce(type: string, a: Value, axis: number, keep = false): Value {
    return this.graph.op(type, [a, this.graph.int64([axis])], { keepdims: keep ? 1n : 0n });
  }

  /** Without, or with, an axis of length 1. */
  squeeze(a: Value, axis: number): Value {
    return this.graph.op('Squeeze', [a, this.graph.int64([axis])]);
  }

  unsqueeze(a: Value, axis: number): Value {
    return this.graph.op('Unsqueeze', [a, this.graph.int64([axis])]);
  }

  /** From `from` to before `to` along the axis. */
  slice(a: Value, from: number, to: number, axis = 0): Value {
    const [starts, ends, axes] = [from, to, axis].map(value => this.graph.int64([value]));
    return this.graph.op('Slice', [a, starts, ends, axes]);
  }

  /** Of the shape of `a`: made anew in each run, where a constant would stay in the device's memory. */
  zerosLike(a: Value): Value {
    return this.sub(a, a);
  }

  /** `into` with `rows` (b, k, ...) added at the rows that `indices` (b, k, 1) name, however often. */
  scatterAdd(into: Value, indices: Value, rows: Value): Value {
    return this.graph.op('ScatterND', [into, indices, rows], { reduction: 'add' });
  }
}
