import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../common/failure.ts';
import type { ModelInfo } from '../contracts/engine.ts';
import type { Dictionary } from './dictionary.ts';
import { readSaeLens } from './formats/saelens.ts';

/** The SAE at `path`: a SAELens folder, or one of the files in it. */
export async function readDictionary(path: string): Promise<Dictionary> {
  const found = await stat(path).catch(() => undefined);
  if (!found) {
    throw new Failure('not-found', `There is no SAE at ${path}.`, {
      action: 'Choose a folder with cfg.json and sae_weights.safetensors.',
    });
  }
  return await readSaeLens(found.isDirectory() ? path : dirname(path));
}

/** Throws `mismatch` where the dictionary is no residual SAE of this base; `baseHash`: of `dictionaryHash`. */
export function requireResidual(
  residual: Dictionary,
  base: Pick<Dictionary, 'name' | 'hook' | 'inputWidth'>,
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

/** Throws `mismatch` where the SAE cannot be used with the model: another width, too few layers, or trained on another model. */
export function requireFit(
  dictionary: Dictionary,
  model: Pick<ModelInfo, 'name' | 'hash' | 'width' | 'layers'>,
): void {
  const { name, inputWidth, hook } = dictionary;
  const refuse = (why: string) =>
    new Failure('mismatch', `The SAE ${name} does not fit the model ${model.name}: ${why}.`, {
      action:
        'Choose an SAE that was trained on this model, or the model that the SAE was trained on.',
    });
  if (inputWidth !== model.width) {
    throw refuse(
      `it reads activations of width ${String(inputWidth)}, the model's are ${String(model.width)} wide`,
    );
  }
  const layer = Number(/^blocks\.(\d+)\./.exec(hook)?.[1] ?? 0);
  if (layer >= model.layers) {
    throw refuse(`it reads ${hook}, the model's last layer is ${String(model.layers - 1)}`);
  }
  const trainedOn = dictionary.model;
  // The same model in another file (another quantisation) keeps its name.
  if (
    trainedOn?.hash !== undefined &&
    trainedOn.hash !== model.hash &&
    trainedOn.name !== model.name
  ) {
    throw refuse(`it was trained on ${trainedOn.name}`);
  }
}
