import { hookWidth } from '../../models/hooks.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import { requireFit } from '../../saes/requireFit.ts';
import type { ModelRunner } from '../model/modelRunner.ts';

/** Throws `mismatch` where the SAE cannot be used with the loaded model. */
export function requireModelFit(
  dictionary: Dictionary,
  { info, config }: Pick<ModelRunner, 'info' | 'config'>,
): void {
  requireFit(dictionary, { ...info, widthAt: hook => hookWidth(hook, config) });
}
