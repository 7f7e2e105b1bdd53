import { Failure } from '../common/failure.ts';
import type { PlannedWeight } from '../weights/dequantised.ts';
import type { GgufFile } from '../weights/gguf.ts';
import { architectures } from './architectures/all.ts';
import { GgufFields } from './ggufFields.ts';
import type { ModelConfig } from './model.ts';
import { planWeights } from './weightPlan.ts';

/** A model in a GGUF file: its shape, and which tensor is which weight of the graph. */
export interface GgufModel {
  readonly config: ModelConfig;
  readonly weights: readonly PlannedWeight[];
}

/** Read with the metadata (GgufFields.rotation). */
const rotation = /^rope_freqs\.weight$/;

/** Reads a model's shape and finds its tensors; every tensor of the file must be used, in the right shape. */
export function readGgufModel(file: GgufFile): GgufModel {
  refuseSplit(file);
  const fields = new GgufFields(file);
  const found = architectures.find(({ gguf }) => gguf.type === fields.architecture);
  if (!found) {
    const known = [...new Set(architectures.map(({ gguf }) => gguf.type))].join(', ');
    throw new Failure(
      'unsupported',
      `${file.path}: expected one of the architectures ${known}, found ${fields.architecture}.`,
      { action: 'Choose a model of one of these architectures.' },
    );
  }
  const config = found.gguf.config(fields);
  const isRead = (tensor: string) => !rotation.test(tensor) && !found.gguf.ignored?.test(tensor);
  const tensors = new Map([...file.tensors].filter(([name]) => isRead(name)));
  const has = (tensor: string) => tensors.has(tensor);
  const source = { path: file.path, tensors, fileOf: () => file.path };
  return { config, weights: planWeights(source, found.gguf.tensors(config, has), found.label) };
}

function refuseSplit(file: GgufFile): void {
  const count = file.metadata.get('split.count') ?? 1;
  if (count === 0 || count === 1) return;
  throw new Failure('unsupported', `${file.path} is one of ${String(count)} parts of a model; Loupe reads whole files.`, {
    action: "Join the parts with llama.cpp's gguf-split --merge, or choose a model in one file.",
  });
}
