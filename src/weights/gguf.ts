import { closeSync, fstatSync, openSync } from 'node:fs';
import { Failure } from '../common/failure.ts';
import { type BlockType, blockTypes, unreadTypes } from './ggufBlocks.ts';
import { GgufCursor } from './ggufCursor.ts';

export type MetadataScalar = number | bigint | boolean | string;
/** 64-bit integers are numbers where a number holds them exactly. */
export type MetadataValue = MetadataScalar | readonly MetadataScalar[];

/** Where one tensor lies in a GGUF file. */
export interface GgufTensor {
  readonly name: string;
  readonly type: BlockType;
  /** Row-major, the contiguous dimension last (ggml's `ne` reversed). */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

/** The header of a GGUF file: what it says of itself and where its tensors lie. */
export interface GgufFile {
  readonly path: string;
  readonly size: number;
  readonly version: number;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Counts beyond these are no model that Loupe could run; they bound the memory of a hostile header. */
const limits = { pairs: 1 << 16, tensors: 1 << 16, arrayElements: 1 << 22, dimensions: 4 };

/** Reads the header of a GGUF v2 or v3 file. Source: ggml's docs/gguf.md. */
export function readGguf(path: string): GgufFile {
  const file = openFile(path);
  try {
    const status = fstatSync(file);
    if (!status.isFile())
      throw new Failure('bad-file', `${path}: expected a file, found a folder or device.`);
    if (status.size === 0) throw new Failure('empty', `${path} is empty: expected a GGUF model.`);
    return readHeader(new GgufCursor(file, path, status.size));
  } finally {
    closeSync(file);
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const failure = Failure.from(error);
    const message = failure.code === 'not-found' ? `There is no file ${path}.` : failure.message;
    throw new Failure(failure.code, message, { action: 'Choose a GGUF file.', cause: error });
  }
}

function readHeader(cursor: GgufCursor): GgufFile {
  const version = readVersion(cursor);
  const tensorCount = cursor.count('the number of tensors', limits.tensors);
  const pairCount = cursor.count('the number of metadata pairs', limits.pairs);
  const metadata = readMetadata(cursor, pairCount);
  const infos = Array.from({ length: tensorCount }, (_, i) => readTensorInfo(cursor, i));
  const alignment = readAlignment(cursor, metadata);
  const data = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const info of infos) {
    if (tensors.has(info.name))
      throw cursor.bad(`tensor "${info.name}"`, 'one of that name', 'two');
    tensors.set(info.name, placeTensor(cursor, info, data, alignment));
  }
  refuseOverlaps(cursor, [...tensors.values()]);
  return { path: cursor.path, size: cursor.size, version, metadata, tensors };
}

function readVersion(cursor: GgufCursor): number {
  const magic = cursor.uint32('the magic number');
  if (magic !== 0x46554747) {
    throw cursor.bad('the magic number', '"GGUF"', `0x${magic.toString(16).padStart(8, '0')}`);
  }
  const version = cursor.uint32('the version');
  if (version === 2 || version === 3) return version;
  if (version === 1 || version === 0x02000000 || version === 0x03000000) {
    const found = version === 1 ? 'version 1' : 'a big-endian file';
    throw new Failure(
      'unsupported',
      `${cursor.path}: expected GGUF version 2 or 3, found ${found}.`,
    );
  }
  throw cursor.bad('the version', '2 or 3', version);
}

function readMetadata(cursor: GgufCursor, count: number): Map<string, MetadataValue> {
  const metadata = new Map<string, MetadataValue>();
  const budget = { elements: limits.arrayElements };
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`the key of metadata pair ${i}`);
    if (metadata.has(key)) throw cursor.bad(`metadata "${key}"`, 'one of that name', 'two');
    metadata.set(key, readValue(cursor, `metadata "${key}"`, budget));
  }
  return metadata;
}

const arrayType = 9;

const scalars: ReadonlyMap<number, (cursor: GgufCursor, where: string) => MetadataScalar> = new Map<
  number,
  (cursor: GgufCursor, where: string) => MetadataScalar
>([
  [0, (c, where) => c.uint8(where)],
  [1, (c, where) => c.int8(where)],
  [2, (c, where) => c.uint16(where)],
  [3, (c, where) => c.int16(where)],
  [4, (c, where) => c.uint32(where)],
  [5, (c, where) => c.int32(where)],
  [6, (c, where) => c.float32(where)],
  [7, (c, where) => c.uint8(where) !== 0],
  [8, (c, where) => c.string(where)],
  [10, (c, where) => exactNumber(c.uint64(where))],
  [11, (c, where) => exactNumber(c.int64(where))],
  [12, (c, where) => c.float64(where)],
]);

