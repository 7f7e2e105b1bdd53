import { Random } from '../../src/common/random.ts';
import type { ActivationRule, Dictionary } from '../../src/saes/dictionary.ts';

export interface DictionaryShape {
  readonly seed: number;
  readonly width: number; // F
  readonly inputWidth: number; // D
  readonly rule?: ActivationRule['kind'];
}

/** A dictionary of random numbers, of which about half the features fire on random activations. */
export function randomDictionary({
  seed,
  width,
  inputWidth,
  rule = 'relu',
}: DictionaryShape): Dictionary {
  const random = new Random(seed);
  const values = (count: number, scale: number): Float32Array =>
    Float32Array.from({ length: count }, () => scale * random.normal());
  return {
    name: `random ${seed}`,
    hook: 'blocks.1.hook_resid_post',
    width,
    inputWidth,
    encoder: values(width * inputWidth, 1 / Math.sqrt(inputWidth)),
    encoderBias: values(width, 0.3),
    decoder: values(width * inputWidth, 1 / Math.sqrt(inputWidth)),
    decoderBias: values(inputWidth, 0.5),
    subtractDecoderBias: false,
    rule: randomRule(rule, width, random),
    tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
    model: undefined,
    provenance: {},
  };
}

function randomRule(kind: ActivationRule['kind'], width: number, random: Random): ActivationRule {
  const perFeature = (scale: number): Float32Array =>
    Float32Array.from({ length: width }, () => scale * random.normal());
  switch (kind) {
    case 'relu':
      return { kind };
    case 'topk':
      return { kind, maxK: Math.min(4, width) };
    case 'groupmax':
      return { kind, groups: 4 };
    case 'jumprelu':
      return { kind, threshold: perFeature(0.4).map(Math.abs) };
    case 'gated':
      return { kind, rMag: perFeature(0.5), bMag: perFeature(0.5) };
  }
}

/** A residual SAE: a JumpReLU without decoder bias that names its base. */
export function randomResidual(shape: DictionaryShape, baseHash: string): Dictionary {
  return {
    ...randomDictionary({ ...shape, rule: 'jumprelu' }),
    decoderBias: undefined,
    base: { name: 'base', hash: baseHash, k: null },
  };
}

/** What fires on activations x (T, D), in float64 and by the definitions of the rules, (T, F). */
export function activationsOf(dictionary: Dictionary, x: Float32Array): Float64Array {
  const { width: F, inputWidth: D, encoder, encoderBias, rule } = dictionary;
  const shift = dictionary.subtractDecoderBias ? dictionary.decoderBias : undefined;
  const tokens = x.length / D;
  const activations = new Float64Array(tokens * F);
  for (let t = 0; t < tokens; t++) {
    const products = Array.from({ length: F }, (_, f) => {
      let sum = 0;
      for (let d = 0; d < D; d++)
        sum += (encoder[f * D + d] ?? NaN) * ((x[t * D + d] ?? NaN) - (shift?.[d] ?? 0));
      return sum;
    });
    const h = products.map((product, f) => product + (encoderBias[f] ?? NaN));
    const strongest = [...h].sort((a, b) => b - a);
    h.forEach((value, f) => {
      let a = Math.max(0, value);
      if (rule.kind === 'topk' && value < (strongest[rule.maxK - 1] ?? 0)) a = 0;
      if (rule.kind === 'jumprelu' && !(value > (rule.threshold[f] ?? NaN))) a = 0;
      if (rule.kind === 'gated') {
        const magnitude = Math.exp(rule.rMag[f] ?? NaN) * (products[f] ?? NaN);
        a = value > 0 ? Math.max(0, magnitude + (rule.bMag[f] ?? NaN)) : 0;
      }
      activations[t * F + f] = a;
    });
  }
  return activations;
}

/** What a dictionary makes of activations x (T, D), in float64, (T, D). */
export function outputOf(dictionary: Dictionary, x: Float32Array): Float64Array {
  const { width: F, inputWidth: D, decoder, decoderBias } = dictionary;
  const activations = activationsOf(dictionary, x);
  return Float64Array.from(x, (_, p) => {
    const [t, d] = [Math.floor(p / D), p % D];
    let sum = decoderBias?.[d] ?? 0;
    for (let f = 0; f < F; f++)
      sum += (activations[t * F + f] ?? NaN) * (decoder[f * D + d] ?? NaN);
    return sum;
  });
}
