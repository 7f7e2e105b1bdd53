import { createHash } from 'node:crypto';
import { Random } from '../../common/random.ts';
import { withoutLicence } from './licenceHeader.ts';
import { shingleHashes } from './shingles.ts';

const bins = 128;
const bands = 10;
const rowsPerBand = 5;
/** Share of shingles in common (Jaccard) from which on two texts count as one. */
const similar = 0.8;
/** Texts that share a band and are compared; bounds the cost where very many texts are a little alike. */
const mostCompared = 8;
/** Shorter texts are duplicates only where they are equal: too little in them tells them apart. */
const fewestShingles = 16;

/**
 * Tells which texts are copies, or edited copies, of an earlier one: one-permutation MinHash over shingles of words
 * (Li, Owen and Zhang, NIPS 2012) with its empty bins filled from others (Shrivastava, ICML 2017), found by banding
 * (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4). Linear in the text; the same seed gives the same
 * answers. Two texts that share `similar` of their shingles find each other with probability 0.98.
 */
export class NearDuplicates {
  private readonly exact = new Set<string>();
  private readonly signatures: Uint16Array[] = [];
  private readonly buckets = Array.from({ length: bands }, () => new Map<number, number[]>());
  private readonly seed: number;
  /** For each bin, the bins it is filled from while it is empty. */
  private readonly fillers: Uint8Array[];

  constructor(seed: number) {
    const random = new Random(seed);
    this.seed = random.next();
    this.fillers = Array.from({ length: bins }, (_, bin) => {
      const others = Uint8Array.from({ length: bins }, (_, other) => other);
      return random.shuffle(others).filter(other => other !== bin);
    });
  }

  /** Whether `text` is a duplicate of one that was added; it is remembered if it is not. */
  add(text: string): boolean {
    const digest = createHash('sha256').update(text).digest('base64');
    if (this.exact.has(digest)) return true;
    const signature = this.signatureOf(withoutLicence(text));
    if (signature !== undefined && this.hasSimilar(signature)) return true;
    this.exact.add(digest);
    if (signature !== undefined) this.keep(signature);
    return false;
  }

  /** The least hash in each bin, shortened to 16 bits; undefined for a short text. */
  private signatureOf(text: string): Uint16Array | undefined {
    const least = new Float64Array(bins).fill(Infinity);
    let shingles = 0;
    shingleHashes(text, this.seed, hash => {
      shingles++;
      const bin = hash % bins;
      if (hash < (least[bin] ?? 0)) least[bin] = hash;
    });
    if (shingles < fewestShingles) return undefined;
    return Uint16Array.from(least, (value, bin) => {
      if (value !== Infinity) return value / bins;
      const from = this.fillers[bin]?.find(other => least[other] !== Infinity) ?? 0;
      return (least[from] ?? 0) / bins;
    });
  }

  private hasSimilar(signature: Uint16Array): boolean {
    const compared = new Set<number>();
    for (const [band, bucket] of this.buckets.entries()) {
      for (const index of bucket.get(bandHash(signature, band)) ?? []) {
        if (compared.has(index)) continue;
        compared.add(index);
        const other = this.signatures[index];
        if (other !== undefined && agreement(signature, other) >= similar) return true;
      }
    }
    return false;
  }

  private keep(signature: Uint16Array): void {
    const index = this.signatures.push(signature) - 1;
    for (const [band, bucket] of this.buckets.entries()) {
      const hash = bandHash(signature, band);
      const indices = bucket.get(hash);
      if (indices === undefined) bucket.set(hash, [index]);
      else if (indices.length < mostCompared) indices.push(index);
    }
  }
}

function bandHash(signature: Uint16Array, band: number): number {
  let hash = 0x811c9dc5;
  for (let row = 0; row < rowsPerBand; row++)
    hash = Math.imul(hash ^ (signature[band * rowsPerBand + row] ?? 0), 0x01000193);
  return hash >>> 0;
}

/** The share of equal bins, an estimate of the Jaccard similarity; its standard error at 0.8 is 0.035. */
function agreement(a: Uint16Array, b: Uint16Array): number {
  let equal = 0;
  for (let bin = 0; bin < bins; bin++) if (a[bin] === b[bin]) equal++;
  return equal / bins;
}
