import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import {
  compression,
  decode,
  longestFile,
  looksLikeText,
  readLines,
  tooLong,
  unpack,
} from './corpusFiles.ts';

/** One text of a corpus and where it came from. */
export interface CorpusDocument {
  readonly text: string;
  readonly source: string;
}

const skippedFolders = new Set(['node_modules']);

/**
 * The documents of files and folders, in the order given; folders in the order of their names, without hidden files
 * and without files that are not text. `.jsonl` holds a {"text": ...} a line; `.gz` and `.xz` are unpacked.
 */
export async function* readCorpus(
  paths: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  for (const path of paths) {
    signal?.throwIfAborted();
    const found = await stat(path).catch((cause: unknown) => {
      throw Failure.from(cause).code === 'not-found'
        ? new Failure('not-found', `There is no file or folder ${path}.`, { cause })
        : Failure.from(cause);
    });
    if (found.isDirectory()) yield* readFolder(path, signal);
    else yield* readDocuments(path, found.size, signal);
  }
}

async function* readFolder(folder: string, signal?: AbortSignal): AsyncGenerator<CorpusDocument> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    signal?.throwIfAborted();
    if (entry.name.startsWith('.') || skippedFolders.has(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) yield* readFolder(path, signal);
    else if (entry.isFile() && (await looksLikeText(path)))
      yield* readDocuments(path, (await stat(path)).size, signal);
  }
}

async function* readDocuments(
  path: string,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  if (/\.jsonl(\.gz|\.xz)?$/.test(path)) {
    yield* readJsonl(path, signal);
    return;
  }
  if (size > longestFile) throw tooLong(path);
  const bytes = compression(path) ? await unpack(path) : await readFile(path);
  const text = decode(bytes, path);
  if (text !== '') yield { text, source: path };
}

async function* readJsonl(path: string, signal?: AbortSignal): AsyncGenerator<CorpusDocument> {
  let number = 0;
  for await (const line of readLines(path)) {
    signal?.throwIfAborted();
    number++;
    if (line.trim() !== '') {
      yield { text: parseLine(line, path, number), source: `${path}:${number}` };
    }
  }
}

function parseLine(line: string, path: string, number: number): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Failure('bad-file', `${path}, line ${number} is not JSON.`, { cause });
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'text' in value &&
    typeof value.text === 'string'
  ) {
    return value.text;
  }
  throw new Failure(
    'bad-file',
    `${path}, line ${number} has no "text": expected {"text": "..."} on each line.`,
  );
}
