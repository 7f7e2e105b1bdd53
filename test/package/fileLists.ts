// The files of every target's VSIX. To renew the golden: `node --import tsx test/package/fileLists.ts` after a build.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, targets, writeIgnoreFile, type Target } from '../../scripts/targets.ts';

/** File names from the extension's root: those of every target, and each target's own. */
export type FileLists = Readonly<Record<'everywhere' | Target, readonly string[]>>;

const golden = join(import.meta.dirname, 'fileLists.json');

export function readGolden(): FileLists {
  return JSON.parse(readFileSync(golden, 'utf8')) as FileLists;
}

/** What vsce would put into a target's VSIX. */
export function listFiles(target: Target): readonly string[] {
  const vsce = join(root, 'node_modules/@vscode/vsce/vsce');
  const list = execFileSync(
    process.execPath,
    [vsce, 'ls', '--ignoreFile', writeIgnoreFile(target)],
    { cwd: root, encoding: 'utf8' },
  );
  return list.trim().split('\n').sort();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const lists = targets.map(target => [target, listFiles(target)] as const);
  const everywhere = lists[0]?.[1].filter(file => lists.every(([, files]) => files.includes(file)));
  const own = lists.map(([target, files]) => [
    target,
    files.filter(file => !everywhere?.includes(file)),
  ]);
  writeFileSync(
    golden,
    `${JSON.stringify({ everywhere, ...Object.fromEntries(own) }, undefined, 2)}\n`,
  );
}