function exactNumber(value: bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function readValue(cursor: GgufCursor, where: string, budget: { elements: number }): MetadataValue {
  const type = cursor.uint32(`the type of ${where}`);
  if (type !== arrayType) return readerOf(cursor, type, where)(cursor, where);
  const elementType = cursor.uint32(`the element type of ${where}`);
  const read = readerOf(cursor, elementType, where);
  const count = cursor.count(`the length of ${where}`, Math.min(budget.elements, cursor.remaining));
  budget.elements -= count;
  const values: MetadataScalar[] = [];
  for (let i = 0; i < count; i++) values.push(read(cursor, where));
  return values;
}

function readerOf(cursor: GgufCursor, type: number, where: string) {
  const reader = scalars.get(type);
  if (!reader) throw cursor.bad(`the type of ${where}`, 'a value type from 0 to 12', type);
  return reader;
}

interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: BlockType;
  /** From the start of the data section. */
  readonly offset: number;
}

function readTensorInfo(cursor: GgufCursor, index: number): TensorInfo {
  const name = cursor.string(`the name of tensor ${index}`);
  const where = `tensor "${name}"`;
  const dimensions = cursor.uint32(`the number of dimensions of ${where}`);
  if (dimensions < 1 || dimensions > limits.dimensions) {
    throw cursor.bad(
      `the number of dimensions of ${where}`,
      `1 to ${limits.dimensions}`,
      dimensions,
    );
  }
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dimensions; i++) {
    const length = cursor.count(`a dimension of ${where}`, Number.MAX_SAFE_INTEGER);
    elements *= length;
    if (length === 0 || !Number.isSafeInteger(elements)) {
      throw cursor.bad(`a dimension of ${where}`, 'a positive, addressable length', length);
    }
    shape.unshift(length);
  }
  const type = readBlockType(cursor, where);
  if ((shape.at(-1) ?? 0) % type.blockLength !== 0) {
    throw cursor.bad(where, `rows of a multiple of ${type.blockLength} values`, shape.at(-1) ?? 0);
  }
  return { name, shape, type, offset: cursor.count(`the offset of ${where}`, cursor.size) };
}

function readBlockType(cursor: GgufCursor, where: string): BlockType {
  const number = cursor.uint32(`the type of ${where}`);
  const type = blockTypes.get(number);
  if (type) return type;
  const name = unreadTypes.get(number);
  if (name === undefined) throw cursor.bad(`the type of ${where}`, 'a ggml type', number);
  const known = [...blockTypes.values()].map(known => known.name).join(', ');
  throw new Failure(
    'unsupported',
    `${cursor.path}: ${where} is encoded as ${name}; Loupe reads ${known}.`,
    {
      action: 'Choose a file of another quantisation.',
    },
  );
}

function readAlignment(cursor: GgufCursor, metadata: ReadonlyMap<string, MetadataValue>): number {
  const alignment = metadata.get('general.alignment') ?? 32;
  if (
    typeof alignment === 'number' &&
    alignment > 0 &&
    alignment <= 1 << 20 &&
    alignment % 8 === 0
  ) {
    return alignment;
  }
  throw cursor.bad('metadata "general.alignment"', 'a multiple of 8', describe(alignment));
}

function describe(value: MetadataValue): string {
  return typeof value === 'object' ? `an array of ${value.length}` : String(value);
}

function placeTensor(
  cursor: GgufCursor,
  info: TensorInfo,
  data: number,
  alignment: number,
): GgufTensor {
  const where = `tensor "${info.name}"`;
  const elements = info.shape.reduce((product, length) => product * length, 1);
  const byteLength = (elements / info.type.blockLength) * info.type.blockBytes;
  const offset = data + info.offset;
  if (info.offset % alignment !== 0) {
    throw cursor.bad(`the offset of ${where}`, `a multiple of ${alignment}`, info.offset);
  }
  if (offset + byteLength > cursor.size) {
    const expected = `${byteLength} bytes at offset ${offset} (${info.type.name}, ${info.shape.join(' x ')})`;
    throw cursor.bad(where, expected, `the end of the file at ${cursor.size}`);
  }
  return { name: info.name, type: info.type, shape: info.shape, offset, byteLength };
}

function refuseOverlaps(cursor: GgufCursor, tensors: GgufTensor[]): void {
  tensors.sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < tensors.length; i++) {
    const [before, after] = [tensors[i - 1], tensors[i]];
    if (!before || !after || before.offset + before.byteLength <= after.offset) continue;
    const where = `tensor "${after.name}"`;
    throw cursor.bad(
      where,
      `to begin after "${before.name}"`,
      `an overlap at offset ${after.offset}`,
    );
  }
}
