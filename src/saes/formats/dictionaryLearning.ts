import { basename, dirname, join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Hook } from '../../contracts/hooks.ts';
import type { TorchFile } from '../../weights/torchFile.ts';
import type { ActivationRule, Dictionary } from '../dictionary.ts';
import { assemble, type Found } from './assemble.ts';
import { Fields, readFields } from './jsonFields.ts';
import { named, untold, type SaePlace } from './place.ts';
import { matrixShape, readTensor, requireKnown } from './tensors.ts';
import { foldDecoderNorm, transpose } from './weightAlgebra.ts';

/*
 * dictionary_learning: ae.pt, a state dict of one of the classes below, and config.json beside it (above a checkpoint).
 * Activations are what its own `load_dictionary` gives: of an AutoEncoder with unit decoder rows. Source:
 * `dictionary.py`, `trainers/{top_k,batch_top_k,matryoshka_batch_top_k}.py`, `utils.py`.
 */
const classes = [
  'AutoEncoder',
  'AutoEncoderNew',
  'GatedAutoEncoder',
  'AutoEncoderTopK',
  'BatchTopKSAE',
  'MatryoshkaBatchTopKSAE',
  'JumpReluAutoEncoder',
] as const;
type DictionaryClass = (typeof classes)[number];

export async function readDictionaryLearning(
  place: SaePlace,
  file: TorchFile,
): Promise<Dictionary> {
  const config = await configOf(place);
  const trainer = config?.inner('trainer') ?? new Fields({}, file.path);
  const inferred = classOf(file);
  if (inferred === undefined && trainer.json['dict_class'] === undefined) {
    if (file.tensors.has('threshold')) {
      throw new Failure(
        'unsupported',
        `${file.path} may be an AutoEncoderTopK or a BatchTopKSAE: there is no config.json that says which.`,
        { action: 'Put the config.json of its training beside it.' },
      );
    }
    const [first = 'nothing'] = file.tensors.keys();
    throw new Failure(
      'unsupported',
      `${file.path} is no SAE that Loupe knows; its first tensor is ${first.slice(0, 80)}.`,
    );
  }
  const kind = trainer.oneOf('dict_class', classes, inferred ?? 'AutoEncoder');
  const weights = await readers[kind](file, trainer, place);
  return assemble(place, {
    ...(/^ae(_\d+)?\.pt$/.test(basename(file.path)) && { name: nameOf(place) }),
    ...weights,
    hook: place.told.hook ?? hookOf(place, config, trainer),
    model: trainer.optionalText('lm_name'),
    provenance: contextOf(config),
  });
}

async function configOf({ folder }: SaePlace): Promise<Fields | undefined> {
  for (const path of [folder, dirname(folder)]) {
    const found = await readFields(join(path, 'config.json')).catch((error: unknown) => {
      if (Failure.is(error, 'not-found')) return undefined;
      throw error;
    });
    if (found) return found;
  }
  return undefined;
}

/** By its tensors, where no configuration says it. TopK and BatchTopK have the same: the threshold was trained or not. */
function classOf({ tensors }: TorchFile): DictionaryClass | undefined {
  if (tensors.has('group_sizes')) return 'MatryoshkaBatchTopKSAE';
  if (tensors.has('W_enc')) return 'JumpReluAutoEncoder';
  if (tensors.has('r_mag')) return 'GatedAutoEncoder';
  if (tensors.has('decoder.bias')) return 'AutoEncoderNew';
  if (tensors.has('bias') && tensors.has('encoder.weight')) return 'AutoEncoder';
  return undefined;
}

type Weights = Omit<Found, 'hook' | 'model' | 'provenance'>;
type Reader = (file: TorchFile, trainer: Fields, place: SaePlace) => Promise<Weights>;

const readers: Readonly<Record<DictionaryClass, Reader>> = {
  AutoEncoder: async file => {
    const weights = await linear(file, ['encoder.bias', 'bias'], []);
    foldDecoderNorm(weights);
    return { ...weights, subtractDecoderBias: true, rule: { kind: 'relu' } };
  },
  AutoEncoderNew: async file => ({
    ...(await linear(file, ['encoder.bias', 'decoder.bias'], [])),
    subtractDecoderBias: false,
    rule: { kind: 'relu' },
  }),
  GatedAutoEncoder: async file => {
    const weights = await linear(file, ['gate_bias', 'decoder_bias'], ['r_mag', 'mag_bias']);
    const rMag = await readTensor(file, 'r_mag', [weights.width]);
    const bMag = await readTensor(file, 'mag_bias', [weights.width]);
    return { ...weights, subtractDecoderBias: true, rule: { kind: 'gated', rMag, bMag } };
  },
  AutoEncoderTopK: async (file, trainer, place) => {
    const weights = await linear(file, ['encoder.bias', 'b_dec'], ['k', 'threshold']);
    const maxK = await kOf(file, trainer, place, weights.width);
    return { ...weights, subtractDecoderBias: true, rule: { kind: 'topk', maxK } };
  },
  BatchTopKSAE: async file => {
    const weights = await linear(file, ['encoder.bias', 'b_dec'], ['k', 'threshold']);
    return { ...weights, subtractDecoderBias: true, rule: await oneThreshold(file, weights.width) };
  },
  MatryoshkaBatchTopKSAE: async file => {
    const weights = await matrices(file, ['k', 'threshold', 'group_sizes']);
    return { ...weights, subtractDecoderBias: true, rule: await oneThreshold(file, weights.width) };
  },
  JumpReluAutoEncoder: async file => {
    const weights = await matrices(file, ['threshold']);
    const stored = await readTensor(file, 'threshold', [weights.width]);
    const threshold = stored.map(value => Math.max(value, 0));
    return { ...weights, subtractDecoderBias: false, rule: { kind: 'jumprelu', threshold } };
  },
};

