import type { AnalysisPart, DomainPart } from '../../contracts/engine.ts';
import type { TokenSpans } from '../../models/model.ts';
import type { CellStatistics } from './cellStatistics.ts';
import type { SaeReading } from '../saes/saeReading.ts';
import { cellLength } from './windows.ts';

/** What the model said of the tokens `start` to `end`. */
export interface BlockResult {
  readonly start: number;
  readonly end: number;
  /** -ln p of the token after each. */
  readonly surprisal: Float32Array; // (T)
  readonly predictedIds: Uint32Array; // (T, P)
  readonly probabilities: Float32Array; // (T, P)
}

/** A block and what the SAE says of its tokens from `first` on; rows of `sae` count from there. */
export interface DescribedBlock {
  readonly block: BlockResult;
  readonly first: number;
  /** -ln p of the block's first token: the last surprisal of the block before, NaN where there is none. */
  readonly carried: number;
  readonly tokens: TokenSpans;
  readonly sae: SaeReading;
  readonly predictions: number; // P
  readonly tokenText: (id: number) => string;
}

/** Cuts a described block into cells of results, each complete in itself. */
export function cellsOf(described: DescribedBlock): AnalysisPart[] {
  const { block, first } = described;
  const cells: AnalysisPart[] = [];
  for (const [i, statistics] of described.sae.cells.entries()) {
    const start = first + i * cellLength;
    cells.push(cellOf(described, start, Math.min(start + cellLength, block.end), statistics));
  }
  return cells;
}

/** The cell of the tokens `start` to `end`. Its arrays are copies: it outlives the block. */
function cellOf(
  described: DescribedBlock,
  start: number,
  end: number,
  statistics: CellStatistics,
): AnalysisPart {
  const { block, first, carried, tokens, sae, predictions, tokenText } = described;
  const [row, endRow] = [start - block.start, end - block.start];
  const rows = [start - first, end - first] as const;
  const kept = [rows[0] * sae.k, rows[1] * sae.k] as const;
  const pairs = sae.domains.length ** 2;
  const surprisal = new Float32Array(end - start);
  for (let t = 0; t < surprisal.length; t++) {
    // The distribution after the token before gives this one's surprisal.
    surprisal[t] = row + t === 0 ? carried : (block.surprisal[row + t - 1] ?? NaN);
  }
  return {
    firstToken: start,
    starts: tokens.starts.slice(start, end),
    ends: tokens.ends.slice(start, end),
    tokenIds: tokens.ids.slice(start, end),
    surprisal,
    predictions: Array.from(
      block.predictedIds.subarray(row * predictions, endRow * predictions),
      id => tokenText(id),
    ),
    probabilities: block.probabilities.slice(row * predictions, endRow * predictions),
    k: sae.k,
    features: sae.features.slice(...kept),
    activations: sae.activations.slice(...kept),
    squaredError: sae.squaredError.slice(...kept),
    ...statistics,
    domains: sae.domains.map(domain => domainCell(domain, sae.k, ...rows)),
    gram: sae.gram.slice(rows[0] * pairs, rows[1] * pairs),
  };
}

/** The rows `from` to `to` of what a domain says, with no more features per token than fire there. */
function domainCell(domain: DomainPart, K: number, from: number, to: number): DomainPart {
  const { k: wide, features, activations, products } = domain;
  let k = 0;
  for (let row = from; row < to; row++) {
    // By descending activation: a token with more than k has one at rank k.
    while (k < wide && (activations[row * wide + k] ?? 0) > 0) k++;
  }
  const cell = {
    k,
    features: new Uint32Array((to - from) * k),
    activations: new Float32Array((to - from) * k),
    products: products.slice(from * K, to * K),
  };
  for (let row = from; row < to; row++) {
    const kept = [row * wide, row * wide + k] as const;
    cell.features.set(features.subarray(...kept), (row - from) * k);
    cell.activations.set(activations.subarray(...kept), (row - from) * k);
  }
  return cell;
}
