import type { Random } from '../../src/common/random.ts';
import type { AnalysisPart } from '../../src/contracts/engine.ts';

/** One token as the tests know it, from which parts are packed and answers are worked out by brute force. */
export interface KnownToken {
  readonly start: number;
  readonly end: number;
  readonly surprisal: number;
  readonly excluded: boolean;
  /** By descending activation. */
  readonly features: readonly { readonly feature: number; readonly activation: number }[];
  readonly x: Float64Array; // (D)
  /** |x - xhat_k|^2 by k. */
  readonly errors: readonly number[];
}

/** Random tokens of one to four characters; some share the range of the token before, some are left out. */
export function randomTokens(
  random: Random,
  count: number,
  k: number,
  features: number,
): KnownToken[] {
  const tokens: KnownToken[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const before = tokens.at(-1);
    const sharesCharacter = before !== undefined && random.uniform() < 0.1;
    const start = sharesCharacter ? before.start : offset;
    const end = sharesCharacter ? before.end : start + 1 + random.below(4);
    offset = end;
    tokens.push({
      start,
      end,
      surprisal: i === 0 ? NaN : Math.fround(random.uniform() * 8),
      excluded: random.uniform() < 0.1,
      features: randomFeatures(random, k, features),
      x: Float64Array.from({ length: 3 }, () => Math.fround(random.normal() + 1)),
      errors: Array.from({ length: k }, (_, rank) => Math.fround(random.uniform() / (rank + 1))),
    });
  }
  return tokens;
}

function randomFeatures(random: Random, k: number, features: number): KnownToken['features'] {
  const numbers = random.shuffle(Array.from({ length: features }, (_, i) => i)).slice(0, k);
  const active = random.below(k + 1);
  return numbers
    .map((feature, rank) => ({
      feature,
      activation: rank < active ? Math.fround(random.uniform() * 20 + 0.01) : 0,
    }))
    .sort((a, b) => b.activation - a.activation);
}

/** Packs tokens as the engine would, with offsets that count from `shift`. */
export function packPart(
  tokens: readonly KnownToken[],
  firstToken: number,
  shift = 0,
): AnalysisPart {
  const k = tokens[0]?.features.length ?? 1;
  const sum = new Float64Array(3);
  for (const token of tokens) {
    if (!token.excluded) token.x.forEach((value, d) => (sum[d] = (sum[d] ?? 0) + value));
  }
  return {
    firstToken,
    starts: Uint32Array.from(tokens, token => token.start - shift),
    ends: Uint32Array.from(tokens, token => token.end - shift),
    tokenIds: Uint32Array.from(tokens, (_, i) => i),
    surprisal: Float32Array.from(tokens, token => token.surprisal),
    predictions: tokens.flatMap((_, i) => [`first${firstToken + i}`, `second${firstToken + i}`]),
    probabilities: Float32Array.from(tokens.flatMap(() => [0.5, 0.25])),
    k,
    features: Uint32Array.from(tokens.flatMap(token => token.features.map(f => f.feature))),
    activations: Float32Array.from(tokens.flatMap(token => token.features.map(f => f.activation))),
    squaredError: Float32Array.from(tokens.flatMap(token => token.errors)),
    squaredNorm: Float64Array.from(tokens, token =>
      token.x.reduce((s, value) => s + value ** 2, 0),
    ),
    sum,
    excluded: Uint8Array.from(tokens, token => (token.excluded ? 1 : 0)),
  };
}
