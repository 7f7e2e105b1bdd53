import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import { hookAt } from '../../models/hooks.ts';
import { here } from '../sessions/activations.ts';
import type { LoadedModel } from './loadModel.ts';
import { ModelBody } from './modelBody.ts';
import { ModelHead } from './modelHead.ts';

/** How far a model's run in float16 is from one in float32, on the same device. */
export interface Deviation {
  /** The largest difference of an activation of the residual stream, relative to the largest of its token. */
  readonly activations: number;
  /** Mean KL(p32 || p16) of the next token, nats. */
  readonly divergence: number;
}

/** What is run: prose, a name, numbers, code. */
const sample = `A lens gathers light; a loupe is a lens held close to the eye. In 1676 Antonie van Leeuwenhoek wrote to London of
animals so small that ten thousand of them would not fill a grain of sand. for (let i = 0; i < 10; i++) sum += x[i] * w[i];`;

/** Tokens of the sample that are run. */
const tokens = 64;

/** Which of the two did not run, and why: there is nothing to compare. */
export interface NotCompared {
  readonly failed: 'float32' | 'float16';
  readonly why: Failure;
}

/**
 * Runs one window of text in float32 and in float16, one after the other, and compares them. The device stays in use
 * whatever becomes of them: a model may fit there in float16 alone.
 */
export async function float16Deviation(
  model: LoadedModel,
  signal?: AbortSignal,
): Promise<Deviation | NotCompared> {
  const tried = async (precision: 'float32' | 'float16') => {
    const float16 = precision === 'float16' ? precision : undefined;
    try {
      return await outputs({ ...model, float16, isTrial: true }, signal);
    } catch (error) {
      throwIfCancelled(signal);
      return { failed: precision, why: Failure.from(error) };
    }
  };
  const wide = await tried('float32');
  if ('failed' in wide) return wide;
  const half = await tried('float16');
  if ('failed' in half) return half;
  const { width, vocabulary } = model.config;
  let activations = 0;
  for (const [i, values] of wide.residuals.entries()) {
    activations = larger(activations, largestDifference(half.residuals[i], values, width));
  }
  return { activations, divergence: meanDivergence(wide.logits, half.logits, vocabulary) };
}

async function outputs(model: LoadedModel, signal: AbortSignal | undefined) {
  const { config, tokenizer } = model;
  const middle = hookAt(2 * Math.floor(config.layers / 2));
  const [body, head] = [new ModelBody(model), new ModelHead(model)];
  const lead = tokenizer.bos === undefined ? [] : [tokenizer.bos];
  const input = Uint32Array.of(...lead, ...tokenizer.encode(sample).ids).subarray(0, tokens);
  try {
    const { residual, hooks } = await body.run({
      ...{ start: undefined, input, past: undefined, hooks: [middle], toEnd: true, keep: false },
      ...{ replaced: undefined, buffers: new Map(), keepBuffers: false, leave: false, signal },
    });
    const { logits } = await head.run(residual, { head: 'logits', ...(signal && { signal }) });
    return { residuals: [here(hooks.get(middle)), residual], logits: logits ?? new Float32Array() };
  } finally {
    await body.dispose();
    await head.dispose();
  }
}

/** Relative to the largest of each row (T, D). */
function largestDifference(a: Float32Array | undefined, b: Float32Array, width: number): number {
  let worst = 0;
  for (let row = 0; row < b.length; row += width) {
    let [apart, largest] = [0, 0];
    for (let i = row; i < row + width; i++) {
      apart = larger(apart, Math.abs((a?.[i] ?? NaN) - (b[i] ?? NaN)));
      largest = Math.max(largest, Math.abs(b[i] ?? NaN));
    }
    worst = larger(worst, apart / largest);
  }
  return worst;
}

/** Of logits (T, V). */
function meanDivergence(p: Float32Array, q: Float32Array, vocabulary: number): number {
  let sum = 0;
  for (let row = 0; row < p.length; row += vocabulary) {
    const [a, b] = [p, q].map(of => logProbabilities(of.subarray(row, row + vocabulary)));
    a?.forEach((log, i) => (sum += Math.exp(log) * (log - (b?.[i] ?? NaN))));
  }
  return sum / (p.length / vocabulary);
}

function logProbabilities(logits: Float32Array): Float64Array {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Float64Array.from(logits, logit => logit - largest - Math.log(sum));
}

/** What is no number is larger than any. */
function larger(a: number, b: number): number {
  return Number.isNaN(b) || b > a ? b : a;
}
