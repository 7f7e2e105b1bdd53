import { readFile } from 'node:fs/promises';
import { compression, decode, unpack } from '../corpusFiles.ts';
import type { CorpusDocument } from './document.ts';

/** Text, Markdown, code, LaTeX: as it is. */
export async function* extractPlain(path: string): AsyncGenerator<CorpusDocument> {
  const packed = compression(path) !== undefined;
  const text = decode(packed ? await unpack(path) : await readFile(path), path);
  yield { text, source: path, path, verbatim: !packed, start: 0 };
}
