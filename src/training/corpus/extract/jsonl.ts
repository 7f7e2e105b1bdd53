import { throwIfCancelled } from '../../../common/cancelled.ts';
import { readLines } from '../corpusFiles.ts';
import { UnusableFile } from '../skippedFiles.ts';
import type { CorpusDocument } from './document.ts';

/** The `text` of each line's object, one document a line. */
export async function* extractJsonl(
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  let number = 0;
  for await (const line of readLines(path)) {
    throwIfCancelled(signal);
    number++;
    if (line.trim() === '') continue;
    const text = parseLine(line, path, number);
    yield { text, source: `${path}:${number}`, path, verbatim: false, start: 0 };
  }
}

function parseLine(line: string, path: string, number: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new UnusableFile('unreadable', `${path}, line ${number} is not JSON.`, { cause });
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'text' in value &&
    typeof value.text === 'string'
  ) {
    return value.text;
  }
  throw new UnusableFile(
    'not text',
    `${path}, line ${number} has no "text": expected {"text": "..."} on each line.`,
  );
}
