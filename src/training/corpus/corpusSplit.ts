import { createHash } from 'node:crypto';
import type { CorpusPlan } from '../../contracts/trainer.ts';
import type { FoundDocument } from './corpusReading.ts';
import type { CorpusDocument } from './extract/document.ts';
import { cutSections, joinSections } from './sections.ts';

/** What is split: a file, a line of JSONL or a section of the only document. */
export interface SplitItem {
  /** Says which item it is, whatever else there is: path from its root, the text of a line. */
  readonly key: string;
  readonly length: number; // UTF-16 units of text
}

/** Share of items that is held out. */
const share = 0.1;
/** Bounds of the share of text, where items are few or of very different lengths. */
const least = 0.05;
const most = 0.2;

/**
 * Which items are held out: those whose hash with the seed lies in the lowest tenth, so that an item stays on its side
 * when others come and go. Where that is less than a twentieth of the text the next higher hashes follow; an item that
 * would bring it over a fifth is passed over. Of two or more items at least one is held out and one is not.
 */
export function heldOutItems(items: readonly SplitItem[], seed: number): ReadonlySet<number> {
  const held = new Set<number>();
  if (items.length < 2) return held;
  const total = items.reduce((sum, { length }) => sum + length, 0);
  const order = items
    .map(({ key, length }, index) => ({ index, length, place: place(key, seed) }))
    .sort((a, b) => a.place - b.place || a.index - b.index);
  let text = 0;
  for (const { index, length, place } of order) {
    if (place >= share && text >= least * total) break;
    if (text + length > most * total) continue;
    held.add(index);
    text += length;
  }
  const smallest = order.reduce((best, item) => (item.length < best.length ? item : best));
  if (held.size === 0) held.add(smallest.index);
  return held;
}

/** A number in [0, 1) that key and seed alone decide. */
function place(key: string, seed: number): number {
  return createHash('sha256').update(`${seed}\n${key}`).digest().readUInt32BE(0) / 2 ** 32;
}

/** Documents on both sides of the split, each in its order. */
export interface SplitCorpus {
  readonly train: readonly CorpusDocument[];
  readonly heldOut: readonly CorpusDocument[];
  readonly split: CorpusPlan['split'];
}

/** Splits by file, JSONL by line, and a single document by sections; see `heldOutItems`. */
export function splitDocuments(found: readonly FoundDocument[], seed: number): SplitCorpus {
  const [only] = found;
  if (only !== undefined && found.length === 1) {
    const sections = splitSections(only, seed);
    return {
      train: sections.filter(({ heldOut }) => !heldOut).map(({ document }) => document),
      heldOut: sections.filter(({ heldOut }) => heldOut).map(({ document }) => document),
      split: 'sections',
    };
  }
  const held = heldOutItems(
    found.map(({ file, text }) => ({
      key: file.format === 'jsonl' ? text : file.relative,
      length: text.length,
    })),
    seed,
  );
  const documents = found.map(withoutFile);
  return {
    train: documents.filter((_, index) => !held.has(index)),
    heldOut: documents.filter((_, index) => held.has(index)),
    split: found.every(({ file }) => file.format === 'jsonl') ? 'lines' : 'files',
  };
}

function splitSections(
  document: FoundDocument,
  seed: number,
): readonly { document: CorpusDocument; heldOut: boolean }[] {
  const whole = withoutFile(document);
  const sections = cutSections(whole.text);
  const held = heldOutItems(
    sections.map(({ start, end }, index) => ({ key: String(index), length: end - start })),
    seed,
  );
  return joinSections(sections, index => held.has(index)).map(({ start, end, heldOut }) => ({
    document: {
      ...whole,
      text: whole.text.slice(start, end),
      start: whole.verbatim ? whole.start + start : 0,
    },
    heldOut,
  }));
}

function withoutFile({ text, source, path, verbatim, start }: FoundDocument): CorpusDocument {
  return { text, source, path, verbatim, start };
}
