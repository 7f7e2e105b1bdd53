import { Failure } from '../common/failure.ts';
import type { Dictionary } from './dictionary.ts';

/**
 * Throws `unsupported` where the dictionary is more than an encoder and a decoder of the same activation: trainings and
 * stitching know nothing else. `what` completes "cannot ...".
 */
export function requirePlain(dictionary: Dictionary, what: string): void {
  const extra = extraOf(dictionary);
  if (extra === undefined) return;
  throw new Failure('unsupported', `The SAE ${dictionary.name} cannot ${what}: ${extra}.`, {
    action: 'Choose an SAE that reads and reconstructs the same activation, as it is.',
  });
}

function extraOf({ output, skip, inputNorm, centred }: Dictionary): string | undefined {
  if (output) return `it is a transcoder, which writes for ${output.hook}`;
  if (skip) return 'it adds a linear function of what it reads';
  if (inputNorm) return 'it normalises each token that it reads';
  return centred ? 'it reads activations less their mean' : undefined;
}
