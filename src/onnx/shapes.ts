import { type NodeProto, TensorProto_DataType as DataType, type ValueInfoProto } from 'onnx-buf';
import { intAttribute, integersOf, intsAttribute } from './attributes.ts';
import type { Dimension, Graph, Value } from './graph.ts';

const int64: number = DataType.INT64;

export type Shape = readonly Dimension[];

/**
 * What is known of the shapes of a graph's values without running it: fixed lengths, and names for those that each run
 * decides. Equal names are equal lengths; of different names nothing is known. Keeps up as the graph grows.
 */
export class Shapes {
  private readonly graph: Graph;
  private readonly shapes = new Map<string, Shape>();
  /** Constants of int64 and what `Shape` reads, by lengths known in the same way. */
  private readonly lists = new Map<string, Shape>();
  private seenNodes = 0;
  private seenInitializers = 0;
  private unnamed = 0;

  constructor(graph: Graph) {
    this.graph = graph;
    for (const info of graph.proto.input) {
      const shape = infoShape(info);
      if (shape) this.shapes.set(info.name, shape);
    }
  }

  /** Undefined: not even the rank is known. */
  of(value: Value): Shape | undefined {
    this.catchUp();
    return this.shapes.get(value.name);
  }

  /** The integers of a constant. */
  constant(value: Value): readonly number[] | undefined {
    this.catchUp();
    return this.numbers(value.name);
  }

  /** Says what cannot be inferred: that `value` has the shape of `other`. */
  assume(value: Value, other: Value): void {
    const shape = this.of(other);
    if (shape) this.shapes.set(value.name, shape);
  }

  private catchUp(): void {
    const { initializer, node } = this.graph.proto;
    for (; this.seenInitializers < initializer.length; this.seenInitializers++) {
      const tensor = initializer[this.seenInitializers];
      if (!tensor) continue;
      this.shapes.set(tensor.name, tensor.dims.map(Number));
      const small = tensor.dataType === int64 && tensor.dims.length <= 1;
      if (small) this.lists.set(tensor.name, integersOf(tensor));
    }
    for (; this.seenNodes < node.length; this.seenNodes++) {
      const next = node[this.seenNodes];
      if (next) this.visit(next);
    }
  }

  private visit(node: NodeProto): void {
    const [input = '', second = ''] = node.input;
    const [output = ''] = node.output;
    const list = this.listOf(node);
    if (list) this.lists.set(output, list);
    if (node.opType === 'Split' || node.opType === 'TopK') {
      if (node.opType === 'Split') this.visitSplit(node);
      else this.visitTopK(node);
      return;
    }
    const shape = this.outputShape(node, this.shapes.get(input), this.shapes.get(second));
    if (shape) this.shapes.set(output, shape);
  }

  private listOf(node: NodeProto): Shape | undefined {
    const [input = ''] = node.input;
    if (node.opType === 'Concat') {
      const parts = node.input.map(name => this.lists.get(name));
      return parts.every(part => part !== undefined) ? parts.flat() : undefined;
    }
    if (node.opType !== 'Shape') return undefined;
    const shape = this.shapes.get(input);
    const end = intAttribute(node, 'end', shape?.length ?? 0);
    return shape?.slice(intAttribute(node, 'start', 0), end);
  }

  private numbers(name: string | undefined): readonly number[] | undefined {
    const list = this.lists.get(name ?? '');
    return list?.every(length => typeof length === 'number') ? list : undefined;
  }

