import type { SelectedFile } from '../corpusSelection.ts';
import { compression, longestFile, tooLong } from '../corpusFiles.ts';
import type { CorpusDocument } from './document.ts';
import { extractHtml } from './html.ts';
import { extractJsonl } from './jsonl.ts';
import { extractPdf } from './pdf.ts';
import { extractPlain } from './plain.ts';

/** The documents of a file by its format, those without text left out; fails with `UnusableFile`. */
export async function* extract(
  { path, format, size }: SelectedFile,
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  if (format !== 'jsonl' && size > longestFile) throw tooLong(path);
  for await (const document of extractor(path, format, signal)) {
    if (document.text.trim() !== '') yield document;
  }
}

function extractor(
  path: string,
  format: SelectedFile['format'],
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  switch (format) {
    case 'jsonl':
      return extractJsonl(path, signal);
    case 'html':
      return extractHtml(path);
    case 'pdf':
      return compression(path) === undefined ? extractPdf(path, signal) : extractPlain(path);
    default:
      return extractPlain(path);
  }
}
