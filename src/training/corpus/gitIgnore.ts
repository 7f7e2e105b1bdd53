import { access, readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import ignore, { type Ignore } from 'ignore';

/** The rules of all .gitignore files from a top folder down to one folder, in Git's order: the last match decides. */
export class GitIgnore {
  private readonly rules: Ignore;

  private constructor(rules: Ignore) {
    this.rules = rules;
  }

  static readonly none = new GitIgnore(newRules());

  /** Whether Git ignores a path, relative to the top folder, with `/` between names and at the end of a folder. */
  ignores(path: string): boolean {
    return this.rules.ignores(path);
  }

  /** These rules and those in the .gitignore of `folder`, which is `prefix` from the top: '' or 'a/b/'. */
  async enter(folder: string, prefix: string): Promise<GitIgnore> {
    const text = await readFile(join(folder, '.gitignore'), 'utf8').catch(() => undefined);
    if (text === undefined) return this;
    const own = text.replace(/^\uFEFF/, '').split(/\r?\n/);
    return new GitIgnore(
      newRules()
        .add(this.rules)
        .add(own.flatMap(rule => placed(rule, prefix))),
    );
  }
}

/**
 * The rules that hold in `folder` from the folders above it in the same repository, and its path from the
 * repository's top. A folder that they ignore was chosen in spite of them: none of them holds in it.
 */
export async function rulesAbove(folder: string): Promise<{ rules: GitIgnore; prefix: string }> {
  const top = await repositoryTop(folder);
  let rules = GitIgnore.none;
  if (top === undefined || top === folder) return { rules, prefix: '' };
  const names = relative(top, folder).split(sep);
  for (let depth = 0; depth < names.length; depth++) {
    const above = names.slice(0, depth);
    rules = await rules.enter(join(top, ...above), above.map(name => `${name}/`).join(''));
  }
  const prefix = names.map(name => `${name}/`).join('');
  return rules.ignores(prefix) ? { rules: GitIgnore.none, prefix: '' } : { rules, prefix };
}

/** The nearest folder, from `folder` up, that holds `.git`. */
async function repositoryTop(folder: string): Promise<string | undefined> {
  for (let top = folder; ; top = dirname(top)) {
    const found = await access(join(top, '.git')).then(
      () => true,
      () => false,
    );
    if (found) return top;
    if (top === dirname(top)) return undefined;
  }
}

/** A rule as it would stand in the top folder's .gitignore. */
function placed(rule: string, prefix: string): string[] {
  if (rule.trim() === '' || rule.startsWith('#')) return [];
  if (prefix === '') return [rule];
  const negated = rule.startsWith('!');
  const pattern = negated ? rule.slice(1) : rule;
  // A slash before the end ties a pattern to its folder; any other matches at every depth below.
  const tied = pattern.slice(0, -1).includes('/');
  const folder = prefix.replaceAll(/[\\*?[\]!# ]/g, '\\$&');
  const place = tied ? `/${folder}${pattern.replace(/^\//, '')}` : `/${folder}**/${pattern}`;
  return [negated ? `!${place}` : place];
}

/** Case counts where file names' case does. */
function newRules(): Ignore {
  return ignore({ ignorecase: process.platform === 'win32' || process.platform === 'darwin' });
}
