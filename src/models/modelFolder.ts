import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Failure } from '../common/failure.ts';
import { parseRecord } from '../common/record.ts';
import type { PlannedWeight } from '../weights/dequantised.ts';
import { readSafetensorsFolder, type SafetensorsFolder } from '../weights/safetensorsFolder.ts';
import { architectures } from './architectures/all.ts';
import type { Architecture } from './architectures/architecture.ts';
import { fusedName } from './architectures/lime.ts';
import { ConfigFields } from './configFields.ts';
import { refuseQuantised } from './llamaLike.ts';
import type { ModelConfig } from './model.ts';
import { planWeights } from './weightPlan.ts';

/** A model in a folder of transformers' layout: its shape, and which tensor is which weight. */
export interface ModelFolder {
  readonly config: ModelConfig;
  readonly weights: readonly PlannedWeight[];
  /** The files with the weights. */
  readonly files: readonly string[];
}

/** Tensors that follow from the configuration: older transformers saved them. */
const derived = '.rotary_emb.inv_freq';

/** Reads the headers of a folder with config.json and safetensors. */
export async function readModelFolder(folder: string): Promise<ModelFolder> {
  const path = await configPath(folder);
  const fields = new ConfigFields(parseRecord(await readFile(path, 'utf8'), path), path);
  const architecture = architectureOf(fields);
  refuseQuantised(fields);
  const { label } = architecture;
  const { prefix, ignored } = architecture.folder;
  const isIgnored = (tensor: string) => tensor.endsWith(derived) || ignored?.test(tensor) === true;
  const read = await readSafetensorsFolder(folder, isIgnored);
  const stored = withoutPrefix(read, prefix);
  const has = (tensor: string) => stored.tensors.has(tensor);
  const config = storedConfig(architecture.folder.config(fields, basename(resolve(folder))), has);
  const weights = planWeights(
    stored,
    architecture.folder.tensors(config, has),
    labelOf(config, label),
  );
  return { config, weights, files: stored.files };
}

function architectureOf(fields: ConfigFields): Architecture {
  const types = architectures.flatMap(({ folder }) => folder.types);
  const type = fields.oneOf('model_type', types);
  const found = architectures.find(({ folder }) => folder.types.includes(type));
  if (found) return found;
  throw fields.bad('model_type', types.join(', '));
}

/** What only the tensors say: whether layers are routed, and whether a tied matrix is there after all. */
function storedConfig(config: ModelConfig, has: (tensor: string) => boolean): ModelConfig {
  const isRouted = config.architecture === 'llama' && has(fusedName(0));
  const second = ['lm_head.weight', 'embed_out.weight'].some(has);
  return {
    ...config,
    ...(isRouted && { architecture: 'lime' }),
    tiedEmbedding: config.tiedEmbedding && !second,
  };
}

function labelOf({ architecture }: ModelConfig, label: string): string {
  return architecture === 'lime' ? 'LIMe' : label;
}

/** The tensors without what may stand before the names of all of them, at the front or behind `model.`. */
function withoutPrefix(stored: SafetensorsFolder, prefix: string | undefined): SafetensorsFolder {
  if (prefix === undefined) return stored;
  const names = new Map<string, string>();
  for (const name of stored.tensors.keys()) {
    const plain = name.startsWith(`model.${prefix}`)
      ? `model.${name.slice(6 + prefix.length)}`
      : name.startsWith(prefix)
        ? name.slice(prefix.length)
        : name;
    if (names.has(plain)) {
      throw new Failure('bad-file', `${stored.path}: tensor "${plain}" is there twice.`);
    }
    names.set(plain, name);
  }
  const tensors = [...names].flatMap(([plain, name]) => {
    const tensor = stored.tensors.get(name);
    return tensor ? [[plain, tensor] as const] : [];
  });
  return {
    ...stored,
    tensors: new Map(tensors),
    fileOf: name => stored.fileOf(names.get(name) ?? name),
  };
}

/** Beside the weights, or where LIMe's train.py leaves it: weights in `final`, configuration in `config`. */
async function configPath(folder: string): Promise<string> {
  const beside = join(folder, 'config.json');
  const trained = join(dirname(resolve(folder)), 'config', 'config.json');
  for (const path of [beside, trained]) {
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  throw new Failure('not-found', `There is no ${beside}.`, {
    action: 'Choose a GGUF file, or a folder with a config.json and the weights in safetensors.',
  });
}
