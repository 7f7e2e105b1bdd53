import { createHash } from 'node:crypto';
import type { TokenizerParts } from './textTokenizer.ts';

/**
 * The sha256 of all that decides a text's ids, in hexadecimal: two tokenizers with the same fingerprint give every text
 * the same ids, whatever files they came from. How a file spells the same thing does not count, nor does BOS.
 */
export function tokenizerFingerprint(parts: TokenizerParts): string {
  const { vocabulary, added, merges, normalizer, preTokenizer } = parts;
  const ids = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
  const hash = createHash('sha256');
  const put = (value: unknown) => hash.update(`${JSON.stringify(value)}\n`);
  put('Loupe tokenizer 1');
  for (const entry of [...ids].sort(([, a], [, b]) => a - b)) put(entry);
  for (const [left, right] of merges) put([left, right]);
  put(normalizer);
  put(preTokenizer);
  for (const token of [...added].sort((a, b) => a.id - b.id)) {
    const { id, singleWord, takesLeft, takesRight, normalized } = token;
    // What is normalised only counts where something is.
    put([id, singleWord, takesLeft, takesRight, normalized && normalizer.length > 0]);
  }
  put([parts.ignoreMerges, parts.byteFallback, parts.unknown ?? null, parts.fuseUnknown]);
  return hash.digest('hex');
}
