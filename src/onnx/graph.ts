import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeKind,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
} from 'onnx-buf';

export type ElementType = 'float32' | 'int32' | 'int64';

/** A tensor of the graph under construction; only the graph that made it may use it. */
export interface Value {
  readonly name: string;
}

/** ONNX attributes are typed: a bigint is an int, a float is marked as one. */
export type Attribute = bigint | string | readonly bigint[] | { readonly float: number };

/** A dimension: a fixed length, or the name of one that each run decides. */
export type Dimension = number | string;

/** Float32 values in a file, which onnxruntime maps; `location` is relative to the session's data folder. */
export interface ExternalData {
  readonly location: string;
  readonly offset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
}

const elementTypes = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
} as const;

/** Builds an ONNX model: values flow from `input`, constants and `op` to `output`. */
export class Graph {
  private readonly nodes: object[] = [];
  private readonly initializers: object[] = [];
  private readonly inputs: object[] = [];
  private readonly outputs: object[] = [];
  private readonly externals = new Map<string, Value>();
  private made = 0;

  input(name: string, type: ElementType, shape: readonly Dimension[]): Value {
    this.inputs.push(valueInfo(name, type, shape));
    return { name };
  }

  /** Lets `value` out under `name`. */
  output(value: Value, name: string, type: ElementType, shape: readonly Dimension[]): void {
    this.nodes.push({
      opType: 'Identity',
      name: `out:${name}`,
      input: [value.name],
      output: [name],
    });
    this.outputs.push(valueInfo(name, type, shape));
  }

  float32(values: Float32Array, shape: readonly number[]): Value {
    return this.constant('float32', shape, values);
  }

  int64(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.constant('int64', shape, BigInt64Array.from(values, BigInt));
  }

  /** Values in a file; the same name gives the same value. */
  external(name: string, data: ExternalData): Value {
    const known = this.externals.get(name);
    if (known) return known;
    const value = { name: `weight:${name}` };
    this.externals.set(name, value);
    this.initializers.push({
      name: value.name,
      dataType: DataType.FLOAT,
      dims: data.shape.map(BigInt),
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        { key: 'location', value: data.location },
        { key: 'offset', value: String(data.offset) },
        { key: 'length', value: String(data.byteLength) },
      ],
    });
    return value;
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
    const values = Array.from({ length: count }, () => ({ name: `%${this.made++}` }));
    this.nodes.push({
      opType: type,
      domain,
      name: `${type}:${this.nodes.length}`,
      input: inputs.map(input => input?.name ?? ''),
      output: values.map(value => value.name),
      attribute: Object.entries(attributes).map(([name, value]) => attributeProto(name, value)),
    });
    return values as unknown as Outputs<N>;
  }

  /** The model as an ONNX protobuf. */
  bytes(): Uint8Array {
    const { nodes: node, initializers: initializer, inputs: input, outputs: output } = this;
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: 'loupe',
      opsetImport: [
        { domain: '', version: 21n },
        { domain: 'com.microsoft', version: 1n },
      ],
      graph: { name: 'loupe', node, initializer, input, output },
    });
    return toBinary(ModelProtoSchema, model);
  }

  private constant(
    type: ElementType,
    shape: readonly number[],
    values: Float32Array | BigInt64Array,
  ): Value {
    const value = { name: `%${this.made++}` };
    this.initializers.push({
      name: value.name,
      dataType: elementTypes[type],
      dims: shape.map(BigInt),
      rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    });
    return value;
  }
}

interface OutputsByCount {
  1: readonly [Value];
  2: readonly [Value, Value];
  3: readonly [Value, Value, Value];
}

type Outputs<N extends 1 | 2 | 3> = OutputsByCount[N];

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): object {
  const dim = shape.map(length =>
    typeof length === 'string'
      ? { value: { case: 'dimParam', value: length } }
      : { value: { case: 'dimValue', value: BigInt(length) } },
  );
  const tensorType = { elemType: elementTypes[type], shape: { dim } };
  return { name, type: { value: { case: 'tensorType', value: tensorType } } };
}

function attributeProto(name: string, value: Attribute): object {
  if (typeof value === 'bigint') return { name, type: AttributeKind.INT, i: value };
  if (typeof value === 'string') {
    return { name, type: AttributeKind.STRING, s: new TextEncoder().encode(value) };
  }
  if ('float' in value) return { name, type: AttributeKind.FLOAT, f: value.float };
  return { name, type: AttributeKind.INTS, ints: [...value] };
}
