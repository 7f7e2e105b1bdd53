import { open, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { isRecord } from '../common/record.ts';
import type { FoundIn, FoundThing } from '../contracts/foundThing.ts';
import { splitGguf, splitReason } from './modelFiles.ts';
import { layoutOf, saeFile, type SaeLayout } from './saeFiles.ts';
import { partSuffix } from './safeName.ts';
import { isMark, readMark } from './unfinished.ts';
import { walk, type WalkedFolder, type WalkLimits } from './walk.ts';

export interface FolderToSearch {
  readonly root: string;
  readonly foundIn: FoundIn;
  /** What comes before the path within `root` in the names that are shown. */
  readonly prefix?: string;
}

/** The models and SAEs under a folder: GGUF files, folders of transformers' layout, SAEs of every layout. */
export async function findInFolder(
  { root, foundIn, prefix = '' }: FolderToSearch,
  signal: AbortSignal,
  limits?: WalkLimits,
): Promise<FoundThing[]> {
  const found: FoundThing[] = [];
  const unfinished = new Set<string>();
  for await (const folder of walk(root, signal, limits)) {
    for (const name of folder.files) {
      const mark = isMark(name) ? await readMark(join(folder.path, name)) : undefined;
      for (const path of mark?.files ?? []) {
        unfinished.add(join(folder.path, ...path.split('/')));
      }
    }
    const nameOf = (path: string): string => {
      const inner = relative(root, path).split(sep).join('/');
      return [prefix, inner].filter(part => part !== '').join('/') || basename(root);
    };
    for (const { files, ...thing } of await thingsIn(folder)) {
      const isUnfinished = files.some(
        file => unfinished.has(file) || folder.files.has(`${basename(file)}${partSuffix}`),
      );
      found.push({
        ...thing,
        name: nameOf(thing.path),
        foundIn,
        bytes: await sizeOf(files),
        obstacle: isUnfinished
          ? 'Its download has not ended: download it again to go on.'
          : thing.obstacle,
      });
    }
  }
  return found;
}

type Thing = Pick<FoundThing, 'kind' | 'path' | 'format' | 'obstacle'> & {
  readonly files: readonly string[];
};

async function thingsIn({ path, files, folders }: WalkedFolder): Promise<Thing[]> {
  const things: Thing[] = [];
  const has = (name: string): boolean => files.has(name);
  const layout = await layoutAt(path, has, folders);
  const at = (name: string): string => join(path, name);
  if (layout) {
    const all = [...layout.needs, ...layout.also.filter(has)].map(at);
    things.push({ kind: 'sae', path, format: layout.format, obstacle: undefined, files: all });
  } else if (has('config.json')) {
    const weights = [...files].filter(name => name.endsWith('.safetensors'));
    if (weights.length > 0 && (await isModelConfig(at('config.json')))) {
      const obstacle = missingShards(weights);
      things.push({ kind: 'model', path, format: 'safetensors', obstacle, files: weights.map(at) });
    }
  }
  for (const name of files) {
    if (/\.gguf$/i.test(name) && !/^mmproj/i.test(name)) {
      const part = splitGguf.exec(name);
      if (part && part[1] !== '00001') continue;
      const obstacle = part ? splitReason : undefined;
      things.push({ kind: 'model', path: at(name), format: 'gguf', obstacle, files: [at(name)] });
    } else if (saeFile.test(name)) {
      const [format, all] = ['qwen-scope', [at(name)]];
      things.push({ kind: 'sae', path: at(name), format, obstacle: undefined, files: all });
    }
  }
  return things;
}

/** `needs` may lie one folder deeper. */
async function layoutAt(
  path: string,
  has: (name: string) => boolean,
  folders: readonly string[],
): Promise<SaeLayout | undefined> {
  const deeper = folders.includes('checkpoints') && has('hyperparams.json');
  const isDeep = deeper && (await isFile(join(path, 'checkpoints', 'final.safetensors')));
  return layoutOf(name => has(name) || (isDeep && name === 'checkpoints/final.safetensors'));
}

/** `model-00001-of-00003.safetensors`: whether all of them are there. */
function missingShards(weights: readonly string[]): string | undefined {
  const counts = weights.flatMap(name => {
    const [, stem, , of] = /^(.*)-(\d{5})-of-(\d{5})\.safetensors$/.exec(name) ?? [];
    return of === undefined ? [] : [{ stem, of: Number(of) }];
  });
  const [first] = counts;
  const present = counts.filter(({ stem, of }) => stem === first?.stem && of === first?.of).length;
  if (!first || present >= first.of) return undefined;
  return `It has ${present} of the ${first.of} files of its weights.`;
}

const maxConfig = 1_000_000;

/** Whether a config.json is a model's, as transformers writes it. */
async function isModelConfig(path: string): Promise<boolean> {
  try {
    const file = await open(path);
    try {
      if ((await file.stat()).size > maxConfig) return false;
      const config: unknown = JSON.parse(await file.readFile('utf8'));
      return isRecord(config) && ('model_type' in config || Array.isArray(config['architectures']));
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}

async function sizeOf(files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += (await stat(file).catch(() => undefined))?.size ?? 0;
  return bytes;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
