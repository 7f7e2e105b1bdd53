import { Failure } from '../../common/failure.ts';
import { formatFigure } from '../../common/numbers.ts';
import type { EvaluateResult, EvaluationAtK } from '../../contracts/commandLine.ts';
import { isResidual, spliceStart } from '../../models/hooks.ts';
import type { ModelConfig } from '../../models/model.ts';
import { largestK, outputWidthOf } from '../../saes/dictionary.ts';
import { ReconstructionStatistics, type Summand } from '../../saes/reconstructionStatistics.ts';
import { hooksOf, readingOf, targetHook } from '../../saes/target.ts';
import { excludedTokens } from '../../saes/tokenPolicy.ts';
import type { ModelRunner } from '../model/modelRunner.ts';
import { lastState, SaeLensEvaluation } from './saeLensFigures.ts';
import type { SaeRunner } from '../saes/saeRunner.ts';

/** What of a model the evaluation uses. */
export interface EvaluatedModel extends Pick<ModelRunner, 'run' | 'splice'> {
  readonly config: Pick<ModelConfig, 'departures'>;
}

export interface EvaluateRequest {
  /** Whole windows, one after the other. */
  readonly tokenIds: Uint32Array;
  readonly windowLength: number; // T
  /** The sparsities to evaluate, each at most the SAE's maxK. */
  readonly ks: readonly number[];
  /** Residual SAEs whose output is added to the SAE's (SAE Boost, arXiv 2507.12990): xhat + sum of ehat_d. */
  readonly residuals?: readonly SaeRunner[];
  /** Which of them are added: each subset is evaluated at each k; one with all of them where not given. */
  readonly subsets?: readonly (readonly number[])[];
  /** With it, SAELens' own figures are computed too, at the largest k: layers of the model. */
  readonly saelens?: { readonly layers: number };
  readonly signal?: AbortSignal;
  readonly report?: (windowsDone: number, windows: number) => void;
}

/**
 * Measures an SAE on text: how well it reconstructs the activations at its hook, and what the model loses when the
 * reconstructions take their place. One run of the model per window, then one of what is behind the hook for every k.
 */
export async function evaluate(
  model: EvaluatedModel,
  sae: SaeRunner,
  request: EvaluateRequest,
): Promise<EvaluateResult> {
  const { tokenIds, windowLength, ks, signal, residuals = [] } = request;
  checkRequest(sae, request);
  const { width, inputWidth } = sae.dictionary;
  const hook = targetHook(sae.dictionary);
  const outputWidth = outputWidthOf(sae.dictionary);
  const statistics = new ReconstructionStatistics(outputWidth);
  // What is not a state of the residual stream is replaced in a run from the last such state before it.
  const start = isResidual(hook) ? undefined : spliceStart(hook, model.config);
  const subsets = request.subsets ?? [residuals.map((_, i) => i)];
  const sums = subsets.flatMap(subset => ks.map(k => ({ k, subset })));
  const losses = new Losses(sums.length);
  const byItself = sums.filter(({ subset }) => subset.length === 0);
  const measured = byItself.reduce(
    (a, b) => (b.k > a.k ? b : a),
    byItself[0] ?? { k: 0, subset: [] },
  );
  const { layers = 0 } = request.saelens ?? {};
  const saelens =
    request.saelens && byItself.length > 0
      ? new SaeLensEvaluation(model, { hook, layers, outputWidth })
      : undefined;
  const windows = tokenIds.length / windowLength;
  let excludedCount = 0;
  for (let window = 0; window < windows; window++) {
    const ids = tokenIds.subarray(window * windowLength, (window + 1) * windowLength); // (T)
    const labels = nextTokens(ids);
    const run = await model.run({
      tokenIds: ids,
      hooks: [
        ...new Set([
          ...hooksOf(sae.dictionary),
          ...(start ? [start] : []),
          ...(saelens ? [lastState(layers)] : []),
        ]),
      ],
      head: 'loss',
      labels,
      keepBuffers: true,
      ...(signal && { signal }),
    });
    const { x, target } = readingOf(sae.dictionary, run.hooks); // (T, D), (T, O)
    const unreplaced = run.hooks.get(hook) ?? target;
    const excluded = excludedTokens(x, inputWidth, true, sae.dictionary.tokenPolicy);
    excludedCount += excluded.reduce((count, value) => count + value, 0);
    const spliced = async (replacement: Float32Array) => {
      const activations = withExcluded(replacement, unreplaced, excluded, outputWidth);
      const { buffers } = run;
      const residual = start && run.hooks.get(start);
      const rest = { hook, activations, residual, buffers, head: 'loss', labels } as const;
      return (await model.splice({ ...rest, ...(signal && { signal }) })).surprisal;
    };
    statistics.addTokens(target, excluded);
    losses.add('clean', run.surprisal, excluded);
    losses.add('zero', await spliced(new Float32Array(target.length)), excluded);
    const encoding = await sae.encode(x);
    await saelens?.add(
      {
        tokenIds: ids,
        target,
        reconstruction: sae.reconstruct(encoding, measured.k),
        encoding,
        k: measured.k,
        last: run.hooks.get(lastState(layers)) ?? target,
        buffers: run.buffers,
        residual: start && run.hooks.get(start),
      },
      signal,
    );
    const corrections: Correction[] = [];
    for (const residual of residuals) corrections.push(await correctionOf(residual, x));
    for (const [index, { k, subset }] of sums.entries()) {
      const added = subset.flatMap(i => corrections[i] ?? []);
      const reconstruction = sae.reconstruct(encoding, k);
      for (const { output } of added) addTo(reconstruction, output);
      const summands = [{ encoding, k, width }, ...added];
      statistics.addReconstruction(index, target, reconstruction, summands, excluded);
      losses.add(index, await spliced(reconstruction), excluded);
    }
    request.report?.(window + 1, windows);
  }
  if (losses.positions === 0) {
    throw new Failure('empty', 'The token policy leaves no token of this text to evaluate.');
  }
  return {
    tokens: statistics.tokens,
    excluded: excludedCount,
    convention: convention(sae, windowLength, statistics.tokens, excludedCount, losses.positions),
    results: sums.map(({ k, subset }, index) => ({
      ...(saelens && sums[index] === measured && { saelens: saelens.figures() }),
      k,
      residuals: subset.map(i => residuals[i]?.dictionary.name ?? ''),
      ...statistics.figures(index),
      ce: losses.figures(index),
    })),
  };
}

