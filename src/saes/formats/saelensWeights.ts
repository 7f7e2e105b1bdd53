import { Failure } from '../../common/failure.ts';
import type { SafetensorsFile } from '../../weights/safetensors.ts';
import type { ActivationRule } from '../dictionary.ts';
import type { SaeLensConfig } from './saelensConfig.ts';
import { transpose } from './weightAlgebra.ts';

/** The tensors of a SAELens file, in Loupe's layout. */
export interface SaeLensWeights {
  readonly encoder: Float32Array; // (F, D)
  readonly encoderBias: Float32Array; // (F)
  readonly decoder: Float32Array; // (F, D)
  readonly decoderBias: Float32Array; // (D)
  readonly rule: ActivationRule;
}

/** Reads the tensors and holds them to the configuration: names, shapes, types, finite numbers. */
export async function readWeights(
  config: SaeLensConfig,
  file: SafetensorsFile,
): Promise<SaeLensWeights> {
  const { width: F, inputWidth: D, architecture } = config;
  const shapes = new Map([
    ['W_enc', [D, F]],
    ['W_dec', [F, D]],
    ['b_dec', [D]],
    ...namesPerFeature[architecture].map(name => [name, [F]] as [string, number[]]),
  ]);
  checkShapes(file, shapes);
  await refuseUnknown(file, shapes);
  const read = async (name: string) => requireFinite(await file.readFloat32(name), name, file.path);
  const encoder = transpose(await read('W_enc'), D, F);
  const encoderBias = await read(architecture === 'gated' ? 'b_gate' : 'b_enc');
  let rule: ActivationRule;
  if (architecture === 'standard') rule = { kind: 'relu' };
  else if (architecture === 'topk') rule = { kind: 'topk', maxK: config.k };
  else if (architecture === 'gated')
    rule = { kind: 'gated', rMag: await read('r_mag'), bMag: await read('b_mag') };
  // SAELens rectifies as well, so a threshold below 0 acts as 0.
  else
    rule = {
      kind: 'jumprelu',
      threshold: (await read('threshold')).map(value => Math.max(value, 0)),
    };
  return {
    encoder,
    encoderBias,
    decoder: await read('W_dec'),
    decoderBias: await read('b_dec'),
    rule,
  };
}

/** The tensors of length F of each architecture. */
const namesPerFeature = {
  standard: ['b_enc'],
  topk: ['b_enc'],
  jumprelu: ['b_enc', 'threshold'],
  gated: ['b_gate', 'r_mag', 'b_mag'],
} as const;

function checkShapes(file: SafetensorsFile, shapes: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, shape] of shapes) {
    const found = file.tensors.get(name);
    const expected = `[${shape.join(', ')}] of the cfg.json beside it`;
    if (!found)
      throw new Failure('bad-file', `${file.path} has no tensor ${name}, expected ${expected}.`);
    if (found.shape.length !== shape.length || found.shape.some((size, i) => size !== shape[i])) {
      throw new Failure(
        'bad-file',
        `${file.path}: tensor ${name} has the shape [${found.shape.join(', ')}], expected ${expected}.`,
      );
    }
  }
}

/** A tensor that we do not know means arithmetic that we would leave out. */
async function refuseUnknown(
  file: SafetensorsFile,
  known: ReadonlyMap<string, unknown>,
): Promise<void> {
  for (const name of file.tensors.keys()) {
    if (known.has(name)) continue;
    // SAELens wrote a fine-tuning scale of ones for a while.
    if (name === 'scaling_factor' && (await file.readFloat32(name)).every(value => value === 1))
      continue;
    throw new Failure(
      'unsupported',
      `${file.path} has the tensor ${name.slice(0, 80)}, which Loupe does not know.`,
    );
  }
}

function requireFinite(values: Float32Array, name: string, path: string): Float32Array {
  const at = values.findIndex(value => !Number.isFinite(value));
  if (at < 0) return values;
  throw new Failure(
    'bad-file',
    `${path}: tensor ${name} has ${String(values[at])} at ${String(at)}, expected finite numbers.`,
  );
}
