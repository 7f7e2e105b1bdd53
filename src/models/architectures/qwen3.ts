import type { ModelConfig } from '../model.ts';
import type { Architecture } from './architecture.ts';
import { llamaConfig, llamaGgufConfig, llamaGgufTensors, llamaTensors } from './llama.ts';
import { qwenWindow } from './qwen2.ts';

/** A Llama whose heads' queries and keys are normed before the rotation. Source: Yang et al. 2025, arXiv 2505.09388. */
export const qwen3: Architecture = {
  label: 'Qwen 3',
  folder: {
    types: ['qwen3'],
    config: (given, name) => {
      const fields = given.withDefaults({ head_dim: 128 });
      return llamaConfig(fields, name, 'qwen3', qwenWindow(fields));
    },
    tensors: (config, has) => llamaTensors(config, has, norms(config)),
  },
  gguf: {
    type: 'qwen3',
    config: fields => llamaGgufConfig(fields, 'qwen3'),
    tensors: (config, has) => llamaGgufTensors(config, has, false, norms(config)),
  },
};

function norms({ headWidth }: ModelConfig) {
  return { queryKeyNorm: [headWidth, headWidth] } as const;
}
