import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type * as vscode from 'vscode';
import type { RouterSet } from '../../contracts/layerMapPanel.ts';

const fileName = 'routers.safetensors';

/** Where routers that were fitted in this window, or for every window, are kept: one folder each. */
export function routerFolders({
  storageUri,
  globalStorageUri,
}: vscode.ExtensionContext): readonly string[] {
  const places = storageUri ? [storageUri, globalStorageUri] : [globalStorageUri];
  return places.map(({ fsPath }) => join(fsPath, 'routers'));
}

/** The fitted routers in these folders, by name; a folder that is not there has none. */
export async function listFittedRouters(folders: readonly string[]): Promise<RouterSet[]> {
  const found = await Promise.all(folders.map(setsIn));
  return found.flat().sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

async function setsIn(folder: string): Promise<RouterSet[]> {
  const names = await readdir(folder).catch(() => []);
  const sets = await Promise.all(
    names.map(async name => {
      const path = join(folder, name);
      const status = await stat(join(path, fileName)).catch(() => undefined);
      return status?.isFile() === true ? [{ name: basename(path), path }] : [];
    }),
  );
  return sets.flat();
}
