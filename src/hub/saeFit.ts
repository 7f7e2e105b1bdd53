import type { ModelFacts, SaeFacts } from '../contracts/lookAt.ts';
import { modelKey } from './modelKey.ts';

/** Whether an SAE can be used with a model, as far as its small files say. */
export type SaeFit =
  /** Its model is this one, and so are width and layers. */
  | { readonly kind: 'fits' }
  /** Nothing speaks against it, or it is of another model of the same shape. */
  | { readonly kind: 'may'; readonly why: string | undefined }
  | { readonly kind: 'not'; readonly why: string };

/** Compares what is known of both; `model` undefined: nothing is known of it. */
export function saeFit(sae: Partial<SaeFacts>, model: ModelFacts | undefined): SaeFit {
  if (!model) return { kind: 'may', why: undefined };
  const { inputWidth = null, hook = null } = sae;
  const isWithin = hook === null || !/\.attn\.|\.mlp\./.test(hook);
  if (inputWidth !== null && isWithin && inputWidth !== model.width) {
    return {
      kind: 'not',
      why: `It reads activations of width ${inputWidth}; those of ${model.name} are ${model.width} wide.`,
    };
  }
  const layer = Number(/^blocks\.(\d+)\./.exec(hook ?? '')?.[1] ?? 0);
  if (layer >= model.layers) {
    const last = model.layers - 1;
    return {
      kind: 'not',
      why: `It reads ${hook ?? ''}; the last layer of ${model.name} is ${last}.`,
    };
  }
  if (typeof sae.model !== 'string') return { kind: 'may', why: undefined };
  if (isSameModel(sae.model, model.name)) return { kind: 'fits' };
  return { kind: 'may', why: `It was trained on ${sae.model}, not on ${model.name}.` };
}

/** Whether two names stand for the same model, whatever copy of it. */
export function isSameModel(a: string, b: string): boolean {
  return modelKey(a) === modelKey(b);
}
