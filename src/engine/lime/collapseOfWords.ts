import { Random } from '../../common/random.ts';
import type { MeanAndDeviation, TokenPoints } from '../../contracts/collapse.ts';
import { linearSeparability } from '../../lime/linearSeparability.ts';
import { mostProjected, projectionSteps, TokenProjection } from '../../lime/tokenProjection.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import type { WordPlaces } from './closeWords.ts';
import type { LayerPlace } from './collapseRows.ts';
import { pause } from '../pause.ts';

/** Of the cross-validation, as the authors'. */
export const folds = 5;

/** Steps of a projection between two looks at the signal. */
const projectionStretch = 10;

/** What the measurements of words share. */
interface WordOptions {
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly report?: (step: string, fraction: number) => void;
}

/** Of each place; null where there are fewer tokens of a word than folds. */
export async function measureSeparability(
  places: readonly LayerPlace[],
  { perWord, words }: WordPlaces,
  rows: readonly Float32Array[],
  options: WordOptions & { readonly epochs: number },
): Promise<(MeanAndDeviation | null)[]> {
  const { seed, epochs, signal, report } = options;
  const labels = wordLabels(words.length, perWord);
  const results: (MeanAndDeviation | null)[] = [];
  for (const [i, { width }] of places.entries()) {
    const data = { rows: rows[i] ?? new Float32Array(), width, labels, classes: words.length };
    const enough = perWord >= folds;
    results.push(enough ? linearSeparability(data, { folds, epochs }, new Random(seed)) : null);
    report?.('Telling words apart', (i + 1) / places.length);
    await pause(signal);
  }
  return results;
}

/** The words' tokens in a plane, of both places of the layers that were asked for. */
export async function projectWords(
  places: readonly LayerPlace[],
  { perWord, words }: WordPlaces,
  rows: readonly Float32Array[],
  options: WordOptions & { readonly projected?: readonly number[]; readonly points?: number },
): Promise<TokenPoints[]> {
  const { projected = [], points = mostProjected, seed, signal, report } = options;
  const each = Math.min(perWord, Math.floor(Math.min(points, mostProjected) / words.length));
  if (each * words.length < 2) return [];
  const asked = places.filter(({ layer }) => projected.includes(layer));
  const results: TokenPoints[] = [];
  for (const [i, { layer, place, width }] of asked.entries()) {
    const all = rows[2 * layer + (place === 'values' ? 0 : 1)] ?? new Float32Array();
    const taken = new Float32Array(words.length * each * width);
    for (const w of words.keys()) {
      for (const [n, from] of evenlySpread(each, perWord).entries()) {
        const row = (w * perWord + from) * width;
        taken.set(all.subarray(row, row + width), (w * each + n) * width);
      }
    }
    const projection = new TokenProjection(taken, width, new Random(seed));
    for (let step = 0; step < projectionSteps; step++) {
      projection.step();
      if (step % projectionStretch > 0) continue;
      report?.('Laying tokens out', (i + step / projectionSteps) / asked.length);
      await pause(signal);
    }
    results.push({
      layer,
      place,
      points: projection.result(),
      words: wordLabels(words.length, each),
    });
  }
  return results;
}

/** The word of each row, word by word. */
function wordLabels(words: number, perWord: number): Uint32Array {
  return Uint32Array.from({ length: words * perWord }, (_, row) => Math.floor(row / perWord));
}
