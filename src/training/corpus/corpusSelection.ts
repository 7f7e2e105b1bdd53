import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import picomatch from 'picomatch';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import { looksLikeText } from './corpusFiles.ts';
import { formatOf, type CorpusFormat } from './corpusFormat.ts';
import type { GitIgnore } from './gitIgnore.ts';
import { rulesAbove } from './gitIgnore.ts';
import { skipReason, SkippedFiles } from './skippedFiles.ts';

export interface SelectionOptions {
  /** Globs relative to a root, as in `files.exclude`; of no `include`, every file is taken. */
  readonly include?: readonly string[];
  /** Folders that match are not entered. */
  readonly exclude?: readonly string[];
  /** Default true. */
  readonly useGitIgnore?: boolean;
  /** Of files found in folders. */
  readonly maxFileBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A file that is to be read. */
export interface SelectedFile {
  readonly path: string;
  /** From its root, with `/` between names; a root's own name if the root is the file. */
  readonly relative: string;
  readonly size: number; // bytes
  readonly format: CorpusFormat;
  /** Given by itself, not found in a folder: a failure to read it is a failure of the whole. */
  readonly named: boolean;
}

export interface Selection {
  readonly files: readonly SelectedFile[];
  readonly skipped: SkippedFiles;
}

/**
 * The files of `roots`, in the order given, folders in the order of names. A file that is a root is taken as it is. In
 * folders: no hidden files, no node_modules, nothing that a .gitignore ignores, no links (what they lead to is met by
 * itself, or lies outside), no file whose first bytes are not text. No file is taken twice.
 */
export async function selectFiles(
  roots: readonly string[],
  options: SelectionOptions = {},
): Promise<Selection> {
  const walk = new Walk(options);
  for (const root of roots) await walk.root(root);
  return walk;
}

class Walk implements Selection {
  readonly files: SelectedFile[] = [];
  readonly skipped = new SkippedFiles();
  private readonly taken = new Set<string>();
  private readonly options: SelectionOptions;
  private readonly isIncluded: (path: string) => boolean;
  private readonly isExcluded: (path: string) => boolean;

  constructor(options: SelectionOptions) {
    this.options = options;
    const { include = [], exclude = [] } = options;
    this.isIncluded = include.length === 0 ? () => true : matcher(include);
    this.isExcluded = matcher(exclude);
  }

  async root(path: string): Promise<void> {
    throwIfCancelled(this.options.signal);
    const found = await stat(path).catch((cause: unknown) => {
      throw Failure.from(cause).code === 'not-found'
        ? new Failure('not-found', `There is no file or folder ${path}.`, { cause })
        : Failure.from(cause);
    });
    const real = await realpath(path);
    if (!found.isDirectory()) {
      this.take({ path, real, relative: basename(path), size: found.size, named: true });
      return;
    }
    const { rules, prefix } =
      (this.options.useGitIgnore ?? true)
        ? await rulesAbove(real)
        : { rules: undefined, prefix: '' };
    await this.folder({ path, real, relative: '', rules, prefix });
  }

  private async folder(folder: Folder): Promise<void> {
    const rules = await folder.rules?.enter(folder.real, folder.prefix);
    const entries = await readdir(folder.path, { withFileTypes: true }).catch((error: unknown) => {
      this.skipped.add(skipReason(error), folder.path);
      return [];
    });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      throwIfCancelled(this.options.signal);
      const { name } = entry;
      if (name.startsWith('.') || name === 'node_modules') continue;
      const path = join(folder.path, name);
      const relative = folder.relative + name;
      const slash = entry.isDirectory() ? '/' : '';
      if (rules?.ignores(folder.prefix + name + slash)) this.skipped.add('ignored', path + slash);
      else if (this.isExcluded(relative)) this.skipped.add('excluded', path + slash);
      else if (entry.isSymbolicLink()) this.skipped.add('link', path);
      else if (entry.isDirectory()) {
        await this.folder({
          path,
          real: join(folder.real, name),
          relative: `${relative}/`,
          rules,
          prefix: `${folder.prefix}${name}/`,
        });
      } else if (entry.isFile()) await this.file(path, join(folder.real, name), relative);
    }
  }

  private async file(path: string, real: string, relative: string): Promise<void> {
    if (!this.isIncluded(relative)) {
      this.skipped.add('not included', path);
      return;
    }
    try {
      const { size } = await stat(path);
      if (size === 0) this.skipped.add('empty', path);
      else if (size > (this.options.maxFileBytes ?? Infinity)) this.skipped.add('too large', path);
      else if (!(await looksLikeText(path))) this.skipped.add('not text', path);
      else this.take({ path, real, relative, size, named: false });
    } catch (error) {
      this.skipped.add(skipReason(error), path);
    }
  }

  private take({ real, ...file }: Omit<SelectedFile, 'format'> & { real: string }): void {
    if (this.taken.has(real)) return;
    this.taken.add(real);
    this.files.push({ ...file, format: formatOf(file.path) });
  }
}

interface Folder {
  readonly path: string;
  readonly real: string;
  /** From the root: '' or 'a/b/'. */
  readonly relative: string;
  /** Of the folders above; undefined where .gitignore files do not count. */
  readonly rules: GitIgnore | undefined;
  /** From the folder that the rules' patterns are relative to. */
  readonly prefix: string;
}

function matcher(globs: readonly string[]): (path: string) => boolean {
  if (globs.length === 0) return () => false;
  const tidy = globs.map(glob =>
    glob
      .trim()
      .replace(/^\.?\//, '')
      .replace(/\/$/, ''),
  );
  return picomatch(tidy, { dot: true });
}
