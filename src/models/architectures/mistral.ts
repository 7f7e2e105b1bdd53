import { windowOf } from '../llamaLike.ts';
import type { Architecture } from './architecture.ts';
import { llama, llamaConfig, llamaTensors } from './llama.ts';

/** A Llama with a sliding window, which later versions have no more. Source: Jiang et al. 2023, arXiv 2310.06825. */
export const mistral: Architecture = {
  label: 'Mistral',
  folder: {
    types: ['mistral'],
    config: (given, name) => {
      const fields = given.withDefaults({ sliding_window: 4096, num_key_value_heads: 8 });
      const window = windowOf(fields, fields.length('num_hidden_layers'), () => true);
      return llamaConfig(fields, name, 'mistral', window);
    },
    tensors: llamaTensors,
  },
  // Converted to llama.cpp's Llama, whose files do not say that there was a window.
  gguf: llama.gguf,
};
