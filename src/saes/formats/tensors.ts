import { Failure } from '../../common/failure.ts';
import type { TensorSource } from '../../weights/tensorSource.ts';

/** The tensor `name`, held to a shape and to finite numbers; `of` says where the shape is from. */
export async function readTensor(
  source: TensorSource,
  name: string,
  shape: readonly number[],
  of = 'of the configuration beside it',
): Promise<Float32Array> {
  requireShape(source, name, shape, of);
  return requireFinite(await source.readFloat32(name), name, source.path);
}

/** Throws `bad-file` where there is no such tensor of this shape. */
export function requireShape(
  { path, tensors }: TensorSource,
  name: string,
  shape: readonly number[],
  of: string,
): void {
  const found = tensors.get(name);
  const expected = `[${shape.join(', ')}] ${of}`;
  if (!found) throw new Failure('bad-file', `${path} has no tensor ${name}, expected ${expected}.`);
  if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
    throw new Failure(
      'bad-file',
      `${path}: tensor ${name} has the shape [${found.shape.join(', ')}], expected ${expected}.`,
    );
  }
}

/** Rows and columns of a matrix that gives an SAE its size; throws `bad-file` where there is none. */
export function matrixShape({ path, tensors }: TensorSource, name: string): [number, number] {
  const shape = tensors.get(name)?.shape;
  const [rows = 0, columns = 0] = shape ?? [];
  if (shape?.length === 2 && rows > 0 && columns > 0) return [rows, columns];
  const found = shape ? `has the shape [${shape.join(', ')}]` : 'is missing';
  throw new Failure('bad-file', `${path}: tensor ${name} ${found}, expected a matrix.`);
}

/** Throws `unsupported` where there are tensors that are not `known`: arithmetic that would be left out. */
export function requireKnown({ path, tensors }: TensorSource, known: Iterable<string>): void {
  const names = new Set(known);
  for (const name of tensors.keys()) {
    if (names.has(name)) continue;
    throw new Failure(
      'unsupported',
      `${path} has the tensor ${name.slice(0, 80)}, which Loupe does not know.`,
    );
  }
}

export function requireFinite(values: Float32Array, name: string, path: string): Float32Array {
  // A sum is not finite where one of its numbers is not; the place is looked for only then.
  let sum = 0;
  for (const value of values) sum += value * 0;
  if (sum === 0) return values;
  const at = values.findIndex(value => !Number.isFinite(value));
  throw new Failure(
    'bad-file',
    `${path}: tensor ${name} has ${String(values[at])} at ${String(at)}, expected finite numbers.`,
  );
}
