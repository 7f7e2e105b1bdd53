import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/common/failure.ts';
import {
  selectFiles,
  type SelectionOptions,
} from '../../../src/training/corpus/corpusSelection.ts';
import { addFiles, makeFolder } from './corpusFolder.ts';

async function selected(root: string, options?: SelectionOptions): Promise<string[]> {
  return (await selectFiles([root], options)).files.map(({ relative }) => relative);
}

const nestedRules = {
  '.gitignore': 'build/\n*.log\n!keep.log\n/top.txt\n# comment\n\nsecret dir/\n**/deep/*.md\n',
  'a.txt': 'a',
  'a.log': 'a',
  'keep.log': 'a',
  'top.txt': 'a',
  'build/out.txt': 'a',
  'secret dir/x.txt': 'a',
  'x/deep/n.md': 'a',
  'x/deep/n.txt': 'a',
  'sub/.gitignore': '!build/\n!*.log\nkeep.log\n/only.txt\ninner/*.txt\n*.tmp\n',
  'sub/top.txt': 'a',
  'sub/b.log': 'a',
  'sub/keep.log': 'a',
  'sub/only.txt': 'a',
  'sub/more/only.txt': 'a',
  'sub/more/x.tmp': 'a',
  'sub/build/kept.txt': 'a',
  'sub/inner/i.txt': 'a',
  'sub/more/inner/i.txt': 'a',
  'other/keep.log': 'a',
  'other/x.tmp': 'a',
  'we[i]rd *name/.gitignore': '/no.txt\n\\#odd.txt\n',
  'we[i]rd *name/no.txt': 'a',
  'we[i]rd *name/#odd.txt': 'a',
  'we[i]rd *name/yes.txt': 'a',
};

describe('selectFiles', () => {
  it('honours nested .gitignore files and negations', async () => {
    const folder = await makeFolder(nestedRules);
    assert.deepEqual(await selected(folder), [
      'a.txt',
      'keep.log',
      'other/keep.log',
      'other/x.tmp',
      'sub/b.log',
      'sub/build/kept.txt',
      'sub/more/inner/i.txt',
      'sub/more/only.txt',
      'sub/top.txt',
      'we[i]rd *name/yes.txt',
      'x/deep/n.txt',
    ]);
  });

  it('takes the files that git takes', async t => {
    const folder = await makeFolder(nestedRules);
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: folder, encoding: 'utf8' });
    try {
      git('init', '-q');
    } catch {
      t.skip('there is no git');
      return;
    }
    const listed = git('ls-files', '--others', '--exclude-standard', '-z').split('\0');
    const visible = listed.filter(path => path !== '' && !path.endsWith('.gitignore'));
    assert.deepEqual((await selected(folder)).sort(), visible.sort());
    // The rules above a root hold in it.
    const below = visible.filter(path => path.startsWith('sub/')).map(path => path.slice(4));
    assert.deepEqual((await selected(join(folder, 'sub'))).sort(), below.sort());
    // A root that is itself ignored was chosen in spite of that.
    assert.deepEqual(await selected(join(folder, 'build')), ['out.txt']);
  });

  it('can leave .gitignore aside', async () => {
    const folder = await makeFolder({ '.gitignore': '*.log', 'a.log': 'a' });
    assert.deepEqual(await selected(folder, { useGitIgnore: false }), ['a.log']);
  });

  it('applies globs as files.exclude does, and counts what it leaves out', async () => {
    const folder = await makeFolder({
      'a.md': 'a',
      'a.log': 'a',
      'out/x.md': 'a',
      'src/out/x.md': 'a',
      'src/a.ts': 'a',
      'src/a.test.ts': 'a',
      'src/big.md': 'a'.repeat(100),
      'src/empty.md': '',
      'src/image.md': Uint8Array.of(65, 0, 66),
      'src/wide.md': Buffer.from('\uFEFFwide', 'utf16le'),
      '.hidden/x.md': 'a',
      'node_modules/x.md': 'a',
    });
    const { files, skipped } = await selectFiles([folder], {
      include: ['**/*.{md,ts}'],
      exclude: ['**/*.test.ts', 'out'],
      maxFileBytes: 50,
    });
    assert.deepEqual(
      files.map(({ relative, size, format, named }) => [relative, size, format, named]),
      [
        ['a.md', 1, 'markdown', false],
        ['src/a.ts', 1, 'code', false],
        ['src/out/x.md', 1, 'markdown', false],
        ['src/wide.md', 10, 'markdown', false],
      ],
    );
    assert.deepEqual(
      Object.fromEntries(skipped.list().map(({ reason, count }) => [reason, count])),
      { 'not included': 1, excluded: 2, 'too large': 1, empty: 1, 'not text': 1 },
    );
    const [first] = skipped.list();
    assert.deepEqual(first?.examples, [join(folder, 'a.log')]);
  });

  it('follows no link, in circles or out', async () => {
    const outside = await makeFolder({ 'x.txt': 'outside' });
    const folder = await makeFolder({ 'a.txt': 'a' });
    await mkdir(join(folder, 'b'));
    await symlink(folder, join(folder, 'b', 'circle'));
    await symlink(outside, join(folder, 'out'));
    await symlink(join(folder, 'a.txt'), join(folder, 'again.txt'));
    const { files, skipped } = await selectFiles([folder]);
    assert.deepEqual(
      files.map(({ relative }) => relative),
      ['a.txt'],
    );
    assert.equal(skipped.count('link'), 3);
    // A root may be a link.
    assert.deepEqual(await selected(join(folder, 'out')), ['x.txt']);
  });

  it('takes a file that is given by itself, whatever it is, and no file twice', async () => {
    const folder = await makeFolder({ '.gitignore': '*', 'a.bin': Uint8Array.of(0), 'b.txt': 'b' });
    const file = join(folder, 'a.bin');
    const { files } = await selectFiles([file, folder, file], { include: ['*.md'] });
    assert.deepEqual(
      files.map(({ relative, named }) => [relative, named]),
      [['a.bin', true]],
    );
  });

  it('fails where a root is missing, and stops when told', async () => {
    const folder = await makeFolder({ 'a.txt': 'a' });
    await assert.rejects(selectFiles([join(folder, 'none')]), e => Failure.is(e, 'not-found'));
    const signal = AbortSignal.abort();
    await assert.rejects(selectFiles([folder], { signal }), e => Failure.is(e, 'cancelled'));
  });

  it('keeps its order when files are added', async () => {
    const folder = await makeFolder({ 'b.txt': 'b', 'B.txt': 'B', 'a/z.txt': 'z' });
    const before = await selected(folder);
    await addFiles(folder, { 'a/b.txt': 'new' });
    const after = await selected(folder);
    assert.deepEqual(
      after.filter(path => path !== 'a/b.txt'),
      before,
    );
  });
});
