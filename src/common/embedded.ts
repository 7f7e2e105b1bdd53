/** Where the embedded model and SAE lie, relative to the installation's root folder. */
export const embeddedModel = 'models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
export const embeddedSae = 'models/smollm2-135m-blocks.15.hook_resid_post-8192';
