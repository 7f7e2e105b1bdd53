import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Entries of a long array that are turned into text together. */
const batch = 256;

/**
 * Writes an object as one line of JSON. Its long arrays are written in pieces: all of an analysis as one text can be
 * longer than a string may be.
 */
export async function writeJson(value: object, out: Writable): Promise<void> {
  for (const piece of pieces(value)) {
    if (!out.write(piece)) await once(out, 'drain');
  }
  await new Promise<void>((resolve, reject) => {
    out.write('\n', error => (error ? reject(error) : resolve()));
  });
}

function* pieces(value: object): Generator<string> {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  if (!entries.some(([, member]) => isLong(member))) {
    yield JSON.stringify(value);
    return;
  }
  let before = '{';
  for (const [name, member] of entries as [string, unknown][]) {
    yield `${before}${JSON.stringify(name)}:`;
    if (isLong(member)) yield* arrayPieces(member);
    else yield JSON.stringify(member);
    before = ',';
  }
  yield '}';
}

function* arrayPieces(array: readonly unknown[]): Generator<string> {
  for (let first = 0; first < array.length; first += batch) {
    const text = JSON.stringify(array.slice(first, first + batch));
    yield `${first === 0 ? '[' : ','}${text.slice(1, -1)}`;
  }
  yield ']';
}

function isLong(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > batch;
}
