import { setImmediate } from 'node:timers/promises';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { CorpusPlan, CorpusRequest } from '../../contracts/trainer.ts';
import type { Tokenizer } from '../../models/model.ts';
import { mostText, readDocuments } from './corpusReading.ts';
import { selectFiles, type SelectedFile } from './corpusSelection.ts';
import { splitDocuments } from './corpusSplit.ts';
import { corpusWarnings } from './corpusWarnings.ts';
import type { CorpusDocument } from './extract/document.ts';
import { pieces } from './packTokens.ts';
import type { SkippedFiles } from './skippedFiles.ts';

export interface CorpusOptions {
  readonly tokenizer: Tokenizer;
  readonly signal?: AbortSignal | undefined;
  /** Default `mostText`. */
  readonly maxText?: number;
  /** What is done, of all that is to be done from 0 to 1. */
  report?(step: 'reading text' | 'counting tokens', fraction: number): void;
}

/** Text to train on, and text to measure on that the training never sees. */
export interface WorkspaceCorpus {
  readonly train: readonly CorpusDocument[];
  readonly heldOut: readonly CorpusDocument[];
  readonly plan: CorpusPlan;
}

/**
 * Chooses and reads the files of a request, drops near-duplicates, splits by file (JSONL by line, a single document by
 * sections) and counts the tokens. Files that cannot be read are counted, not fatal; fails with `empty` where nothing
 * is left.
 */
export async function readWorkspaceCorpus(
  request: CorpusRequest,
  options: CorpusOptions,
): Promise<WorkspaceCorpus> {
  const { signal } = options;
  const { files, skipped } = await selectFiles(request.roots, { ...request, signal });
  const found = await readDocuments(files, {
    skipped,
    seed: request.seed,
    maxText: options.maxText ?? mostText,
    signal,
    report: fraction => options.report?.('reading text', fraction),
  });
  if (found.length === 0) throw nothingFound(request, skipped);
  const { train, heldOut, split } = splitDocuments(found, request.seed);
  const length = textLength(train) + textLength(heldOut);
  const count = async (documents: readonly CorpusDocument[], before: number): Promise<number> =>
    countTokens(documents, options, done =>
      options.report?.('counting tokens', (before + done) / length),
    );
  const tokens = await count(train, 0);
  const heldOutTokens = await count(heldOut, textLength(train));
  const used = new Set(found.map(({ file }) => file));
  const facts = {
    files: used.size,
    documents: found.length,
    bytes: [...used].reduce((sum, { size }) => sum + size, 0),
    tokens,
    heldOutFiles: new Set(heldOut.map(({ path }) => path)).size,
    heldOutTokens,
    skipped: skipped.list(),
    duplicates: skipped.count('duplicate'),
    split,
    formats: countFormats(used),
  };
  return { train, heldOut, plan: { ...facts, warnings: corpusWarnings(facts) } };
}

/** Tokens of documents; `report` is told how many UTF-16 units are done. */
async function countTokens(
  documents: readonly CorpusDocument[],
  { tokenizer, signal }: CorpusOptions,
  report: (done: number) => void,
): Promise<number> {
  let tokens = 0;
  let done = 0;
  for (const { text } of documents) {
    for (const piece of pieces(text)) {
      throwIfCancelled(signal);
      tokens += tokenizer.encode(piece).ids.length;
      done += piece.length;
      report(done);
      await setImmediate();
    }
  }
  return tokens;
}

function textLength(documents: readonly CorpusDocument[]): number {
  return documents.reduce((sum, { text }) => sum + text.length, 0);
}

function countFormats(files: Iterable<SelectedFile>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { format } of files) counts[format] = (counts[format] ?? 0) + 1;
  return counts;
}

function nothingFound({ roots }: CorpusRequest, skipped: SkippedFiles): Failure {
  const reasons = skipped.list().map(({ reason, count }) => `${count} ${reason}`);
  const left = reasons.length === 0 ? 'there are no files' : `left out: ${reasons.join(', ')}`;
  return new Failure('empty', `There is no text to train on in ${roots.join(', ')}: ${left}.`, {
    action: 'Choose other files, or change the globs that choose them.',
  });
}
