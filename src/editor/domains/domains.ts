import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import { baseSource } from '../../common/featureSources.ts';
import { DisposableStore } from '../../common/disposable.ts';
import type { DomainRequest } from '../../contracts/engine.ts';
import { absolute } from '../selection.ts';
import { onDidChangeSettings, setting } from '../settings.ts';

/** A residual SAE that can be switched on, and what names it: the setting, or Loupe's storage of this workspace. */
export interface KnownDomain extends DomainRequest {
  readonly origin: 'setting' | 'workspace';
}

/** The domains that are known in this workspace. */
export function knownDomains({ storageUri }: Pick<vscode.ExtensionContext, 'storageUri'>): Domains {
  return new Domains(storageUri && vscode.Uri.joinPath(storageUri, 'domains'));
}

/** Reads which domains the settings name and which were trained into the workspace's storage. */
export class Domains implements vscode.Disposable {
  private readonly owned = new DisposableStore();
  private readonly changed = this.owned.register(new vscode.EventEmitter<void>());
  /** The list has been read anew: it, or what lies in one of its folders, may be another. */
  readonly onDidChange = this.changed.event;
  /** Where training puts the residual SAE of a domain, a folder each; undefined without a workspace. */
  readonly folder: vscode.Uri | undefined;
  private reading: Promise<readonly KnownDomain[]>;

  constructor(folder: vscode.Uri | undefined) {
    this.folder = folder;
    this.reading = this.read();
    this.owned.register(onDidChangeSettings(['domains'], () => void this.refresh()));
  }

  list(): Promise<readonly KnownDomain[]> {
    return this.reading;
  }

  /** Reads the list again and tells of it, also where only the content of a folder is new. */
  async refresh(): Promise<void> {
    this.reading = this.read();
    await this.reading;
    this.changed.fire();
  }

  dispose(): void {
    this.owned.dispose();
  }

  private async read(): Promise<readonly KnownDomain[]> {
    return withOwnNames([...namedBySetting(), ...(await this.trained())]);
  }

  /** A folder without cfg.json is a training that has not ended. */
  private async trained(): Promise<KnownDomain[]> {
    if (!this.folder) return [];
    const { fs } = vscode.workspace;
    const found: KnownDomain[] = [];
    const entries = await fs.readDirectory(this.folder).then(undefined, () => []);
    for (const [name] of entries.sort(([a], [b]) => a.localeCompare(b))) {
      const folder = vscode.Uri.joinPath(this.folder, name);
      const config = await fs
        .stat(vscode.Uri.joinPath(folder, 'cfg.json'))
        .then(undefined, () => undefined);
      if (config) found.push({ name, path: folder.fsPath, origin: 'workspace' });
    }
    return found;
  }
}

/** The setting's entry as it is written there: a path, or a path with a name. */
export type DomainEntry = string | { readonly name?: unknown; readonly path?: unknown };

function namedBySetting(): KnownDomain[] {
  return domainEntries().flatMap(entry => {
    const path = entryPath(entry);
    if (path === undefined) return [];
    const name = typeof entry === 'object' && typeof entry.name === 'string' ? entry.name : '';
    return [{ name: name.trim() || basename(join(path)), path, origin: 'setting' as const }];
  });
}

/** What the setting holds, whatever the user has written into it. */
export function domainEntries(): readonly DomainEntry[] {
  const entries: unknown = setting('domains');
  if (!Array.isArray(entries)) return [];
  return entries.filter(
    (entry): entry is DomainEntry =>
      typeof entry === 'string' || (typeof entry === 'object' && entry !== null),
  );
}

/** The folder that an entry names; undefined where it names none. */
export function entryPath(entry: DomainEntry): string | undefined {
  const path = typeof entry === 'string' ? entry : entry.path;
  return typeof path === 'string' ? absolute(path) : undefined;
}

/** Every folder once, and every name once: a name that is taken gets a number. */
function withOwnNames(domains: readonly KnownDomain[]): readonly KnownDomain[] {
  const names = new Set<string>([baseSource]);
  const paths = new Set<string>();
  const own: KnownDomain[] = [];
  for (const domain of domains) {
    if (paths.has(domain.path)) continue;
    paths.add(domain.path);
    let { name } = domain;
    for (let i = 2; names.has(name); i++) name = `${domain.name} (${i})`;
    names.add(name);
    own.push({ ...domain, name });
  }
  return own;
}
