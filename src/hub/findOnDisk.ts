import { join } from 'node:path';
import { findInFolder } from './findInFolder.ts';
import type { FoundThing } from '../contracts/foundThing.ts';
import { findInHuggingFaceCache, huggingFaceCache } from './huggingFaceCache.ts';
import { homeOf, type Environment } from './hubSettings.ts';
import { findInOllama, ollamaFolders } from './ollama.ts';

export interface Places {
  readonly environment: Environment;
  /** Where Loupe downloads to. */
  readonly downloads: string | undefined;
  /** Folders of the user's own; none of a workspace that is not trusted. */
  readonly folders: readonly string[];
}

/** Every model and SAE that lies where such things lie on this machine; reads names and sizes, and nothing else. */
export async function findOnDisk(places: Places, signal: AbortSignal): Promise<FoundThing[]> {
  const { environment, downloads, folders } = places;
  const searches = [
    ...folders.map(root => findInFolder({ root, foundIn: 'workspace' }, signal)),
    ...(downloads === undefined
      ? []
      : [findInFolder({ root: downloads, foundIn: 'downloads' }, signal)]),
    findInHuggingFaceCache(huggingFaceCache(environment), signal),
    ...ollamaFolders(environment).map(folder => findInOllama(folder, signal)),
    ...lmStudioFolders(homeOf(environment)).map(root =>
      findInFolder({ root, foundIn: 'lmStudio' }, signal),
    ),
  ];
  const seen = new Set<string>();
  return (await Promise.all(searches)).flat().filter(({ path, name, kind }) => {
    // Ollama's tags may share their weights: each is a name of its own.
    const key = [kind, path, name].join('\n');
    return seen.has(key) ? false : seen.add(key);
  });
}

function lmStudioFolders(home: string): readonly string[] {
  return [join(home, '.lmstudio', 'models'), join(home, '.cache', 'lm-studio', 'models')];
}