  private outputShape(node: NodeProto, a: Shape | undefined, b: Shape | undefined) {
    switch (node.opType) {
      case 'Add':
      case 'Sub':
      case 'Mul':
      case 'Div':
      case 'Pow':
      case 'Sum':
      case 'Where':
      case 'Greater':
      case 'GreaterOrEqual':
      case 'Less':
      case 'And':
      case 'Equal':
        return this.broadcast(node.input.map(name => this.shapes.get(name)));
      case 'Neg':
      case 'Exp':
      case 'Log':
      case 'Sqrt':
      case 'Reciprocal':
      case 'Sigmoid':
      case 'Tanh':
      case 'Relu':
      case 'Softmax':
      case 'LogSoftmax':
      case 'SimplifiedLayerNormalization':
      case 'GroupQueryAttention':
      case 'Identity':
      case 'Cast':
      case 'CastLike':
      case 'ScatterElements':
        return a;
      case 'GatherElements':
        return b;
      case 'Gemm':
        return this.product(node, a, b);
      case 'MatMul':
      case 'FusedMatMul':
        return this.batchedProduct(node, a, b);
      case 'Transpose':
        return a && permuted(a, intsAttribute(node, 'perm') ?? [...a.keys()].reverse());
      case 'Reshape':
        return this.reshaped(node, a);
      case 'Expand':
        return this.broadcast([a, this.target(node)]);
      case 'Unsqueeze':
        return this.unsqueezed(node, a);
      case 'Squeeze':
      case 'ReduceSum':
      case 'ReduceMean':
      case 'ReduceMax':
      case 'ReduceLogSumExp':
        return this.reduced(node, a);
      case 'Gather': {
        const axis = a && fromStart(intAttribute(node, 'axis', 0), a.length);
        return a && b && axis !== undefined
          ? [...a.slice(0, axis), ...b, ...a.slice(axis + 1)]
          : undefined;
      }
      case 'Slice':
        return a && this.sliced(node, a);
      case 'Pad':
        return a && this.paddedOut(node, a);
      case 'Concat':
        return this.joined(node);
      default:
        return undefined;
    }
  }

  private broadcast(shapes: readonly (Shape | undefined)[]): Shape | undefined {
    let result: Shape = [];
    for (const shape of shapes) {
      if (!shape) return undefined;
      const rank = Math.max(result.length, shape.length);
      const [a, b] = [padded(result, rank), padded(shape, rank)];
      result = a.map((length, i) => this.together(length, b[i] ?? 1));
    }
    return result;
  }

  private together(a: Dimension, b: Dimension): Dimension {
    if (a === b || b === 1) return a;
    if (a === 1) return b;
    if (typeof a === 'number') return a;
    return typeof b === 'number' ? b : this.fresh();
  }

  private product(node: NodeProto, a: Shape | undefined, b: Shape | undefined) {
    const rows = a?.[intAttribute(node, 'transA', 0) ? 1 : 0];
    const columns = b?.[intAttribute(node, 'transB', 0) ? 0 : 1];
    return rows === undefined || columns === undefined ? undefined : [rows, columns];
  }

  private batchedProduct(node: NodeProto, a: Shape | undefined, b: Shape | undefined) {
    if (!a || !b || a.length < 2 || b.length < 2) return undefined;
    const rows = a.at(intAttribute(node, 'transA', 0) ? -1 : -2) ?? 1;
    const columns = b.at(intAttribute(node, 'transB', 0) ? -2 : -1) ?? 1;
    const batch = this.broadcast([a.slice(0, -2), b.slice(0, -2)]);
    return batch && [...batch, rows, columns];
  }

  /** The shape that a Reshape or an Expand names. */
  private target(node: NodeProto): Shape | undefined {
    return this.lists.get(node.input[1] ?? '');
  }

  private reshaped(node: NodeProto, a: Shape | undefined): Shape | undefined {
    const target = this.target(node)?.map((length, i) => (length === 0 ? a?.[i] : length));
    const known = target?.filter(length => length !== -1);
    if (!target || !known?.every(length => length !== undefined)) return undefined;
    const rest = this.quotient(a, known);
    return target.map(length => (length === undefined || length === -1 ? rest : length));
  }

  /** The one length that is left of `a` when the lengths `known` are divided out. */
  private quotient(a: Shape | undefined, known: Shape): Dimension {
    const names = (a ?? [this.fresh()]).filter(length => typeof length === 'string');
    for (const length of known) {
      const at = names.indexOf(String(length));
      if (typeof length === 'string' && at < 0) return this.fresh();
      if (typeof length === 'string') names.splice(at, 1);
    }
    const ratio = size(a ?? []) / size(known);
    if (names.length === 0) return ratio;
    return names.length === 1 && ratio === 1 ? (names[0] ?? this.fresh()) : this.fresh();
  }

