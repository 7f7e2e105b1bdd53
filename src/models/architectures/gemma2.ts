import { windowOf } from '../llamaLike.ts';
import type { Architecture } from './architecture.ts';
import { folderNorms, gemmaDefaults, gemmaDepartures, gemmaGgufDepartures, ggufNorms } from './gemma.ts';
import { llamaConfig, llamaGgufConfig, llamaGgufTensors, llamaTensors } from './llama.ts';

/**
 * A Llama with norms around both parts of a layer, gains of one plus the weight, a window in every second layer, capped
 * scores and logits, a scaled embedding and GELU. Source: Gemma Team 2024, arXiv 2408.00118, section 2.
 */
export const gemma2: Architecture = {
  label: 'Gemma 2',
  folder: {
    types: ['gemma2'],
    config: (given, name) => {
      const fields = given.withDefaults(defaults);
      return llamaConfig(fields, name, 'gemma2', {
        ...gemmaDepartures(fields, fields.length('hidden_size')),
        ...windowOf(fields, fields.length('num_hidden_layers'), isLocal),
      });
    },
    tensors: (config, has) => llamaTensors(config, has, { norms: folderNorms }),
  },
  gguf: {
    type: 'gemma2',
    config: given => {
      const fields = given.withDefaults({
        'attention.sliding_window': 4096,
        attn_logit_softcapping: 50,
        final_logit_softcapping: 30,
      });
      const shape = fields.shape();
      return llamaGgufConfig(fields, 'gemma2', {
        ...gemmaGgufDepartures(fields, shape, 46),
        ...fields.window(shape.layers, isLocal),
      });
    },
    tensors: (config, has) => llamaGgufTensors(config, has, false, { norms: ggufNorms }),
  },
};

const defaults = {
  ...gemmaDefaults,
  vocab_size: 256000,
  max_position_embeddings: 8192,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
};

function isLocal(layer: number): boolean {
  return layer % 2 === 0;
}
