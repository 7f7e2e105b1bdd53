import { Failure } from '../common/failure.ts';
import type { Dictionary } from './dictionary.ts';
import { requirePlain } from './plain.ts';

/**
 * Base and residual SAEs as one JumpReLU dictionary (SAE Boost, arXiv 2507.12990, figure 1): encoder rows, biases,
 * decoder rows and thresholds one after the other, and the base's decoder bias. Its output is the sum of theirs, exactly
 * but for the order of additions. The base must fire by thresholds: fails with `unsupported` for a top-k one.
 */
export function stitch(
  base: Dictionary,
  residuals: readonly Dictionary[],
  name: string,
): Dictionary {
  const parts = [asJumpRelu(base), ...residuals.map(asJumpRelu)];
  return {
    name,
    hook: base.hook,
    width: parts.reduce((sum, { width }) => sum + width, 0),
    inputWidth: base.inputWidth,
    encoder: concatenated(parts.map(({ encoder }) => encoder)),
    encoderBias: concatenated(parts.map(({ encoderBias }) => encoderBias)),
    decoder: concatenated(parts.map(({ decoder }) => decoder)),
    decoderBias: base.decoderBias,
    subtractDecoderBias: false,
    rule: { kind: 'jumprelu', threshold: concatenated(parts.map(({ threshold }) => threshold)) },
    tokenPolicy: base.tokenPolicy,
    model: base.model,
    provenance: {
      ...base.provenance,
      stitched: parts.map(({ name, width }) => ({ name, features: width })),
    },
  };
}

/** What a dictionary comes to as a JumpReLU that reads x itself. */
interface Part {
  readonly name: string;
  readonly width: number; // F
  readonly encoder: Float32Array; // (F, D)
  readonly encoderBias: Float32Array; // (F)
  readonly decoder: Float32Array; // (F, D)
  readonly threshold: Float32Array; // (F)
}

function asJumpRelu(dictionary: Dictionary): Part {
  requirePlain(dictionary, 'be stitched');
  const { rule, name, width, encoder, decoder } = dictionary;
  const encoderBias = biasOfInput(dictionary);
  switch (rule.kind) {
    case 'relu':
      return { name, width, encoder, encoderBias, decoder, threshold: new Float32Array(width) };
    case 'jumprelu':
      return { name, width, encoder, encoderBias, decoder, threshold: rule.threshold };
    case 'gated': {
      // exp(r) W x + b_mag where W x + b_gate > 0, rectified: the gate opens above b_mag - exp(r) b_gate.
      const scale = rule.rMag.map(Math.exp);
      const D = dictionary.inputWidth;
      const shift = encoderBias.map((b, f) => b - (dictionary.encoderBias[f] ?? 0)); // of W x
      const bias = rule.bMag.map((b, f) => b + (scale[f] ?? NaN) * (shift[f] ?? NaN));
      return {
        name,
        width,
        encoder: encoder.map((w, i) => w * (scale[Math.floor(i / D)] ?? NaN)),
        encoderBias: bias,
        decoder,
        threshold: rule.bMag.map((b, f) =>
          Math.max(0, b - (scale[f] ?? NaN) * (dictionary.encoderBias[f] ?? NaN)),
        ),
      };
    }
    case 'groupmax':
      throw new Failure(
        'unsupported',
        `${name} keeps the strongest feature of each of its ${rule.groups} groups: no thresholds of single features say the same.`,
      );
    case 'topk':
      throw new Failure(
        'unsupported',
        `${name} keeps the ${rule.maxK} strongest features of each token: which fire depends on one another, and no thresholds of single features say the same.`,
        {
          action:
            'Export with --k N: thresholds are then calibrated for N features per token on average, and the difference is measured.',
        },
      );
  }
}

/** The encoder's bias where it reads x and not x - b_dec. */
function biasOfInput(dictionary: Dictionary): Float32Array {
  const { encoder, encoderBias, decoderBias, inputWidth: D } = dictionary;
  if (!dictionary.subtractDecoderBias || !decoderBias) return encoderBias;
  return encoderBias.map((bias, f) => {
    let projection = 0;
    for (let d = 0; d < D; d++) projection += (encoder[f * D + d] ?? NaN) * (decoderBias[d] ?? NaN);
    return bias - projection;
  });
}

function concatenated(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