  private unsqueezed(node: NodeProto, a: Shape | undefined): Shape | undefined {
    const axes = this.numbers(node.input[1]);
    if (!a || !axes) return undefined;
    const rank = a.length + axes.length;
    const added = new Set(axes.map(axis => fromStart(axis, rank)));
    const rest = a[Symbol.iterator]();
    return Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.next().value ?? 1)));
  }

  private reduced(node: NodeProto, a: Shape | undefined): Shape | undefined {
    const axes = this.numbers(node.input[1]);
    if (!a || (node.input[1] && !axes) || (node.opType === 'Squeeze' && !axes)) return undefined;
    const gone = new Set(axes?.map(axis => fromStart(axis, a.length)) ?? a.keys());
    const keep = node.opType !== 'Squeeze' && intAttribute(node, 'keepdims', 1) === 1;
    return keep ? a.map((n, i) => (gone.has(i) ? 1 : n)) : a.filter((_, i) => !gone.has(i));
  }

  private sliced(node: NodeProto, a: Shape): Shape | undefined {
    const [starts, ends, axes = [...a.keys()], steps] = node.input
      .slice(1)
      .map(name => this.numbers(name));
    if (node.input[3] && !this.numbers(node.input[3])) return undefined;
    const shape = [...this.changed(a, axes)];
    axes.forEach((axis, i) => {
      const [length, start, end] = [a.at(axis), starts?.[i], ends?.[i]];
      if (typeof length !== 'number' || start === undefined || end === undefined) return;
      if (node.input[4] && steps?.[i] !== 1) return;
      const within = (n: number) => Math.min(Math.max(n < 0 ? n + length : n, 0), length);
      shape[fromStart(axis, a.length)] = Math.max(0, within(end) - within(start));
    });
    return shape;
  }

  private paddedOut(node: NodeProto, a: Shape): Shape | undefined {
    const pads = this.numbers(node.input[1]);
    const axes = node.input[3] ? this.numbers(node.input[3]) : [...a.keys()];
    if (!pads || !axes) return undefined;
    const shape = [...a];
    axes.forEach((axis, i) => {
      const added = (pads[i] ?? 0) + (pads[i + axes.length] ?? 0);
      const length = a.at(axis);
      if (added === 0 || length === undefined) return;
      shape[fromStart(axis, a.length)] = typeof length === 'number' ? length + added : this.fresh();
    });
    return shape;
  }

  private joined(node: NodeProto): Shape | undefined {
    const parts = node.input.map(name => this.shapes.get(name));
    const [first] = parts;
    if (!first) return undefined;
    const axis = fromStart(intAttribute(node, 'axis', 0), first.length);
    const lengths = parts.map(part => part?.[axis]);
    const total = lengths.every(length => typeof length === 'number')
      ? lengths.reduce((sum, length) => sum + length, 0)
      : this.fresh();
    return first.map((length, i) => (i === axis ? total : length));
  }

  private visitSplit(node: NodeProto): void {
    const shape = this.shapes.get(node.input[0] ?? '');
    if (!shape) return;
    const sizes = this.lists.get(node.input[1] ?? '');
    const axis = fromStart(intAttribute(node, 'axis', 0), shape.length);
    const whole = shape[axis];
    const even = typeof whole === 'number' && !node.input[1] ? whole / node.output.length : NaN;
    node.output.forEach((name, part) => {
      const length = sizes?.[part] ?? (Number.isInteger(even) ? even : this.fresh());
      this.shapes.set(
        name,
        shape.map((known, i) => (i === axis ? length : known)),
      );
    });
  }

  private visitTopK(node: NodeProto): void {
    const shape = this.shapes.get(node.input[0] ?? '');
    if (!shape) return;
    const axis = fromStart(intAttribute(node, 'axis', -1), shape.length);
    const count = this.numbers(node.input[1])?.[0] ?? this.fresh();
    const kept = shape.map((length, i) => (i === axis ? count : length));
    for (const name of node.output) this.shapes.set(name, kept);
  }

  /** `a` with lengths of which nothing is known along the axes. */
  private changed(a: Shape, axes: readonly number[]): Shape {
    const gone = new Set(axes.map(axis => fromStart(axis, a.length)));
    return a.map((length, i) => (gone.has(i) ? this.fresh() : length));
  }

  private fresh(): string {
    return `?${this.unnamed++}`;
  }
}

export function fromStart(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function infoShape(info: ValueInfoProto): Shape | undefined {
  if (info.type?.value.case !== 'tensorType') return undefined;
  return info.type.value.value.shape?.dim.map(({ value }, i) => {
    if (value.case === 'dimValue') return Number(value.value);
    return value.case === 'dimParam' ? value.value : `?${info.name}.${i}`;
  });
}

export function padded(shape: Shape, rank: number): Shape {
  return [...Array.from({ length: rank - shape.length }, () => 1), ...shape];
}

function permuted(shape: Shape, order: readonly number[]): Shape {
  return order.map(axis => shape[axis] ?? 1);
}

/** The product of the fixed lengths. */
function size(shape: Shape): number {
  return shape.reduce<number>((product, n) => (typeof n === 'number' ? product * n : product), 1);
}
