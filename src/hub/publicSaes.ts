import { readFile } from 'node:fs/promises';
import { Failure } from '../common/failure.ts';
import type { PublicSae } from '../contracts/publicSae.ts';

/** Where the index lies, relative to the installation's root folder; made by scripts/makePublicSaes.py. */
export const publicSaesFile = 'media/publicSaes.json';

interface Group {
  readonly path: string;
  readonly id?: string | null;
  readonly hook?: string;
  /** Layers: one, a list, or from-to. */
  readonly n?: number | string | readonly number[];
  readonly width?: number | null;
  readonly transcoder?: boolean | null;
  readonly l0?: number | readonly (number | null)[];
  readonly ev?: number | readonly (number | null)[];
}

interface Release extends Omit<Group, 'path' | 'l0' | 'ev'> {
  readonly name: string;
  readonly repository: string;
  readonly model: string;
  readonly format: string;
  readonly saes: readonly Group[];
}

/** Every SAE of the index at `path`. */
export async function readPublicSaes(path: string): Promise<readonly PublicSae[]> {
  let index: { readonly releases: readonly Release[] };
  try {
    index = JSON.parse(await readFile(path, 'utf8')) as typeof index;
  } catch (cause) {
    throw new Failure('not-found', `The index of public SAEs at ${path} cannot be read.`, {
      action: 'Install Loupe again.',
      cause,
    });
  }
  return index.releases.flatMap(release =>
    release.saes.flatMap(group => saesOf(release, { ...release, ...group })),
  );
}

function saesOf(release: Release, group: Group): PublicSae[] {
  return layersOf(group.n).map((n, i) => {
    const l0 = at(group.l0, i);
    const fill = (template: string): string =>
      template.replaceAll('{n}', String(n)).replaceAll('{l}', String(l0));
    const path = fill(group.path);
    return {
      release: release.name,
      id: idOf(path, fill(group.id ?? '')),
      repository: release.repository,
      path,
      model: release.model,
      format: release.format,
      hook: fill(group.hook ?? ''),
      features: group.width ?? undefined,
      transcoder: group.transcoder === true,
      l0,
      ev: at(group.ev, i),
    };
  });
}

/** '' stands for the whole path, '/' for its last part. */
function idOf(path: string, id: string): string {
  if (id === '') return path;
  return id === '/' ? path.slice(path.lastIndexOf('/') + 1) : id;
}

function layersOf(n: Group['n']): readonly number[] {
  if (typeof n === 'number') return [n];
  if (typeof n !== 'string') return n ?? [];
  const [first = 0, last = 0] = n.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function at(value: number | readonly (number | null)[] | undefined, i: number): number | undefined {
  if (typeof value === 'number') return value;
  return value?.[i] ?? undefined;
}