/** What a residual SAE adds to the reconstruction of some tokens. */
interface Correction extends Summand {
  readonly output: Float32Array; // (T, D)
}

async function correctionOf(residual: SaeRunner, x: Float32Array): Promise<Correction> {
  const encoding = await residual.encode(x);
  const { maxK: k } = residual;
  const output = residual.reconstruct(encoding, k);
  return { encoding, k, width: residual.dictionary.width, output };
}

function addTo(sum: Float32Array, summand: Float32Array): void {
  summand.forEach((value, i) => {
    sum[i] = (sum[i] ?? 0) + value;
  });
}

function checkRequest(
  { dictionary, maxK }: SaeRunner,
  { tokenIds, windowLength, ks }: EvaluateRequest,
): void {
  const wrong = ks.find(k => !Number.isInteger(k) || k < 1 || k > maxK);
  if (ks.length === 0 || wrong !== undefined) {
    throw new Failure(
      'usage',
      `k must be a whole number from 1 to ${maxK}, the largest of ${dictionary.name}; found ${wrong ?? 'none'}.`,
    );
  }
  if (tokenIds.length === 0 || tokenIds.length % windowLength !== 0 || windowLength < 3) {
    throw new Failure(
      'empty',
      `The text gives ${tokenIds.length} tokens in windows of ${windowLength}; at least one whole window of 3 tokens or more is needed.`,
    );
  }
}

/** What takes the place of the activations: themselves, 0, or the reconstruction of this number. */
type RunKind = 'clean' | 'zero' | number;

/** Sums of surprisal at the counted positions whose next token is known, per kind of run. */
class Losses {
  positions = 0;
  private readonly sums = new Map<RunKind, number>();

  constructor(reconstructions: number) {
    const numbers = Array.from({ length: reconstructions }, (_, i) => i);
    for (const kind of ['clean', 'zero', ...numbers] as const) this.sums.set(kind, 0);
  }

  add(kind: RunKind, surprisal: Float32Array | undefined, excluded: Uint8Array): void {
    let sum = this.sums.get(kind) ?? 0;
    let counted = 0;
    // The last token of a window has no known next one.
    for (let t = 0; t < excluded.length - 1; t++) {
      if (excluded[t]) continue;
      sum += surprisal?.[t] ?? NaN;
      counted++;
    }
    this.sums.set(kind, sum);
    if (kind === 'clean') this.positions += counted;
  }

  figures(index: number): EvaluationAtK['ce'] {
    const mean = (kind: RunKind) => (this.sums.get(kind) ?? NaN) / this.positions;
    const [clean, sae, zero] = [mean('clean'), mean(index), mean('zero')];
    return { clean, sae, zero, delta: sae - clean, score: (zero - sae) / (zero - clean) };
  }
}

/** `replacement`, but `x` at the excluded tokens; in place. */
function withExcluded(
  replacement: Float32Array,
  x: Float32Array,
  excluded: Uint8Array,
  inputWidth: number,
): Float32Array {
  excluded.forEach((isExcluded, t) => {
    if (isExcluded)
      replacement.set(x.subarray(t * inputWidth, (t + 1) * inputWidth), t * inputWidth);
  });
  return replacement;
}

/** The token that follows each; the last one's is not known and not counted. */
function nextTokens(ids: Uint32Array): Uint32Array {
  const labels = new Uint32Array(ids.length);
  labels.set(ids.subarray(1));
  return labels;
}

function convention(
  { dictionary, maxK }: SaeRunner,
  windowLength: number,
  tokens: number,
  excluded: number,
  positions: number,
): string {
  const { excludeFirst, maxNorm } = dictionary.tokenPolicy;
  const left = [
    ...(excludeFirst ? ['the first of each window'] : []),
    ...(Number.isFinite(maxNorm) ? [`those with |x| above ${formatFigure(maxNorm, 4)}`] : []),
  ];
  const kept =
    largestK(dictionary.rule) !== undefined
      ? 'k strongest features'
      : `k strongest features of those that fire (at most ${maxK} are looked at)`;
  return [
    `Windows of ${windowLength} tokens at ${targetHook(dictionary)}; ${tokens} tokens counted, ${excluded} left out and not replaced`,
    left.length > 0 ? ` (${left.join('; ')})` : '',
    `; reconstruction from the ${kept}. EV = 1 - sum|x - xhat|^2 / sum|x - mean(x)|^2 with the mean over all counted`,
    ` tokens; MSE is the mean over tokens of the squared error summed over dimensions; CE in nats over the ${positions}`,
    ` counted tokens whose next token is known, the same for clean, SAE and zero; score = (zero - sae) / (zero - clean);`,
    ` dead: no activation in these ${tokens} tokens.`,
  ].join('');
}
