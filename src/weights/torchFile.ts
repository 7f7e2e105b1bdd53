import { Failure } from '../common/failure.ts';
import { asFloat32, elementBytes } from './elements.ts';
import { badPickle } from './pickleCursor.ts';
import type { TensorSource } from './tensorSource.ts';
import { PickledTensor, readTorchPickle, type PickleValue } from './torchPickle.ts';
import { ZipFile } from './zipFile.ts';

/** Most bytes of the pickle: it only names tensors, whose numbers are other files of the archive. */
const maxPickle = 2 ** 24;

/**
 * A state dict that torch.save wrote as a zip archive (PyTorch 1.6 and later). Tensors of dictionaries within it are
 * under their path, "outer.inner"; `values` has what is no tensor.
 */
export class TorchFile implements TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, PickledTensor>;
  readonly values: ReadonlyMap<string, PickleValue>;
  private readonly zip: ZipFile;
  /** Of the archive's own folder. */
  private readonly prefix: string;

  private constructor(zip: ZipFile, prefix: string, state: ReadonlyMap<string, PickleValue>) {
    this.path = zip.path;
    this.zip = zip;
    this.prefix = prefix;
    const tensors = new Map<string, PickledTensor>();
    const values = new Map<string, PickleValue>();
    flatten(state, '', 0, { tensors, values, path: zip.path, seen: 0 });
    this.tensors = tensors;
    this.values = values;
  }

  /** Fails with `unsupported` for files of older versions and for what is no state dict. */
  static async open(path: string): Promise<TorchFile> {
    const zip = await ZipFile.open(path).catch((error: unknown) => {
      const failure = Failure.from(error);
      if (failure.code !== 'bad-file') throw failure;
      throw new Failure(
        'bad-file',
        `${path} is no zip archive, as PyTorch has written its files since version 1.6.`,
        { action: 'Load it with torch.load and save it again.', cause: error },
      );
    });
    const pickle = [...zip.entries.values()].find(({ name }) => /^([^/]+\/)?data\.pkl$/.test(name));
    if (!pickle) throw badPickle(path, 'it has no data.pkl');
    if (pickle.size > maxPickle) throw badPickle(path, `its pickle has ${pickle.size} bytes`);
    const prefix = pickle.name.slice(0, -'data.pkl'.length);
    const order = zip.entries.has(`${prefix}byteorder`)
      ? new TextDecoder().decode(await zip.readStart(`${prefix}byteorder`, 8))
      : 'little';
    if (order !== 'little') {
      throw new Failure('unsupported', `${path} has the byte order ${order.slice(0, 20)}.`);
    }
    const state = readTorchPickle(await zip.read(pickle.name), path);
    if (state instanceof Map) return new TorchFile(zip, prefix, state);
    throw new Failure('unsupported', `${path} holds no state dict (a dictionary of tensors).`);
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw badPickle(this.path, `it has no tensor "${name.slice(0, 80)}"`);
    const { storage, offset, shape, strides } = tensor;
    const entry = `${this.prefix}data/${storage.key}`;
    const size = this.zip.entries.get(entry)?.size;
    const needed = storage.length * elementBytes(storage.kind);
    if (size !== needed) {
      const found = size === undefined ? 'is missing' : `has ${size} bytes`;
      throw badPickle(this.path, `the storage of "${name.slice(0, 80)}" ${found}, not ${needed}`);
    }
    const all = asFloat32(await this.zip.read(entry), storage.kind);
    const count = shape.reduce((product, length) => product * length, 1);
    if (isContiguous(shape, strides)) return all.subarray(offset, offset + count);
    return gathered(all, tensor, count);
  }
}

interface Flattened {
  readonly tensors: Map<string, PickledTensor>;
  readonly values: Map<string, PickleValue>;
  readonly path: string;
  /** Entries of dictionaries looked at. */
  seen: number;
}

/** State dicts are one or two levels deep; a dictionary may hold itself. */
const maxDepth = 4;
const maxEntries = 100_000;

function flatten(
  state: ReadonlyMap<string, PickleValue>,
  prefix: string,
  depth: number,
  found: Flattened,
): void {
  if (depth > maxDepth) throw badPickle(found.path, 'its dictionaries are nested too deeply');
  for (const [key, value] of state) {
    const name = prefix + key;
    if (++found.seen > maxEntries) {
      throw badPickle(found.path, 'it has too many tensors');
    }
    if (value instanceof PickledTensor) found.tensors.set(name, value);
    else if (value instanceof Map) flatten(value, `${name}.`, depth + 1, found);
    else found.values.set(name, value);
  }
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i] ?? 1;
  }
  return true;
}

/** The elements of a strided view, row-major. */
function gathered(
  all: Float32Array,
  { offset, shape, strides }: PickledTensor,
  count: number,
): Float32Array {
  const result = new Float32Array(count);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < count; i++) {
    result[i] = all[at] ?? 0;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += strides[d] ?? 0;
      index[d] = (index[d] ?? 0) + 1;
      if (index[d] !== shape[d]) break;
      at -= (shape[d] ?? 0) * (strides[d] ?? 0);
      index[d] = 0;
    }
  }
  return result;
}
