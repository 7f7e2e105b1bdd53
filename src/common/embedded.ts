/** Where the embedded model, SAE and general text lie, relative to the installation's root folder. */
export const embeddedModel = 'models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
export const embeddedSae = 'models/smollm2-135m-blocks.15.hook_resid_post-8192';
/** General text to measure on, that no embedded SAE was trained on, and general text to mix into a training. */
export const generalText = {
  heldOut: 'models/generalText/heldout.jsonl.gz',
  mix: 'models/generalText/mix.jsonl.gz',
} as const;
