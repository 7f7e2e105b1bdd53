import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Failure } from '../../../src/common/failure.ts';
import { readCorpus } from '../../../src/training/corpus/corpus.ts';
import type { CorpusDocument } from '../../../src/training/corpus/extract/document.ts';
import { htmlText } from '../../../src/training/corpus/extract/html.ts';
import { UnusableFile } from '../../../src/training/corpus/skippedFiles.ts';
import { makeFolder, makePdf } from './corpusFolder.ts';

async function read(
  paths: readonly string[],
  log?: (line: string) => void,
): Promise<CorpusDocument[]> {
  const documents: CorpusDocument[] = [];
  for await (const document of readCorpus(paths, undefined, log)) documents.push(document);
  return documents;
}

async function textOf(name: string, content: string | Uint8Array): Promise<string> {
  const [document] = await read([join(await makeFolder({ [name]: content }), name)]);
  return document?.text ?? '';
}

const refused = (reason: UnusableFile['reason']) => (error: unknown) =>
  error instanceof UnusableFile && error.reason === reason;

describe('the text of a file', () => {
  const text = 'Zürich, Ωmega, 冰 🧊\r\n';
  const bigEndian = Buffer.from(`\uFEFF${text}`, 'utf16le').swap16();
  for (const [name, bytes] of [
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with a mark', Buffer.from(`\uFEFF${text}`)],
    ['UTF-16 little-endian', Buffer.from(`\uFEFF${text}`, 'utf16le')],
    ['UTF-16 big-endian', bigEndian],
  ] as const) {
    it(`is read from ${name}`, async () => {
      const folder = await makeFolder({ 'a.txt': bytes });
      const path = join(folder, 'a.txt');
      assert.deepEqual(await read([folder]), [
        { text, source: path, path, verbatim: true, start: 0 },
      ]);
    });
  }

  for (const [name, bytes, reason] of [
    ['Latin-1', Buffer.from('Zürich', 'latin1'), 'bad encoding'],
    ['half a surrogate pair', Buffer.from('\uFEFF\uD83Ex', 'utf16le'), 'bad encoding'],
    ['UTF-16 without a mark', Buffer.from('plain', 'utf16le'), 'not text'],
  ] as const) {
    it(`is refused in ${name}`, async () => {
      await assert.rejects(textOf('a.txt', bytes), refused(reason));
    });
  }

  it('is that of each line in JSONL, and says which', async () => {
    const folder = await makeFolder({ 'a.jsonl': '{"text": "one"}\n\n{"text": "two", "id": 3}\n' });
    assert.deepEqual(
      (await read([folder])).map(({ text: line, source, verbatim }) => [line, source, verbatim]),
      [
        ['one', `${join(folder, 'a.jsonl')}:1`, false],
        ['two', `${join(folder, 'a.jsonl')}:3`, false],
      ],
    );
  });

  it('cannot be opened in the editor where it is packed', async () => {
    const [document] = await read([await makeFolder({ 'a.txt.gz': gzipSync('packed') })]);
    assert.equal(document?.text, 'packed');
    assert.equal(document.verbatim, false);
  });
});

describe('htmlText', () => {
  it('leaves out markup, scripts and styles, and decodes entities', () => {
    const html = `<!doctype html><html><head><title>A &amp; B</title><style>p { color: red }</style>
      <script>if (a < b) document.write("<p>no</p>")</script></head>
      <body><!-- no --><h1>Head&shy;ing</h1><p>First   <b>bold</b>,
      <a href="x">link</a>&nbsp;&eacute;&#x1F9CA;.</p><p>Second<br>line</p>
      <ul><li>one</li><li>two</ul><table><tr><td>x<td>y</tr></table><template>no</template>
      <pre>  kept
    as is</pre></body></html>`;
    assert.equal(
      htmlText(html),
      'A & B\n\nHead\u00ADing\n\nFirst bold, link\u00A0é🧊.\n\nSecond\nline\n\none\ntwo\n\nx y\n\n  kept\n    as is',
    );
  });

  it('survives broken markup', () => {
    assert.equal(
      htmlText('<p>one <b>two</p></div></script> three &nosuch; <'),
      'one two\n\nthree &nosuch; <',
    );
    assert.equal(htmlText(''), '');
  });

  it('is linear in the page', () => {
    const html = '<div><p>some words of text </p></div>'.repeat(100_000);
    const started = performance.now();
    assert.equal(htmlText(html).length, 'some words of text\n\n'.length * 100_000 - 2);
    assert.ok(performance.now() - started < 5000);
  });
});

describe('the text of a PDF', () => {
  it('is that of its pages, with words whole', async () => {
    const pdf = makePdf([['Hello from a PDF, inter-', 'rupted.'], ['Page two.']]);
    assert.equal(await textOf('a.pdf', pdf), 'Hello from a PDF, interrupted.\n\nPage two.');
  });

  it('is refused where it is protected or broken', async () => {
    await assert.rejects(textOf('a.pdf', makePdf([['secret']], true)), refused('encrypted'));
    await assert.rejects(textOf('a.pdf', 'no PDF'), refused('unreadable'));
    const cut = makePdf([['Hello']]).subarray(0, 60);
    await assert.rejects(textOf('a.pdf', cut), refused('unreadable'));
  });
});

describe('readCorpus', () => {
  it('fails on a bad file that is named, and logs it where it lies in a folder', async () => {
    const folder = await makeFolder({
      'a.txt': Buffer.from('Zürich', 'latin1'),
      'b.jsonl': '{"text": "kept"}\nno JSON\n',
      'c.pdf': 'no PDF',
      'd.md': '# last',
      '.gitignore': 'e.txt',
      'e.txt': 'ignored',
    });
    const lines: string[] = [];
    const texts = (await read([folder], line => lines.push(line))).map(({ text }) => text);
    assert.deepEqual(texts, ['kept', '# last']);
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /bad encoding.*a\.txt/);
    assert.match(lines[1] ?? '', /b\.jsonl, line 2 is not JSON/);
    for (const name of ['a.txt', 'b.jsonl', 'c.pdf'])
      await assert.rejects(read([join(folder, name)]), e => Failure.is(e, 'bad-file'));
    assert.equal((await read([join(folder, 'e.txt')]))[0]?.text, 'ignored');
  });
});
