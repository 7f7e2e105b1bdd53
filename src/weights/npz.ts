import { Failure } from '../common/failure.ts';
import { asFloat32, elementBytes, type ElementKind } from './elements.ts';
import type { TensorSource } from './tensorSource.ts';
import { ZipFile } from './zipFile.ts';

/** Where the elements of an array begin in its entry, and what they are. */
interface StoredArray {
  readonly entry: string;
  readonly kind: ElementKind;
  readonly shape: readonly number[];
  /** The first dimension varies fastest. */
  readonly fortran: boolean;
  readonly dataStart: number;
}

/** An .npz file: arrays of NumPy (NEP 1, versions 1 to 3) in a zip archive. Objects and records are refused. */
export class NpzFile implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredArray>;
  private readonly zip: ZipFile;

  private constructor(zip: ZipFile, tensors: ReadonlyMap<string, StoredArray>) {
    this.path = zip.path;
    this.zip = zip;
    this.tensors = tensors;
  }

  static async open(path: string): Promise<NpzFile> {
    const zip = await ZipFile.open(path);
    const arrays = new Map<string, StoredArray>();
    for (const [entry, { size }] of zip.entries) {
      if (!entry.endsWith('.npy')) continue;
      const start = await zip.readStart(entry, maxHeader);
      arrays.set(entry.slice(0, -4), parseHeader(start, entry, size, path));
    }
    return new NpzFile(zip, arrays);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const array = this.tensors.get(name);
    if (!array) throw badArray(this.path, name, 'there is none');
    const bytes = await this.zip.read(array.entry);
    const values = asFloat32(bytes.subarray(array.dataStart), array.kind);
    return array.fortran ? inRows(values, array.shape) : values;
  }
}

/** Headers are a hundred bytes; more are a sign of another format. */
const maxHeader = 4096;

const kinds: Readonly<Record<string, ElementKind>> = {
  '<f8': 'f8',
  '<f4': 'f4',
  '<f2': 'f2',
  '<i8': 'i8',
  '<i4': 'i4',
  '<i2': 'i2',
  '|i1': 'i1',
  '|u1': 'u1',
  '|b1': 'b1',
};

function parseHeader(
  bytes: Uint8Array<ArrayBuffer>,
  entry: string,
  size: number,
  path: string,
): StoredArray {
  const bad = (what: string) => badArray(path, entry, what);
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte)) {
    throw bad('it does not begin as an array');
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const long = (bytes[6] ?? 0) > 1;
  const textStart = long ? 12 : 10;
  const dataStart = textStart + (long ? header.getUint32(8, true) : header.getUint16(8, true));
  if (dataStart > bytes.length || dataStart > size) throw bad(`its header ends at ${dataStart}`);
  const text = new TextDecoder('latin1').decode(bytes.subarray(textStart, dataStart));
  const descr = /'descr':\s*'([^']{1,20})'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const dimensions = /'shape':\s*\(([\d, L]{0,100})\)/.exec(text)?.[1];
  if (order === undefined || dimensions === undefined) {
    throw bad('its header has no order or shape');
  }
  const kind = descr !== undefined && Object.hasOwn(kinds, descr) ? kinds[descr] : undefined;
  if (kind === undefined) {
    const found = /'descr':\s*(.{1,30})/.exec(text)?.[1] ?? 'nothing';
    throw new Failure(
      'unsupported',
      `${path}: the array ${entry} is of type ${found}; Loupe reads ${Object.keys(kinds).join(', ')}.`,
    );
  }
  const shape = (dimensions.match(/\d+/g) ?? []).map(Number);
  const needed = shape.reduce((product, length) => product * length, elementBytes(kind));
  if (needed !== size - dataStart) {
    throw bad(`[${shape.join(', ')}] needs ${needed} bytes and has ${size - dataStart}`);
  }
  return { entry, kind, shape, fortran: order === 'True', dataStart };
}

/** The elements of a Fortran-ordered array in rows. */
function inRows(values: Float32Array, shape: readonly number[]): Float32Array {
  const [rows = 1, columns = 1] = shape;
  if (shape.length < 2) return values;
  if (shape.length > 2) {
    throw new Failure('unsupported', 'A Fortran-ordered array has more than two dimensions.');
  }
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[row * columns + column] = values[column * rows + row] ?? 0;
    }
  }
  return result;
}

function badArray(path: string, entry: string, what: string): Failure {
  return new Failure(
    'bad-file',
    `${path}: the array ${entry.slice(0, 80)} cannot be read: ${what}.`,
    { action: 'Download or export the file again.' },
  );
}
