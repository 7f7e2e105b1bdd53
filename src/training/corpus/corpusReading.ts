import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../../common/cancelled.ts';
import type { SelectedFile } from './corpusSelection.ts';
import type { CorpusDocument } from './extract/document.ts';
import { extract } from './extract/extract.ts';
import { NearDuplicates } from './nearDuplicates.ts';
import { skipReason, type SkippedFiles } from './skippedFiles.ts';

/** Most text that is read, UTF-16 units: it is held in memory, and more than a training takes in. */
export const mostText = 2 ** 29;

export interface FoundDocument extends CorpusDocument {
  readonly file: SelectedFile;
}

export interface ReadingOptions {
  /** Counts what is left out. */
  readonly skipped: SkippedFiles;
  /** Of the search for near-duplicates. */
  readonly seed: number;
  /** UTF-16 units. */
  readonly maxText: number;
  readonly signal?: AbortSignal | undefined;
  /** What is read of the files' bytes, 0 to 1. */
  report?(fraction: number): void;
}

/** The documents of files in their order, near-duplicates of earlier ones and unusable files left out and counted. */
export async function readDocuments(
  files: readonly SelectedFile[],
  options: ReadingOptions,
): Promise<readonly FoundDocument[]> {
  const { skipped, signal, maxText } = options;
  const documents: FoundDocument[] = [];
  const duplicates = new NearDuplicates(options.seed);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  let text = 0;
  let done = 0;
  for (const file of files) {
    throwIfCancelled(signal);
    options.report?.(done / bytes);
    done += file.size;
    if (text >= maxText) {
      skipped.add('too much text', file.path);
      continue;
    }
    let empty = true;
    try {
      for await (const document of extract(file, signal)) {
        throwIfCancelled(signal);
        empty = false;
        if (text + document.text.length > maxText) {
          skipped.add('too much text', document.source);
          text = maxText;
          break;
        }
        if (duplicates.add(document.text)) skipped.add('duplicate', document.source);
        else {
          documents.push({ ...document, file });
          text += document.text.length;
        }
      }
      if (empty) skipped.add('empty', file.path);
    } catch (error) {
      throwIfCancelled(signal);
      skipped.add(skipReason(error), file.path);
    }
    await setImmediate();
  }
  return documents;
}
