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
  /** x - xhat_k by k. */
  readonly left: readonly (readonly number[])[];
  /** |x - xhat_k|^2 by k. */
  readonly errors: readonly number[];
  /** What each domain adds, and its features, by descending activation. */
  readonly domains: readonly {
    readonly ehat: readonly number[]; // (D)
    readonly features: KnownToken['features'];
  }[];
}

/** Features of each of two domains of the known tokens; their numbers follow those of the base. */
export const domainFeatures = 5;

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
    const left = Array.from({ length: k }, (_, rank) => vector(random, 1 / (rank + 1)));
    tokens.push({
      start,
      end,
      surprisal: i === 0 ? NaN : Math.fround(random.uniform() * 8),
      excluded: random.uniform() < 0.1,
      features: randomFeatures(random, k, features),
      x: Float64Array.from({ length: 3 }, () => Math.fround(random.normal() + 1)),
      left,
      errors: left.map(vector => Math.fround(dot(vector, vector))),
      domains: [0, 1].map(domain => ({
        ehat: vector(random, 0.5),
        features: randomFeatures(random, 3, domainFeatures)
          .filter(({ activation }) => activation > 0)
          .map(({ feature, activation }) => ({
            feature: features + domain * domainFeatures + feature,
            activation,
          })),
      })),
    });
  }
  return tokens;
}

function vector(random: Random, scale: number): number[] {
  return Array.from({ length: 3 }, () => scale * random.normal());
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
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
    domains: [0, 1].map(domain => packDomain(tokens, domain)),
    gram: Float32Array.from(
      tokens.flatMap(({ domains }) => domains.flatMap(a => domains.map(b => dot(a.ehat, b.ehat)))),
    ),
  };
}

function packDomain(
  tokens: readonly KnownToken[],
  domain: number,
): AnalysisPart['domains'][number] {
  const lists = tokens.map(token => token.domains[domain]?.features ?? []);
  const k = Math.max(0, ...lists.map(list => list.length));
  const padded = lists.flatMap(list =>
    Array.from({ length: k }, (_, i) => list[i] ?? { feature: 0, activation: 0 }),
  );
  return {
    k,
    features: Uint32Array.from(padded, ({ feature }) => feature),
    activations: Float32Array.from(padded, ({ activation }) => activation),
    products: Float32Array.from(
      tokens.flatMap(({ left, domains }) => left.map(e => dot(e, domains[domain]?.ehat ?? []))),
    ),
  };
}
