import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/models/model.ts';
import { writeSafetensors, type Tensor } from '../../../src/weights/safetensors.ts';
import { writeText } from '../report.ts';
import { valuesOf, type Parameter } from './parameters.ts';
import { tokenizerPath } from './text.ts';

/** A weight's name in transformers' layout, by its name in the graph without the layer. */
const tensorNames: Readonly<Record<string, string>> = {
  attentionNorm: 'input_layernorm.weight',
  query: 'self_attn.q_proj.weight',
  key: 'self_attn.k_proj.weight',
  value: 'self_attn.v_proj.weight',
  attentionOut: 'self_attn.o_proj.weight',
  feedForwardNorm: 'post_attention_layernorm.weight',
  gate: 'mlp.gate_proj.weight',
  up: 'mlp.up_proj.weight',
  down: 'mlp.down_proj.weight',
  router: 'self_attn.lime_router.static_weights',
};

interface Model {
  readonly config: ModelConfig;
  readonly parameters: readonly Parameter[];
  /** Folder of the experiment, where the tokenizer is. */
  readonly out: string;
}

/** Writes a model as LIMe's authors store theirs, or as transformers a Llama: config, weights and tokenizer. */
export async function writeModelFolder(
  folder: string,
  { config, parameters, out }: Model,
  weights: Float32Array,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = new Map<string, Tensor>();
  for (const parameter of parameters) {
    const part = parameter.name.split('.').at(-1) ?? '';
    const name =
      parameter.layer < 0
        ? `model.${part === 'embed' ? 'embed_tokens' : 'norm'}.weight`
        : `model.layers.${parameter.layer}.${tensorNames[part] ?? part}`;
    tensors.set(name, {
      dtype: 'F32',
      shape: parameter.shape,
      data: Float32Array.from(valuesOf(weights, parameter)),
    });
  }
  if (config.architecture === 'lime')
    for (let layer = 0; layer < config.layers; layer++) fuse(tensors, layer, config);
  await writeSafetensors(join(folder, 'model.safetensors'), Object.fromEntries(tensors), {
    format: 'pt',
  });
  await writeText(
    join(folder, 'config.json'),
    `${JSON.stringify(transformersConfig(config), null, 2)}\n`,
  );
  await copyFile(tokenizerPath(out), join(folder, 'tokenizer.json'));
}

/** One matrix of keys and values in place of two, rows in the order (kv, h), h fastest. */
function fuse(tensors: Map<string, Tensor>, layer: number, config: ModelConfig): void {
  const { keyValueHeads, headWidth, width } = config;
  const attention = `model.layers.${layer}.self_attn`;
  const fused = new Float32Array(2 * headWidth * keyValueHeads * width);
  for (const [part, projection] of ['k_proj', 'v_proj'].entries()) {
    const name = `${attention}.${projection}.weight`;
    const separate = tensors.get(name)?.data as Float32Array;
    tensors.delete(name);
    for (let head = 0; head < keyValueHeads; head++)
      for (let i = 0; i < headWidth; i++) {
        const from = (head * headWidth + i) * width;
        const to = ((part * headWidth + i) * keyValueHeads + head) * width;
        fused.set(separate.subarray(from, from + width), to);
      }
  }
  const shape = [fused.length / width, width];
  tensors.set(`${attention}.kv_proj_weight`, { dtype: 'F32', shape, data: fused });
}

function transformersConfig(config: ModelConfig): object {
  const separator = config.vocabulary - 1;
  return {
    architectures: [config.architecture === 'lime' ? 'LIMeForCausalLM' : 'LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: config.width,
    intermediate_size: config.feedForward,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headWidth,
    vocab_size: config.vocabulary,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tiedEmbedding,
    attention_bias: false,
    mlp_bias: false,
    bos_token_id: separator,
    eos_token_id: separator,
    torch_dtype: 'float32',
  };
}
