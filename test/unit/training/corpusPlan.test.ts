import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/common/failure.ts';
import type { CorpusRequest } from '../../../src/contracts/trainer.ts';
import type { Tokenizer } from '../../../src/models/model.ts';
import { readWorkspaceCorpus } from '../../../src/training/corpus/corpusPlan.ts';
import { addFiles, makeFolder, makePdf, randomText } from './corpusFolder.ts';

/** One token for each UTF-16 unit. */
const tokenizer: Tokenizer = {
  vocabulary: 65_536,
  separator: 0,
  bos: undefined,
  encode(text) {
    const ids = Uint32Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
    return { ids, starts: ids, ends: ids };
  },
  tokenText: String,
  decode: String,
};

const request = (...roots: string[]): CorpusRequest => ({
  roots,
  include: [],
  exclude: [],
  useGitIgnore: true,
  seed: 1,
  maxFileBytes: 1_000_000,
});

const notes = (count: number, words = 300): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`notes/${i}.md`, randomText(i + 1, words)]),
  );

describe('readWorkspaceCorpus', () => {
  it('reads, drops duplicates, splits by file and counts', async () => {
    const files = notes(30);
    const folder = await makeFolder({
      ...files,
      'notes/copy.md': `${files['notes/3.md'] ?? ''} and a word`,
      'page.html': `<p>${randomText(101, 100)}</p>`,
      'paper.pdf': makePdf([['Some words that are only in the paper.']]),
      'lines.jsonl': `{"text": "${randomText(102, 9)}"}\n{"text": "${randomText(103, 9)}"}\n`,
      'latin1.txt': Buffer.from('Zürich', 'latin1'),
      'locked.pdf': makePdf([['secret']], true),
      'blank.txt': ' \n',
      'image.png': Uint8Array.of(137, 80, 78, 71, 0),
    });
    const { train, heldOut, plan } = await readWorkspaceCorpus(request(folder), { tokenizer });
    const { warnings, skipped, ...counts } = plan;
    assert.equal(counts.files, 33);
    assert.equal(counts.documents, 34);
    assert.equal(counts.duplicates, 1);
    assert.equal(counts.split, 'files');
    assert.deepEqual(counts.formats, { jsonl: 1, markdown: 30, html: 1, pdf: 1 });
    assert.deepEqual(
      skipped.map(({ reason, count, examples }) => [reason, count, examples]),
      [
        ['not text', 1, [join(folder, 'image.png')]],
        ['empty', 1, [join(folder, 'blank.txt')]],
        ['bad encoding', 1, [join(folder, 'latin1.txt')]],
        ['encrypted', 1, [join(folder, 'locked.pdf')]],
        ['duplicate', 1, [join(folder, 'notes', 'copy.md')]],
      ],
    );
    const length = (documents: readonly { text: string }[]): number =>
      documents.reduce((sum, { text }) => sum + text.length, 0);
    assert.equal(counts.tokens, length(train));
    assert.equal(counts.heldOutTokens, length(heldOut));
    assert.equal(train.length + heldOut.length, 34);
    const share = counts.heldOutTokens / (counts.tokens + counts.heldOutTokens);
    assert.ok(share >= 0.05 && share <= 0.2, `${share}`);
    assert.equal(counts.heldOutFiles, new Set(heldOut.map(({ path }) => path)).size);
    for (const { path, text, verbatim, start } of [...train, ...heldOut]) {
      assert.equal(verbatim, path.endsWith('.md'));
      assert.equal(start, 0);
      if (verbatim) assert.equal(await readFile(path, 'utf8'), text);
    }
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['too-little', 'little-held-out', 'small-budget'],
    );
    assert.match(warnings[0]?.message ?? '', /^There are [\d,]+ tokens to train on/);
  });

  it('holds the same files out when others come and go, wherever the folder lies', async () => {
    const held = async (folder: string): Promise<string[]> => {
      const { heldOut } = await readWorkspaceCorpus(request(folder), { tokenizer });
      return heldOut.map(({ path }) => path.slice(folder.length)).sort();
    };
    const folder = await makeFolder(notes(60));
    const before = await held(folder);
    assert.deepEqual(await held(await makeFolder(notes(60))), before);
    await addFiles(folder, { 'notes/new.md': randomText(500, 300) });
    assert.deepEqual(
      (await held(folder)).filter(path => !path.endsWith('new.md')),
      before,
    );
  });

  it('splits JSONL by line', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ text: randomText(i, 40) }));
    const folder = await makeFolder({ 'a.jsonl': lines.join('\n') });
    const { train, heldOut, plan } = await readWorkspaceCorpus(request(folder), { tokenizer });
    assert.equal(plan.split, 'lines');
    assert.equal(plan.documents, 50);
    assert.ok(heldOut.length >= 2 && heldOut.length <= 10);
    assert.equal(train.length + heldOut.length, 50);
    const [first] = heldOut;
    assert.match(first?.source ?? '', /a\.jsonl:\d+$/);
  });

  it('splits a single document by sections that stand in the file where it says', async () => {
    const text = Array.from({ length: 40 }, (_, i) => randomText(i, 60)).join('\r\n\r\n');
    const folder = await makeFolder({ 'book.txt': `\uFEFF${text}` });
    const { train, heldOut, plan } = await readWorkspaceCorpus(request(folder), { tokenizer });
    assert.equal(plan.split, 'sections');
    assert.equal(plan.heldOutFiles, 1);
    assert.ok(plan.warnings.some(({ code }) => code === 'few-files'));
    assert.ok(heldOut.length > 0);
    const parts = [...train, ...heldOut].sort((a, b) => a.start - b.start);
    assert.equal(parts.map(part => part.text).join(''), text);
    for (const { start, text: part, verbatim } of parts) {
      assert.ok(verbatim);
      assert.equal(text.slice(start, start + part.length), part);
    }
    const share = plan.heldOutTokens / text.length;
    assert.ok(share >= 0.05 && share <= 0.2, `${share}`);
  });

  it('says that nothing can be held out of a very short text', async () => {
    const folder = await makeFolder({ 'a.txt': 'A sentence.' });
    const { heldOut, plan } = await readWorkspaceCorpus(request(folder), { tokenizer });
    assert.deepEqual(heldOut, []);
    assert.ok(plan.warnings.some(({ code }) => code === 'no-held-out'));
  });

  it('stops at the most text it may hold, and says so', async () => {
    const folder = await makeFolder(notes(30));
    const { plan } = await readWorkspaceCorpus(request(folder), { tokenizer, maxText: 10_000 });
    assert.ok(plan.tokens + plan.heldOutTokens <= 10_000);
    const over = plan.skipped.find(({ reason }) => reason === 'too much text');
    assert.equal(over?.count, 30 - plan.files);
    assert.ok(plan.warnings.some(({ code }) => code === 'too-much'));
  });

  it('fails where there is no text, and says what was left out', async () => {
    const folder = await makeFolder({ '.gitignore': '*.md', 'a.md': 'a', 'b.bin': '\0' });
    await assert.rejects(readWorkspaceCorpus(request(folder), { tokenizer }), (error: unknown) => {
      assert.ok(Failure.is(error, 'empty'));
      assert.match(error.message, /1 ignored, 1 not text/);
      return true;
    });
  });

  it('reports how far it is, and stops when told', async () => {
    const folder = await makeFolder(notes(20));
    const seen = new Map<string, number[]>();
    await readWorkspaceCorpus(request(folder), {
      tokenizer,
      report: (step, fraction) => seen.set(step, [...(seen.get(step) ?? []), fraction]),
    });
    for (const step of ['reading text', 'counting tokens']) {
      const fractions = seen.get(step) ?? [];
      assert.ok(fractions.length >= 20);
      assert.deepEqual(
        [...fractions].sort((a, b) => a - b),
        fractions,
      );
      assert.ok(fractions.every(fraction => fraction >= 0 && fraction <= 1));
    }
    for (const stopAt of ['reading text', 'counting tokens']) {
      const abort = new AbortController();
      const stopped = readWorkspaceCorpus(request(folder), {
        tokenizer,
        signal: abort.signal,
        report: step => {
          if (step === stopAt) abort.abort();
        },
      });
      await assert.rejects(stopped, e => Failure.is(e, 'cancelled'));
    }
  });
});
