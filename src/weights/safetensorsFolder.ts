import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Failure } from '../common/failure.ts';
import type { StoredTensor } from './dequantised.ts';
import { blockTypes } from './ggufBlocks.ts';
import { SafetensorsFile } from './safetensors.ts';

/** The tensors of a Hugging Face folder: of `model.safetensors`, or of the files that its index names. */
export interface SafetensorsFolder {
  readonly path: string;
  /** In the order of their names. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  fileOf(tensor: string): string;
}

const wholeFile = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';

/**
 * What trainers wrap a model in leaves its name before the tensors' own: torch.compile, then data parallelism
 * (accelerate's `save_state`, with which LIMe's authors save, does not unwrap them).
 */
const wrappers = /^(?:_orig_mod\.|module\.)+/;

/** Reads the headers of a folder's weights but for those ignored; tensors must be of a float type, and each in one file. */
export async function readSafetensorsFolder(
  folder: string,
  isIgnored: (tensor: string) => boolean,
): Promise<SafetensorsFolder> {
  const files = await filesOf(folder);
  const tensors = new Map<string, StoredTensor>();
  const places = new Map<string, string>();
  for (const path of files) {
    const { tensors: entries } = await SafetensorsFile.open(path);
    for (const [stored, { dtype, shape, start }] of entries) {
      const name = stored.replace(wrappers, '');
      if (isIgnored(name)) continue;
      const type = floatTypes.get(dtype);
      if (!type) {
        throw new Failure(
          'unsupported',
          `${path}: tensor "${stored}" is ${dtype}; Loupe runs weights in ${[...floatTypes.keys()].join(', ')}.`,
        );
      }
      const other = places.get(name);
      if (other !== undefined) {
        throw new Failure(
          'bad-file',
          `${path}: tensor "${name}" is there twice, also in ${other}.`,
        );
      }
      places.set(name, path);
      tensors.set(name, { name, type, shape, offset: start });
    }
  }
  return { path: folder, files, tensors, fileOf: name => places.get(name) ?? folder };
}

const floatTypes = new Map(
  [...blockTypes.values()].filter(type => type.blockLength === 1).map(type => [type.name, type]),
);

async function filesOf(folder: string): Promise<string[]> {
  const whole = join(folder, wholeFile);
  if (await isFile(whole)) return [whole];
  const index = join(folder, indexFile);
  if (!(await isFile(index))) {
    throw new Failure('not-found', `${folder} has neither ${wholeFile} nor ${indexFile}.`, {
      action: 'Choose a GGUF file, or a folder with a model in safetensors.',
    });
  }
  const names = new Set<unknown>(Object.values(weightMap(await readFile(index, 'utf8'), index)));
  const strange = [...names].find(name => typeof name !== 'string' || basename(name) !== name);
  if (strange !== undefined || names.size === 0) {
    throw new Failure(
      'bad-file',
      `${index}: expected the names of files beside it, found ${JSON.stringify(strange ?? {})}.`,
    );
  }
  return [...names].map(name => join(folder, String(name))).sort();
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

function weightMap(json: string, path: string): object {
  try {
    const { weight_map: map } = JSON.parse(json) as { weight_map?: unknown };
    if (typeof map === 'object' && map !== null) return map;
  } catch {
    // Said below.
  }
  throw new Failure('bad-file', `${path}: expected JSON with a weight_map, found none.`);
}
