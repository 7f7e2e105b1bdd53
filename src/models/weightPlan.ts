import { Failure } from '../common/failure.ts';
import type { PlannedWeight, StoredTensor } from '../weights/dequantised.ts';

/** The tensors of a model's files, whatever their format. */
export interface TensorSource {
  /** Names the source in failures: a file, or the folder of several. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The file in which a tensor lies. */
  fileOf(tensor: string): string;
}

/** A weight of the graph and the tensor that should hold it. */
export interface ExpectedTensor {
  /** The weight's name in the graph. */
  readonly name: string;
  readonly tensor: string;
  readonly shape: readonly number[];
  /** The tensor's rows that make the weight, in its order; absent: all of them in theirs. */
  readonly rowOrder?: Uint32Array;
  /** The tensor's consecutive rows that make the weight, of the `shape` that the whole tensor has. */
  readonly rows?: { readonly first: number; readonly count: number };
  /** The model may come without it. */
  readonly optional?: true;
}

/**
 * Finds each expected tensor, and refuses with its file and name what is missing, of another shape, or not asked for.
 * `architecture` says for people what was expected.
 */
export function planWeights(
  source: TensorSource,
  expected: readonly ExpectedTensor[],
  architecture: string,
): readonly PlannedWeight[] {
  const there = expected.filter(({ tensor, optional }) => !optional || source.tensors.has(tensor));
  const weights = there.map(each => find(source, each));
  const used = new Set(there.map(({ tensor }) => tensor));
  const unused = [...source.tensors.keys()].find(name => !used.has(name));
  if (unused === undefined) return weights;
  throw new Failure(
    'unsupported',
    `${source.fileOf(unused)}: tensor "${unused}" is no part of the ${architecture} architecture that Loupe runs.`,
  );
}

function find(source: TensorSource, expected: ExpectedTensor): PlannedWeight {
  const { name, tensor, shape, rowOrder, rows } = expected;
  const found = source.tensors.get(tensor);
  const wanted = shape.join(' x ');
  if (!found) {
    throw new Failure('bad-file', `${source.path}: expected tensor "${tensor}" of ${wanted}, found none.`);
  }
  const file = source.fileOf(tensor);
  if (found.shape.length !== shape.length || found.shape.some((length, i) => length !== shape[i])) {
    throw new Failure(
      'bad-file',
      `${file}: tensor "${tensor}": expected ${wanted}, found ${found.shape.join(' x ') || 'a scalar'}.`,
    );
  }
  return { name, tensor: found, ...(rowOrder && { rowOrder }), ...(rows && { rows }), file };
}
