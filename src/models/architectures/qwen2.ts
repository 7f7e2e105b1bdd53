import type { ConfigFields } from '../configFields.ts';
import { windowOf } from '../llamaLike.ts';
import type { Departures } from '../model.ts';
import type { Architecture } from './architecture.ts';
import { llamaConfig, llamaGgufConfig, llamaGgufTensors, llamaTensors } from './llama.ts';

/** Qwen 2 and 2.5: a Llama with biases of queries, keys and values. Source: Yang et al. 2024, arXiv 2407.10671. */
export const qwen2: Architecture = {
  label: 'Qwen 2',
  folder: {
    types: ['qwen2'],
    config: (fields, name) => llamaConfig(fields, name, 'qwen2', qwenWindow(fields)),
    tensors: llamaTensors,
  },
  gguf: {
    type: 'qwen2',
    config: fields => llamaGgufConfig(fields, 'qwen2'),
    tensors: (config, has) => llamaGgufTensors(config, has, false),
  },
};

/** Where a window is used at all, the layers from `max_window_layers` on have it. */
export function qwenWindow(fields: ConfigFields): Departures {
  if (!fields.flag('use_sliding_window', false)) return {};
  const layers = fields.length('num_hidden_layers');
  const from = fields.count('max_window_layers', 28);
  return windowOf(fields.withDefaults({ sliding_window: 4096 }), layers, layer => layer >= from);
}
