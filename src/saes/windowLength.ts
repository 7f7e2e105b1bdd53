import type { Dictionary } from './dictionary.ts';

const defaultWindowLength = 256;

/** The length of the windows that the SAE was trained on (SAELens' `context_size`), within the model's context. */
export function windowLengthOf({ provenance }: Dictionary, contextLength: number): number {
  const trained = provenance['context_size'];
  const usable = typeof trained === 'number' && Number.isInteger(trained) && trained >= 3;
  return Math.min(usable ? trained : defaultWindowLength, contextLength);
}
