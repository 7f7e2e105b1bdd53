import type { ModelConfig } from '../model.ts';
import type { Architecture } from './architecture.ts';
import { llamaConfig, llamaGgufConfig, llamaGgufTensors, llamaTensors } from './llama.ts';

/**
 * A Llama that norms what its parts give rather than what they read, and all of a token's queries and keys together.
 * Source: OLMo et al. 2025, arXiv 2501.00656, section 3.
 */
export const olmo2: Architecture = {
  label: 'OLMo 2',
  folder: {
    types: ['olmo2'],
    config: (given, name) => llamaConfig(given.withDefaults({ rms_norm_eps: 1e-5 }), name, 'olmo2'),
    tensors: (config, has) =>
      llamaTensors(config, has, {
        norms: {
          attentionOutNorm: 'post_attention_layernorm',
          feedForwardOutNorm: 'post_feedforward_layernorm',
        },
        queryKeyNorm: lengths(config),
      }),
  },
  gguf: {
    type: 'olmo2',
    config: fields => {
      // OLMo 3's layers with a window come under the same name.
      fields.require('attention.sliding_window', 0);
      return llamaGgufConfig(fields, 'olmo2');
    },
    tensors: (config, has) =>
      llamaGgufTensors(config, has, false, {
        norms: { attentionOutNorm: 'post_attention_norm', feedForwardOutNorm: 'post_ffw_norm' },
        queryKeyNorm: lengths(config),
      }),
  },
};

function lengths({ heads, keyValueHeads, headWidth }: ModelConfig): readonly [number, number] {
  return [heads * headWidth, keyValueHeads * headWidth];
}
