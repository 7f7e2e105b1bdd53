import { Failure } from '../common/failure.ts';
import type { TokenPolicy } from '../saes/dictionary.ts';
import { excludedTokens } from '../saes/tokenPolicy.ts';
import type { ActivationSource, ActivationWindow } from './activations/activations.ts';
import { randomStream, streams } from './seeds.ts';

/** What training needs to know of the activations before it starts, from a sample of windows. */
export interface TokenStatistics {
  readonly policy: TokenPolicy;
  /** The factor that brings the mean |x| of included tokens to sqrt(D). */
  readonly scale: number;
  /** Mean of the included tokens, unscaled, (D). */
  readonly mean: readonly number[];
  /** Mean of |x - mean|^2 over the included tokens, unscaled. */
  readonly variance: number;
  /** The factor that brings the mean |target| to sqrt(D); `scale` where the activations are the target. */
  readonly targetScale: number;
  /** Tokens in the sample, and those that the policy leaves out. */
  readonly tokens: number;
  readonly excluded: number;
}

/** Tokens whose norm is this many times the median are left out. */
const outlier = 10;

/** Measures up to `windows` windows, chosen by the seed. */
export async function measureTokens(
  source: ActivationSource,
  options: { readonly windows: number; readonly seed: number; readonly signal?: AbortSignal },
): Promise<TokenStatistics> {
  const order = randomStream(options.seed, streams.statistics).shuffle(
    Uint32Array.from({ length: source.windows }, (_, i) => i),
  );
  const samples: ActivationWindow[] = [];
  for (const index of order.subarray(0, options.windows)) {
    samples.push(...(await source.read(index, 1, options.signal)));
  }
  const { width } = source;
  const norms = samples.flatMap(({ activations }) => Array.from(rowNorms(activations, width)));
  const finite = norms.filter(Number.isFinite).sort((a, b) => a - b);
  const median = finite[Math.floor(finite.length / 2)];
  if (median === undefined || !(median > 0)) {
    throw new Failure(
      'empty',
      'There are no activations to train on: the text is empty, or all of them are 0.',
    );
  }
  const policy = { excludeFirst: true, maxNorm: outlier * median };
  return summarize(samples, width, policy);
}

function summarize(
  samples: readonly ActivationWindow[],
  width: number,
  policy: TokenPolicy,
): TokenStatistics {
  const sum = new Float64Array(width);
  let squares = 0;
  let normSum = 0;
  let targetNormSum = 0;
  let included = 0;
  let tokens = 0;
  for (const { activations: x, target } of samples) {
    const excluded = excludedTokens(x, width, true, policy);
    tokens += excluded.length;
    const targetNorms = target && rowNorms(target, width);
    for (const [t, norm] of rowNorms(x, width).entries()) {
      if (excluded[t] === 1) continue;
      included++;
      normSum += norm;
      targetNormSum += targetNorms?.[t] ?? norm;
      squares += norm * norm;
      for (let i = 0; i < width; i++) sum[i] = (sum[i] ?? 0) + (x[t * width + i] ?? 0);
    }
  }
  if (included === 0) {
    throw new Failure('empty', 'There are no activations to train on: every token is left out.');
  }
  const mean = Array.from(sum, s => s / included);
  const variance = squares / included - mean.reduce((total, m) => total + m * m, 0);
  const scale = Math.sqrt(width) / (normSum / included);
  const targetScale = targetNormSum > 0 ? Math.sqrt(width) / (targetNormSum / included) : 1;
  return { policy, scale, targetScale, mean, variance, tokens, excluded: tokens - included };
}

function rowNorms(x: Float32Array, width: number): Float64Array {
  return Float64Array.from({ length: x.length / width }, (_, t) => {
    let squares = 0;
    for (let i = t * width; i < (t + 1) * width; i++) squares += (x[i] ?? 0) * (x[i] ?? 0);
    return Math.sqrt(squares);
  });
}
