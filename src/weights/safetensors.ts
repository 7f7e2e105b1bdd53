import { bfloat16ToFloat32, float16ToFloat32 } from '../common/float16.ts';
import { Failure } from '../common/failure.ts';
import { writeAtomically } from './atomicFile.ts';
import { readBytes, withFile } from './fileBytes.ts';
import {
  badFile,
  elementSize,
  maxHeaderLength,
  parseHeader,
  type Dtype,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensorsHeader.ts';

/** The typed array that holds a tensor's elements; 16-bit floats are held as their bits. */
export interface ElementArrays {
  F64: Float64Array;
  I64: BigInt64Array;
  F32: Float32Array;
  I32: Int32Array;
  U32: Uint32Array;
  F16: Uint16Array;
  BF16: Uint16Array;
  I16: Int16Array;
  U16: Uint16Array;
  U8: Uint8Array;
  BOOL: Uint8Array;
}

/** One tensor in memory, row-major. */
export type Tensor = {
  [D in Dtype]: {
    readonly dtype: D;
    readonly shape: readonly number[];
    readonly data: ElementArrays[D];
  };
}[Dtype];

/**
 * A safetensors file whose header has been checked; tensors are read when asked for. Numbers are not looked at:
 * whether NaN is welcome is the caller's to say.
 */
export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;

  private constructor(path: string, header: SafetensorsHeader) {
    this.path = path;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  static async open(path: string): Promise<SafetensorsFile> {
    return await withFile(path, async file => {
      const stat = await file.stat();
      const { size } = stat;
      if (!stat.isFile()) throw badFile(path, 'it is a folder or a device');
      if (size < 8) throw badFile(path, `it has ${String(size)} bytes, a header length needs 8`);
      const prefix = await readBytes(file, 0, 8, path);
      const length = new DataView(prefix.buffer).getBigUint64(0, true);
      if (length > BigInt(Math.min(maxHeaderLength, size - 8))) {
        throw badFile(path, `it claims a header of ${String(length)} bytes in ${String(size)}`);
      }
      const bytes = await readBytes(file, 8, Number(length), path);
      return new SafetensorsFile(path, parseHeader(decodeUtf8(bytes, path), size, path));
    });
  }

  /** The tensor `name` in its own element type. */
  async read(name: string): Promise<Tensor> {
    const entry = this.tensors.get(name);
    if (!entry) throw badFile(this.path, `it has no tensor "${name}"`);
    const bytes = await withFile(this.path, file =>
      readBytes(file, entry.start, entry.end - entry.start, this.path),
    );
    return asTensor(entry, bytes);
  }

  /** The tensor `name` as float32; only for the float types. */
  async readFloat32(name: string): Promise<Float32Array> {
    const tensor = await this.read(name);
    const values = toFloat32(tensor);
    if (values) return values;
    throw badFile(this.path, `tensor "${name}" is ${tensor.dtype}, expected F32, F16, BF16 or F64`);
  }
}

/**
 * Writes a safetensors file atomically, laid out as the reference implementation does: larger element types first,
 * then by name, data from a multiple of 8 bytes on.
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const order = Object.keys(elementSize);
  const inOrder = Object.entries(tensors).sort(
    ([nameA, a], [nameB, b]) =>
      order.indexOf(a.dtype) - order.indexOf(b.dtype) || (nameA < nameB ? -1 : 1),
  );
  const entries: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) entries.push(['__metadata__', metadata]);
  let offset = 0;
  for (const [name, { dtype, shape, data }] of inOrder) {
    if (shape.reduce((product, size) => product * size, 1) !== data.length) {
      throw new Failure(
        'internal',
        `Tensor "${name}" of shape [${shape.join(', ')}] was given ${String(data.length)} elements.`,
      );
    }
    const end = offset + data.byteLength;
    entries.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20, 8);
  header.set(json, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  await writeAtomically(path, [header, ...inOrder.map(([, tensor]) => tensor.data)]);
}

/** The elements of a float tensor as float32; undefined for the integer types. */
export function toFloat32(tensor: Tensor): Float32Array | undefined {
  switch (tensor.dtype) {
    case 'F32':
      return tensor.data;
    case 'F64':
      return Float32Array.from(tensor.data);
    case 'F16':
      return float16ToFloat32(tensor.data);
    case 'BF16':
      return bfloat16ToFloat32(tensor.data);
    default:
      return undefined;
  }
}

function asTensor({ dtype, shape }: TensorEntry, bytes: Uint8Array<ArrayBuffer>): Tensor {
  switch (dtype) {
    case 'F64':
      return { dtype, shape, data: new Float64Array(bytes.buffer) };
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(bytes.buffer) };
    case 'F32':
      return { dtype, shape, data: new Float32Array(bytes.buffer) };
    case 'I32':
      return { dtype, shape, data: new Int32Array(bytes.buffer) };
    case 'U32':
      return { dtype, shape, data: new Uint32Array(bytes.buffer) };
    case 'F16':
    case 'BF16':
    case 'U16':
      return { dtype, shape, data: new Uint16Array(bytes.buffer) };
    case 'I16':
      return { dtype, shape, data: new Int16Array(bytes.buffer) };
    case 'U8':
    case 'BOOL':
      return { dtype, shape, data: bytes };
  }
}

function decodeUtf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badFile(path, 'its header is not UTF-8 text');
  }
}
