import { Failure } from '../common/failure.ts';
import type { ModelInfo } from '../contracts/engine.ts';
import type { Hook } from '../contracts/hooks.ts';
import type { Dictionary } from './dictionary.ts';
import { differInFamily } from './modelFamily.ts';
import { targetHook } from './target.ts';

/** What of a model decides whether an SAE fits it. */
export interface FitModel extends Pick<ModelInfo, 'name' | 'hash' | 'width' | 'layers'> {
  /** Tokens of its vocabulary, where known. */
  readonly vocabulary?: number;
  /** Its tokenizer's fingerprint, where known. */
  readonly tokenizer?: string;
  /** Values of one token at a hook; the model's width where not given. */
  readonly widthAt?: (hook: Hook) => number;
}

/**
 * Throws `mismatch` where the SAE cannot be used with the model: another width at its hooks, too few layers, trained on
 * another model or with another tokenizer.
 */
export function requireFit(dictionary: Dictionary, model: FitModel): void {
  const { name, inputWidth, output } = dictionary;
  const refuse = (why: string) =>
    new Failure('mismatch', `The SAE ${name} does not fit the model ${model.name}: ${why}.`, {
      action:
        'Choose an SAE that was trained on this model, or the model that the SAE was trained on.',
    });
  requireWidth(dictionary.hook, inputWidth, 'reads');
  if (output) requireWidth(targetHook(dictionary), output.width, 'reconstructs');
  const trainedOn = dictionary.model;
  // The same model in another file (another quantisation) keeps its name.
  if (
    trainedOn?.hash !== undefined &&
    trainedOn.hash !== model.hash &&
    trainedOn.name !== model.name
  ) {
    throw refuse(`it was trained on ${trainedOn.name}`);
  }
  if (trainedOn && differInFamily(trainedOn.name, model.name)) {
    throw refuse(`it was trained on ${trainedOn.name}, which is another model of the same width`);
  }
  const { vocabulary_size: vocabulary, tokenizer_sha256: tokenizer } = dictionary.provenance;
  const isOther = typeof tokenizer === 'string' && tokenizer !== (model.tokenizer ?? tokenizer);
  if (isOther) {
    throw refuse('it was trained on the ids of another tokenizer');
  }
  if (
    typeof vocabulary === 'number' &&
    model.vocabulary !== undefined &&
    vocabulary !== model.vocabulary
  ) {
    throw refuse(
      `its tokenizer has ${String(vocabulary)} tokens, the model's ${String(model.vocabulary)}`,
    );
  }

  function requireWidth(hook: Hook, width: number, does: string): void {
    const found = model.widthAt?.(hook) ?? model.width;
    if (width !== found) {
      const place = found === model.width ? "the model's are" : `the model's at ${hook} are`;
      throw refuse(
        `it ${does} activations of width ${String(width)}, ${place} ${String(found)} wide`,
      );
    }
    const layer = Number(/^blocks\.(\d+)\./.exec(hook)?.[1] ?? 0);
    if (layer >= model.layers) {
      throw refuse(`it ${does} ${hook}, the model's last layer is ${String(model.layers - 1)}`);
    }
  }
}
