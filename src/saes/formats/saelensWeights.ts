import { Failure } from '../../common/failure.ts';
import type { TensorSource } from '../../weights/tensorSource.ts';
import type { ActivationRule } from '../dictionary.ts';
import type { Architecture, SaeLensConfig } from './saelensConfig.ts';
import { readTensor, requireKnown, requireShape } from './tensors.ts';
import { scaleRows, transpose } from './weightAlgebra.ts';

/** The tensors of a SAELens file, in Loupe's layout. */
export interface SaeLensWeights {
  readonly encoder: Float32Array; // (F, D)
  readonly encoderBias: Float32Array; // (F)
  readonly decoder: Float32Array; // (F, O)
  readonly decoderBias: Float32Array; // (O)
  readonly skip: Float32Array | undefined; // (O, D)
  readonly rule: ActivationRule;
}

const ofConfig = 'of the cfg.json beside it';

/** Reads the tensors and holds them to the configuration: names, shapes, types, finite numbers. */
export async function readWeights(
  config: SaeLensConfig,
  file: TensorSource,
): Promise<SaeLensWeights> {
  const { width: F, inputWidth: D, architecture } = config;
  const O = config.output?.width ?? D;
  const shapes = shapesOf(config, file);
  for (const [name, shape] of shapes) requireShape(file, name, shape, ofConfig);
  const factors = await scalingFactor(config, file);
  requireKnown(file, [...shapes.keys(), ...scalingFactors]);
  const read = (name: string) => readTensor(file, name, shapes.get(name) ?? [], ofConfig);
  const encoder = transpose(await read('W_enc'), D, F);
  const encoderBias = await read(architecture === 'gated' ? 'b_gate' : 'b_enc');
  const decoder = await read('W_dec');
  if (factors) scaleRows(decoder, factors, O);
  return {
    encoder,
    encoderBias,
    decoder,
    decoderBias: await read('b_dec'),
    skip: shapes.has('W_skip') ? await read('W_skip') : undefined,
    rule: await readRule(config, shapes, read),
  };
}

async function readRule(
  { architecture, k, width }: SaeLensConfig,
  shapes: ReadonlyMap<string, unknown>,
  read: (name: string) => Promise<Float32Array>,
): Promise<ActivationRule> {
  if (architecture === 'topk') return { kind: 'topk', maxK: k };
  if (architecture === 'gated') {
    return { kind: 'gated', rMag: await read('r_mag'), bMag: await read('b_mag') };
  }
  const name = thresholds.find(threshold => shapes.has(threshold));
  if (name === undefined) return { kind: 'relu' };
  const stored = await read(name);
  const all = name === 'topk_threshold' ? new Float32Array(width).fill(stored[0] ?? 0) : stored;
  // SAELens rectifies as well, so a threshold below 0 acts as 0.
  const threshold = name === 'log_threshold' ? all.map(Math.exp) : all.map(v => Math.max(v, 0));
  return { kind: 'jumprelu', threshold };
}

const thresholds = ['threshold', 'log_threshold', 'topk_threshold'] as const;

/** The tensors that an SAE of the configuration has, and their shapes. */
function shapesOf(
  { architecture, width: F, inputWidth: D, output }: SaeLensConfig,
  { tensors }: TensorSource,
): ReadonlyMap<string, readonly number[]> {
  const O = output?.width ?? D;
  // Trainings of jumprelu before SAELens 6.48 saved the logarithm.
  const jump = tensors.has('log_threshold') ? 'log_threshold' : 'threshold';
  const perFeature: Readonly<Record<Architecture, readonly string[]>> = {
    standard: ['b_enc'],
    topk: ['b_enc'],
    batchtopk: ['b_enc'],
    matryoshka_batchtopk: ['b_enc'],
    jumprelu: ['b_enc', jump],
    gated: ['b_gate', 'r_mag', 'b_mag'],
    transcoder: ['b_enc'],
    skip_transcoder: ['b_enc'],
    jumprelu_transcoder: ['b_enc', 'threshold'],
    jumprelu_skip_transcoder: ['b_enc', 'threshold'],
  };
  const shapes = new Map<string, readonly number[]>([
    ['W_enc', [D, F]],
    ['W_dec', [F, O]],
    ['b_dec', [O]],
    ...perFeature[architecture].map(name => [name, [F]] as [string, number[]]),
  ]);
  if (architecture.endsWith('batchtopk')) shapes.set('topk_threshold', []);
  if (architecture.includes('skip')) shapes.set('W_skip', [O, D]);
  return shapes;
}

/** SAELens stored it under the first name and used it under the second. */
const scalingFactors = ['scaling_factor', 'finetuning_scaling_factor'] as const;

/** What a fine-tuning multiplies activations by on their way to the decoder (F); undefined where by nothing. */
async function scalingFactor(
  { scaledDecoder, width }: SaeLensConfig,
  file: TensorSource,
): Promise<Float32Array | undefined> {
  const name = scalingFactors.find(factor => file.tensors.has(factor));
  if (name === undefined) return undefined;
  const factors = await readTensor(file, name, [width], ofConfig);
  // SAELens wrote one of ones for a while.
  if (factors.every(value => value === 1)) return undefined;
  if (scaledDecoder) return factors;
  throw new Failure(
    'unsupported',
    `${file.path} has a scaling_factor other than 1, but its cfg.json does not say that it was fine-tuned (finetuning_scaling_factor).`,
  );
}
