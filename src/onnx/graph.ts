import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeKind,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { Failure } from '../common/failure.ts';

export type ElementType = 'float32' | 'float64' | 'int32' | 'int64' | 'bool';

/** How the numbers of a file may be held, which the graph reads as float32. */
export type StoredType = 'float32' | 'float16' | 'bfloat16';

/** A tensor of the graph under construction; only the graph that made it may use it. */
export interface Value {
  readonly name: string;
}

/** ONNX attributes are typed: a bigint is an int, a float is marked as one; a graph is the body of a loop. */
export type Attribute =
  bigint | string | readonly bigint[] | { readonly float: number } | { readonly body: Graph };

/** A dimension: a fixed length, or the name of one that each run decides. */
export type Dimension = number | string;

/** Numbers in a file, which onnxruntime maps; `location` is relative to the session's data folder. */
export interface ExternalData {
  /** Absent: float32. */
  readonly type?: StoredType;
  readonly location: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
}

const elementTypes = {
  float32: DataType.FLOAT,
  float64: DataType.DOUBLE,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
} as const;

const storedTypes = {
  float32: DataType.FLOAT,
  float16: DataType.FLOAT16,
  bfloat16: DataType.BFLOAT16,
} as const;

/** The version of ONNX's operators that graphs are written in. */
const opset = 21n;

/** Builds an ONNX model: values flow from `input`, constants and `op` to `output`. */
export class Graph {
  /** What has been built so far, its nodes in the order in which they can run. */
  readonly proto: GraphProto;
  private readonly externals = new Map<string, Value>();
  private made: number;
  private readonly prefix: string;

  /** `prefix`: of the names that values get; the body of a loop needs others than the graph around it. */
  constructor(proto: GraphProto = create(GraphProtoSchema, { name: 'loupe' }), prefix = '') {
    this.proto = proto;
    this.prefix = prefix;
    this.made = firstFreeNumber(proto);
  }

