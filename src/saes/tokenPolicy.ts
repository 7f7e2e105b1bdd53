import type { TokenPolicy } from './dictionary.ts';

/**
 * Which tokens a policy leaves out of training and of every statistic: 1 where |x| is above the policy's norm, and for
 * the first token of a window, whose activation is the attention sink's.
 */
export function excludedTokens(
  x: Float32Array, // (T, D)
  inputWidth: number,
  firstTokenOfWindow: boolean,
  policy: TokenPolicy,
): Uint8Array {
  const tokens = x.length / inputWidth;
  const excluded = new Uint8Array(tokens);
  const limit = policy.maxNorm * policy.maxNorm;
  for (let t = 0; t < tokens; t++) {
    let squares = 0;
    for (let i = t * inputWidth; i < (t + 1) * inputWidth; i++)
      squares += (x[i] ?? 0) * (x[i] ?? 0);
    // Negated, so that a token with NaN is left out too.
    if (!(squares <= limit)) excluded[t] = 1;
  }
  if (firstTokenOfWindow && policy.excludeFirst && tokens > 0) excluded[0] = 1;
  return excluded;
}
