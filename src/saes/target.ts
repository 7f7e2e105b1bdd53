import { Failure } from '../common/failure.ts';
import type { Hook } from '../contracts/hooks.ts';
import type { Dictionary } from './dictionary.ts';

type Reading = Pick<Dictionary, 'hook' | 'output' | 'centred' | 'inputWidth'>;

/** The hook whose activation the dictionary reconstructs. */
export function targetHook({ hook, output }: Pick<Dictionary, 'hook' | 'output'>): Hook {
  return output?.hook ?? hook;
}

/** The hooks that a run must return for the dictionary to be run and measured. */
export function hooksOf(dictionary: Pick<Dictionary, 'hook' | 'output'>): readonly Hook[] {
  return [...new Set([dictionary.hook, targetHook(dictionary)])];
}

/** Whether what the dictionary's rows write is (added to) the residual stream, so that the unembedding reads it. */
export function writesStream(dictionary: Pick<Dictionary, 'hook' | 'output'>): boolean {
  const hook = targetHook(dictionary);
  return hook === 'hook_embed' || /\.hook_(resid_\w+|attn_out|mlp_out)$/.test(hook);
}

/** Of a run's hooks: what the dictionary reads, x (T, D), and what its reconstruction is compared with, (T, O). */
export function readingOf<Elsewhere = never>(
  dictionary: Reading,
  hooks: ReadonlyMap<Hook, Float32Array | Elsewhere>,
): { readonly x: Float32Array | Elsewhere; readonly target: Float32Array | Elsewhere } {
  const at = (hook: Hook): Float32Array | Elsewhere =>
    hooks.get(hook) ?? missing(`The model's run left out ${hook}.`);
  const x = at(dictionary.hook);
  const target = at(targetHook(dictionary));
  if (!dictionary.centred || dictionary.output) return { x, target };
  // Elsewhere, what reads them takes the mean away.
  if (!(target instanceof Float32Array)) return { x, target };
  return { x, target: lessMean(target, dictionary.inputWidth) };
}

/** Each row (T, D) less its mean. */
function lessMean(x: Float32Array, D: number): Float32Array {
  const result = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += D) {
    let sum = 0;
    for (let i = row; i < row + D; i++) sum += x[i] ?? 0;
    for (let i = row; i < row + D; i++) result[i] = (x[i] ?? 0) - sum / D;
  }
  return result;
}

function missing(message: string): never {
  throw new Failure('internal', message);
}