  /** A graph that `bytes` made, to be built on. */
  static read(model: Uint8Array): Graph {
    const { graph, opsetImport } = fromBinary(ModelProtoSchema, model);
    const version = opsetImport.find(({ domain }) => domain === '')?.version;
    if (graph && version === opset) return new Graph(graph);
    throw new Failure(
      'unsupported',
      `Expected a graph of ONNX opset ${String(opset)}, found ${String(version ?? 'none')}.`,
    );
  }

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.proto.input.push(valueInfo(name, type, shape));
    return { name };
  }

  /** Lets `value` out under `name`. */
  output(value: Value, name: string, type: ElementType, shape: readonly Dimension[]): void {
    this.outputAs(value, valueInfo(name, type, shape));
  }

  /** The same for what may be left on a device: before all others, since onnxruntime-node 1.30 counts places from there. */
  outputLeft(value: Value, name: string, type: ElementType, shape: readonly Dimension[]): void {
    this.alias(value, name);
    this.proto.output.unshift(valueInfo(name, type, shape));
  }

  /** The same without a node between: what an op gave goes by that name, everywhere. `left` as `outputLeft`. */
  outputInPlace(
    value: Value,
    name: string,
    type: ElementType,
    shape: readonly Dimension[],
    left = false,
  ): Value {
    const renamed = (known: string) => (known === value.name ? name : known);
    for (const node of this.proto.node) {
      node.output = node.output.map(renamed);
      node.input = node.input.map(renamed);
    }
    const info = valueInfo(name, type, shape);
    if (left) this.proto.output.unshift(info);
    else this.proto.output.push(info);
    return { name };
  }

  /** Lets `value` out under the name, of the type and shape that `info` says. */
  outputAs(value: Value, info: ValueInfoProto): void {
    this.alias(value, info.name);
    this.proto.output.push(info);
  }

  /** Gives `value` another name. */
  alias(value: Value, name: string): void {
    this.proto.node.push(
      create(NodeProtoSchema, {
        opType: 'Identity',
        name: `out:${name}`,
        input: [value.name],
        output: [name],
      }),
    );
  }

  float32(values: Float32Array, shape: readonly number[]): Value {
    return this.constant('float32', shape, values);
  }

  int32(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.constant('int32', shape, Int32Array.from(values));
  }

  true(): Value {
    return this.constant('bool', [], Uint8Array.of(1));
  }

  int64(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.constant('int64', shape, BigInt64Array.from(values, BigInt));
  }

  /** Values in a file, in the file's own type (see `asFloat32`); the same name gives the same value. */
  external(name: string, data: ExternalData): Value {
    const known = this.externals.get(name);
    if (known) return known;
    const value = { name: weightName(name) };
    this.externals.set(name, value);
    const initializer = create(TensorProtoSchema, {
      name: value.name,
      dataType: storedTypes[data.type ?? 'float32'],
      dims: data.shape.map(BigInt),
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: data.location },
        { key: 'offset', value: String(data.offset) },
        { key: 'length', value: String(data.byteLength) },
      ],
    });
    this.proto.initializer.push(initializer);
    return value;
  }

  /** Values of a stored type as float32, which is what all arithmetic is done in. */
  asFloat32(value: Value, type: StoredType = 'float32'): Value {
    return type === 'float32' ? value : this.op('Cast', [value], { to: BigInt(DataType.FLOAT) });
  }

  asFloat16(value: Value): Value {
    return this.op('Cast', [value], { to: BigInt(DataType.FLOAT16) });
  }

  /** Adds a node with one output. */
  op(
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): Value {
    const [value] = this.ops(1, type, inputs, attributes, domain);
    return value;
  }

  /** Adds a node with several outputs. */
  ops<N extends 1 | 2 | 3>(
    count: N,
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): Outputs<N> {
    return this.outputsOf(count, type, inputs, attributes, domain) as unknown as Outputs<N>;
  }

  /** Adds a node with as many outputs as the caller knows only when it runs. */
  outputsOf(
    count: number,
    type: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): readonly Value[] {
    const values = Array.from({ length: count }, () => ({ name: `${this.prefix}%${this.made++}` }));
    const node = create(NodeProtoSchema, {
      opType: type,
      domain,
      name: `${type}:${values[0]?.name ?? ''}`,
      input: inputs.map(input => input?.name ?? ''),
      output: values.map(value => value.name),
      attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
    });
    this.proto.node.push(node);
    return values;
  }

  /** The model as an ONNX protobuf. */
  bytes(): Uint8Array {
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: 'loupe',
      opsetImport: [
        { domain: '', version: opset },
        { domain: 'com.microsoft', version: 1n },
      ],
      graph: this.proto,
    });
    return toBinary(ModelProtoSchema, model);
  }

  private constant(
    type: ElementType,
    shape: readonly number[],
    values: Float32Array | Int32Array | BigInt64Array | Uint8Array,
  ): Value {
    const value = { name: `${this.prefix}%${this.made++}` };
    const { buffer, byteOffset, byteLength } = values;
    const initializer = create(TensorProtoSchema, {
      name: value.name,
      dataType: elementTypes[type],
      dims: shape.map(BigInt),
      rawData: new Uint8Array(buffer, byteOffset, byteLength) as Uint8Array<ArrayBuffer>,
    });
    this.proto.initializer.push(initializer);
    return value;
  }
}

interface OutputsByCount {
  1: readonly [Value];
  2: readonly [Value, Value];
  3: readonly [Value, Value, Value];
}

type Outputs<N extends 1 | 2 | 3> = OutputsByCount[N];

/** The value that holds the weight `name`. */
export function weightName(name: string): string {
  return `weight:${name}`;
}

/** Values are numbered %0, %1, ... as they are made. */
function firstFreeNumber(proto: GraphProto): number {
  const names = [
    ...proto.initializer.map(({ name }) => name),
    ...proto.node.flatMap(({ output }) => output),
  ];
  return names.reduce((free, name) => {
    const number = /^%(\d+)$/.exec(name)?.[1];
    return number === undefined ? free : Math.max(free, Number(number) + 1);
  }, 0);
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map(length =>
    typeof length === 'string'
      ? { value: { case: 'dimParam' as const, value: length } }
      : { value: { case: 'dimValue' as const, value: BigInt(length) } },
  );
  const tensorType = { elemType: elementTypes[type], shape: { dim } };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: tensorType } },
  });
}

function attributeProto(name: string, value: Attribute): AttributeProto {
  return create(AttributeProtoSchema, { name, ...attributeValue(value) });
}

function attributeValue(value: Attribute) {
  if (typeof value === 'bigint') return { type: AttributeKind.INT, i: value };
  if (typeof value === 'string') {
    return { type: AttributeKind.STRING, s: new TextEncoder().encode(value) };
  }
  if ('float' in value) return { type: AttributeKind.FLOAT, f: value.float };
  if ('body' in value) return { type: AttributeKind.GRAPH, g: value.body.proto };
  return { type: AttributeKind.INTS, ints: [...value] };
}
