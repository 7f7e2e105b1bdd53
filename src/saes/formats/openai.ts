import { Failure } from '../../common/failure.ts';
import type { Hook, LayerPlace } from '../../contracts/hooks.ts';
import type { TorchFile } from '../../weights/torchFile.ts';
import type { ActivationRule, Dictionary } from '../dictionary.ts';
import { assemble } from './assemble.ts';
import { named, untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { transpose } from './weightAlgebra.ts';

/*
 * OpenAI's SAEs of GPT-2 small (arXiv 2406.04093): a state dict at gpt2-small/{location}[_v5_32k]/autoencoders/{layer}.pt.
 * Those with TopK normalise each token (v5), those with ReLU do not (v1, v4). Source: sparse_autoencoder `model.py`,
 * `paths.py`.
 */
const statistics = ['stats_last_nonzero', 'latents_activation_frequency', 'latents_mean_square'];

export function isOpenAi({ tensors }: TorchFile): boolean {
  return tensors.has('pre_bias') && tensors.has('latent_bias');
}

export async function readOpenAi(place: SaePlace, file: TorchFile): Promise<Dictionary> {
  const [F, D] = matrixShape(file, 'encoder.weight');
  // A tied decoder is saved as the encoder that it transposes.
  const isTied = file.tensors.has('decoder.linear.weight');
  const decoderName = isTied ? 'decoder.linear.weight' : 'decoder.weight';
  requireKnown(file, ['pre_bias', 'latent_bias', 'encoder.weight', decoderName, ...statistics]);
  const of = `beside encoder.weight of [${F}, ${D}]`;
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape, of);
  const rule = ruleOf(file, F);
  const decoder = isTied
    ? await read(decoderName, [F, D])
    : transpose(await read(decoderName, [D, F]), D, F);
  return assemble(place, {
    hook: place.told.hook ?? hookOf(place),
    width: F,
    inputWidth: D,
    encoder: await read('encoder.weight', [F, D]),
    encoderBias: await read('latent_bias', [F]),
    decoder,
    decoderBias: await read('pre_bias', [D]),
    subtractDecoderBias: true,
    rule,
    ...(rule.kind === 'topk' && { inputNorm: 'layer' }),
    model: 'gpt2-small',
    provenance: { context_size: 64 },
  });
}

function ruleOf({ values, path }: TorchFile, F: number): ActivationRule {
  const activation = values.get('activation') ?? 'ReLU';
  if (activation === 'ReLU') return { kind: 'relu' };
  const k = values.get('activation_state_dict.k');
  const after = values.get('activation_state_dict.postact_fn') ?? 'ReLU';
  if (activation === 'TopK' && after === 'ReLU') {
    if (typeof k === 'number' && Number.isInteger(k) && k > 0 && k <= F) {
      return { kind: 'topk', maxK: k };
    }
    throw new Failure('bad-file', `${path} has TopK without a k from 1 to ${F}.`);
  }
  const found = JSON.stringify([activation, after]).slice(0, 80);
  throw new Failure(
    'unsupported',
    `${path} has the activation ${found}; Loupe reads ReLU and TopK with ReLU.`,
  );
}

const locations: Readonly<Record<string, LayerPlace>> = {
  mlp_post_act: 'mlp.hook_post',
  resid_delta_attn: 'hook_attn_out',
  resid_post_attn: 'hook_resid_mid',
  resid_delta_mlp: 'hook_mlp_out',
  resid_post_mlp: 'hook_resid_post',
};

function hookOf(place: SaePlace): Hook {
  const location = named(
    place,
    /(mlp_post_act|resid_delta_attn|resid_post_attn|resid_delta_mlp|resid_post_mlp)/,
  );
  const layer = named(place, /^(?:layer_)?(\d{1,3})\.pt$/);
  const at = location === undefined ? undefined : locations[location];
  if (at !== undefined && layer !== undefined) return `blocks.${Number(layer)}.${at}`;
  throw untold(place, 'which hook it reads', '"hook": "blocks.8.hook_resid_post"');
}
