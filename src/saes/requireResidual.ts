import { Failure } from '../common/failure.ts';
import type { Dictionary } from './dictionary.ts';

/** Throws `mismatch` where the dictionary is no residual SAE of this base; `baseHash`: of `dictionaryHash`. */
export function requireResidual(
  residual: Dictionary,
  base: Pick<Dictionary, 'name' | 'hook' | 'inputWidth' | 'output'>,
  baseHash: string,
): void {
  const refuse = (why: string) =>
    new Failure(
      'mismatch',
      `The SAE ${residual.name} is no residual SAE for ${base.name}: ${why}.`,
      { action: 'Choose a residual SAE that was trained on this base, or its own base.' },
    );
  if (residual.decoderBias) {
    throw refuse('it has a decoder bias, so that it says something where nothing fires');
  }
  if (residual.output) throw refuse('it is a transcoder, which writes for another hook');
  if (base.output) throw refuse('the base is a transcoder, whose error is of another hook');
  if (residual.inputWidth !== base.inputWidth) {
    throw refuse(
      `it reads activations of width ${residual.inputWidth}, the base's are ${base.inputWidth} wide`,
    );
  }
  if (residual.hook !== base.hook) {
    throw refuse(`it reads ${residual.hook}, the base ${base.hook}`);
  }
  if (residual.base && residual.base.hash !== baseHash) {
    throw refuse(`it was trained on the error of ${residual.base.name} with other weights`);
  }
}
