import { Failure } from '../common/failure.ts';
import type { Dictionary } from './dictionary.ts';

/** An SAE with its identity, the hash of its numbers. */
export interface HashedSae {
  readonly dictionary: Dictionary;
  readonly hash: string;
}

/**
 * Throws `mismatch` where `dictionary`, the domain `name`'s, cannot be added to the base: it is no residual SAE, reads
 * another activation, or says that it was trained for another base.
 */
export function requireResidualOf(base: HashedSae, name: string, dictionary: Dictionary): void {
  const { hook, inputWidth, name: baseName } = base.dictionary;
  const refuse = (why: string): Failure =>
    new Failure('mismatch', `The domain ${name} does not fit the SAE ${baseName}: ${why}.`, {
      action: 'Choose the SAE that it was trained for, or train the domain on this one.',
    });
  if (dictionary.decoderBias) {
    throw refuse(`${dictionary.name} is no residual SAE, its decoder has a bias`);
  }
  if (dictionary.inputWidth !== inputWidth) {
    throw refuse(
      `it reads activations of width ${dictionary.inputWidth}, the SAE's are ${inputWidth} wide`,
    );
  }
  if (dictionary.hook !== hook) throw refuse(`it reads ${dictionary.hook}, the SAE ${hook}`);
  const trainedFor = baseOf(dictionary);
  if (trainedFor && trainedFor.hash !== base.hash) {
    throw refuse(`it was trained for the SAE ${trainedFor.name} with other weights`);
  }
}

interface Base {
  readonly name: string;
  readonly hash: string;
}

/** The base that a residual SAE says it was trained for. */
function baseOf(dictionary: Dictionary & { readonly base?: Base | undefined }): Base | undefined {
  return dictionary.base;
}