/** torch's Linear layers: encoder.weight (F, D), decoder.weight (D, F). */
async function linear(
  file: TorchFile,
  [encoderBias, decoderBias]: readonly [string, string],
  others: readonly string[],
) {
  const [F, D] = matrixShape(file, 'encoder.weight');
  requireKnown(file, ['encoder.weight', 'decoder.weight', encoderBias, decoderBias, ...others]);
  const of = `beside encoder.weight of [${F}, ${D}]`;
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape, of);
  return {
    width: F,
    inputWidth: D,
    encoder: await read('encoder.weight', [F, D]),
    encoderBias: await read(encoderBias, [F]),
    decoder: transpose(await read('decoder.weight', [D, F]), D, F),
    decoderBias: await read(decoderBias, [D]),
  };
}

/** Parameters as in SAELens: W_enc (D, F), W_dec (F, D). */
async function matrices(file: TorchFile, others: readonly string[]) {
  const [D, F] = matrixShape(file, 'W_enc');
  requireKnown(file, ['W_enc', 'W_dec', 'b_enc', 'b_dec', ...others]);
  const of = `beside W_enc of [${D}, ${F}]`;
  const read = (name: string, shape: readonly number[]) => readTensor(file, name, shape, of);
  return {
    width: F,
    inputWidth: D,
    encoder: transpose(await read('W_enc', [D, F]), D, F),
    encoderBias: await read('b_enc', [F]),
    decoder: await read('W_dec', [F, D]),
    decoderBias: await read('b_dec', [D]),
  };
}

/** The mean smallest activation of training's batches; below 0 where it was not yet known, so that ReLU decides. */
async function oneThreshold(file: TorchFile, F: number): Promise<ActivationRule> {
  const [threshold = 0] = await readTensor(file, 'threshold', []);
  return { kind: 'jumprelu', threshold: new Float32Array(F).fill(Math.max(threshold, 0)) };
}

async function kOf(file: TorchFile, trainer: Fields, place: SaePlace, F: number): Promise<number> {
  const stored = file.tensors.has('k') ? (await readTensor(file, 'k', []))[0] : undefined;
  const said = trainer.json['k'] === undefined ? undefined : trainer.size('k');
  const k = place.told.k ?? stored ?? said;
  if (k === undefined) throw untold(place, 'how many features it keeps per token', '"k": 32');
  if (Number.isInteger(k) && k > 0 && k <= F) return k;
  throw new Failure(
    'bad-file',
    `${file.path} has k = ${k}, expected a whole number from 1 to ${F}.`,
  );
}

/** What the buffer read: a submodule's output as a rule. */
function hookOf(place: SaePlace, config: Fields | undefined, trainer: Fields): Hook {
  const name = trainer.optionalText('submodule_name');
  const io = config?.inner('buffer').optionalText('io') ?? 'out';
  const [, kind, said] =
    /^(resid_post|mlp_out|attn_out|attention_out)_layer_(\d{1,4})$/.exec(name ?? '') ?? [];
  const layer = said ?? (name === undefined ? trainer.json['layer'] : undefined);
  const known = layer ?? named(place, /resid_post_layer_(\d{1,4})/);
  const at = Number(known);
  const example = '"hook": "blocks.8.hook_resid_post"';
  if (known === undefined || !Number.isInteger(at) || at < 0 || io === 'in_and_out') {
    throw untold(place, 'which hook it reads', example);
  }
  const place_ = kind ?? 'resid_post';
  if (io === 'in') {
    if (place_ !== 'resid_post') throw untold(place, 'which hook it reads', example);
    return `blocks.${at}.hook_resid_pre`;
  }
  if (place_ === 'resid_post') return `blocks.${at}.hook_resid_post`;
  return place_ === 'mlp_out' ? `blocks.${at}.hook_mlp_out` : `blocks.${at}.hook_attn_out`;
}

function contextOf(config: Fields | undefined): Readonly<Record<string, unknown>> {
  const length = config?.inner('buffer').json['ctx_len'];
  return typeof length === 'number' ? { context_size: length } : {};
}

function nameOf({ folder }: SaePlace): string {
  return basename(folder) === 'checkpoints' ? basename(dirname(folder)) : basename(folder);
}
