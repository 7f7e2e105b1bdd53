import type { AnalysisPart, DomainPart } from '../contracts/engine.ts';
import type { TokenSpans } from '../models/model.ts';
import { outputWidthOf, type Dictionary } from '../saes/dictionary.ts';
import { excludedTokens } from '../saes/tokenPolicy.ts';
import { cellLength } from './windows.ts';

/** What the model said of the tokens `start` to `end`. */
export interface BlockResult {
  readonly start: number;
  readonly end: number;
  readonly x: Float32Array; // (T, D)
  /** What the SAE reconstructs: x, or the activation at a transcoder's output. */
  readonly target: Float32Array; // (T, O)
  /** -ln p of the token after each. */
  readonly surprisal: Float32Array; // (T)
  readonly predictedIds: Uint32Array; // (T, P)
  readonly probabilities: Float32Array; // (T, P)
}

/** What the base and the residual SAEs of its domains say of t tokens, as in `AnalysisPart`. */
export type SaeReading = Pick<
  AnalysisPart,
  'k' | 'features' | 'activations' | 'squaredError' | 'domains' | 'gram'
>;

/** A block and what the SAE says of its tokens from `first` on; rows of `sae` count from there. */
export interface DescribedBlock {
  readonly block: BlockResult;
  readonly first: number;
  /** -ln p of the block's first token: the last surprisal of the block before, NaN where there is none. */
  readonly carried: number;
  readonly tokens: TokenSpans;
  readonly sae: SaeReading;
  readonly dictionary: Pick<Dictionary, 'inputWidth' | 'output' | 'tokenPolicy'>;
  readonly predictions: number; // P
  readonly tokenText: (id: number) => string;
  /** Whether BOS, which is no token of the document, was every window's first token. */
  readonly hasLead: boolean;
}

/** Cuts a described block into cells of results, each complete in itself. */
export function cellsOf(described: DescribedBlock): AnalysisPart[] {
  const { block, first } = described;
  const cells: AnalysisPart[] = [];
  for (let start = first; start < block.end; start += cellLength) {
    cells.push(cellOf(described, start, Math.min(start + cellLength, block.end)));
  }
  return cells;
}

/** The cell of the tokens `start` to `end`. Its arrays are copies: it outlives the block. */
function cellOf(described: DescribedBlock, start: number, end: number): AnalysisPart {
  const { block, first, carried, tokens, sae, dictionary, predictions, tokenText } = described;
  const isFirstOfWindow = start === 0 && !described.hasLead;
  const { inputWidth, tokenPolicy } = dictionary;
  const [row, endRow] = [start - block.start, end - block.start];
  const x = block.x.subarray(row * inputWidth, endRow * inputWidth); // (t, D)
  const outputWidth = outputWidthOf(dictionary);
  const target = block.target.subarray(row * outputWidth, endRow * outputWidth); // (t, O)
  const excluded = excludedTokens(x, inputWidth, isFirstOfWindow, tokenPolicy);
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
    squaredNorm: squaredNorms(target, outputWidth),
    sum: sumOfIncluded(target, outputWidth, excluded),
    excluded,
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

function squaredNorms(x: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(x.length / width);
  x.forEach((value, i) => {
    const t = Math.floor(i / width);
    norms[t] = (norms[t] ?? 0) + value * value;
  });
  return norms;
}

function sumOfIncluded(x: Float32Array, width: number, excluded: Uint8Array): Float64Array {
  const sum = new Float64Array(width);
  excluded.forEach((out, t) => {
    if (out) return;
    for (let i = 0; i < width; i++) sum[i] = (sum[i] ?? 0) + (x[t * width + i] ?? 0);
  });
  return sum;
}
