import { Failure } from '../common/failure.ts';
import type { ConfigFields } from './configFields.ts';
import type { Rotation } from './model.ts';
import { plainRotation } from './rotary.ts';

/*
 * How models that were trained on short texts and then on longer ones turn more slowly. Source: transformers,
 * modeling_rope_utils.py, whose float32 arithmetic is repeated step by step.
 */

const round = Math.fround;

/** Every frequency divided by a factor. Source: Chen et al. 2023, arXiv 2306.15595. */
export function slowed(rotation: Rotation, factor: number): Rotation {
  return { ...rotation, frequencies: rotation.frequencies.map(each => round(each / factor)) };
}

/** Each frequency divided by its own factor, (width / 2). Source: LongRoPE, Ding et al. 2024, arXiv 2402.13753. */
export function slowedEach(rotation: Rotation, factors: readonly number[], scale = 1): Rotation {
  const { width, frequencies } = rotation;
  if (factors.length !== frequencies.length) {
    throw new Failure('bad-file', `Expected ${frequencies.length} factors of the rotation, found ${factors.length}.`);
  }
  return { width, scale, frequencies: frequencies.map((each, i) => round(each / (factors[i] ?? 1))) };
}

interface Llama3Scaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalContext: number;
}

/** Slow turns are slowed by a factor, fast ones not, those between by a part. Source: Llama 3.1's modeling code. */
function llama3Scaled(rotation: Rotation, scaling: Llama3Scaling): Rotation {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling;
  const frequencies = rotation.frequencies.map(frequency => {
    const length = round((2 * Math.PI) / frequency);
    if (length > originalContext / low) return round(frequency / factor);
    if (length < originalContext / high) return frequency;
    const smooth = round(round(round(originalContext / length) - low) / (high - low));
    return round(round(round(round(1 - smooth) * frequency) / factor) + round(smooth * frequency));
  });
  return { ...rotation, frequencies };
}

export interface YarnScaling {
  readonly theta: number;
  readonly factor: number;
  readonly originalContext: number;
  /** Turns within the original context from which on a pair is not slowed, and below which it is slowed wholly. */
  readonly fast: number;
  readonly slow: number;
  readonly scale: number;
}

/** Pairs that turn seldom are slowed by a factor, those that turn often not, a ramp between. Source: Peng et al. 2023, arXiv 2309.00071, section 3.2. */
function yarnScaled(rotation: Rotation, scaling: YarnScaling): Rotation {
  const { width, frequencies } = rotation;
  const { theta, factor, originalContext, fast, slow, scale } = scaling;
  const pairOf = (turns: number) =>
    (width * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairOf(fast)), 0);
  const high = Math.min(Math.ceil(pairOf(slow)), width - 1);
  const length = low === high ? 0.001 : high - low;
  return {
    width,
    scale,
    frequencies: frequencies.map((frequency, i) => {
      const slowed = Math.min(1, Math.max(0, round((i - low) / length)));
      const extrapolated = round(frequency * round(1 - slowed));
      return round(round(round(frequency / factor) * slowed) + extrapolated);
    }),
  };
}

/** What a LongRoPE model's cosines and sines are multiplied with, for a context that grew by `factor`. */
export function longScale(factor: number, originalContext: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContext));
}

/** The rotation that an object of rope parameters describes, for heads of `headWidth` values. */
export function rotationFrom(
  rope: ConfigFields,
  options: {
    readonly headWidth: number;
    readonly theta: number;
    readonly part?: number;
    readonly contextLength: number;
  },
): { rotation: Rotation; contextLength: number } {
  const { headWidth, contextLength } = options;
  const part = rope.positive('partial_rotary_factor', options.part ?? 1);
  const width = Math.floor(headWidth * part);
  if (width % 2 !== 0 || width < 2 || width > headWidth) {
    throw rope.bad('partial_rotary_factor', `a part of ${headWidth} values that is even`);
  }
  const plain = plainRotation(width, rope.positive('rope_theta', options.theta));
  const known = ['default', 'linear', 'dynamic', 'yarn', 'llama3', 'longrope', 'su'] as const;
  const type = rope.oneOf(rope.has('rope_type') ? 'rope_type' : 'type', known, 'default');
  switch (type) {
    case 'default':
    // Turns as without scaling up to the context that it was trained for, where Loupe's windows end.
    case 'dynamic':
      return { rotation: plain, contextLength };
    case 'linear':
      return { rotation: slowed(plain, rope.positive('factor')), contextLength };
    case 'yarn': {
      const originalContext = rope.length('original_max_position_embeddings', contextLength, 1 << 24);
      const factor = rope.positive('factor', contextLength / originalContext);
      rope.require('truncate', [true, null]);
      rope.require('mscale', [null]);
      const scaling = {
        ...{ theta: rope.positive('rope_theta', options.theta), factor, originalContext },
        fast: rope.positive('beta_fast', 32),
        slow: rope.positive('beta_slow', 1),
        scale: rope.positive('attention_factor', factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1),
      };
      return { rotation: yarnScaled(plain, scaling), contextLength };
    }
    case 'llama3': {
      const scaling = {
        factor: rope.positive('factor'),
        lowFrequencyFactor: rope.positive('low_freq_factor'),
        highFrequencyFactor: rope.positive('high_freq_factor'),
        originalContext: rope.positive('original_max_position_embeddings', contextLength),
      };
      return { rotation: llama3Scaled(plain, scaling), contextLength };
    }
    case 'longrope':
    case 'su': {
      // Beyond the original context transformers turns by the long factors: Loupe's windows end there.
      const original = rope.length('original_max_position_embeddings', contextLength, 1 << 24);
      const factor = rope.positive('factor', contextLength / original);
      const scale = rope.positive('attention_factor', longScale(factor, original));
      const factors = rope.numbers('short_factor', width / 2);
      return {
        rotation: slowedEach(plain, factors.map(round), scale),
        contextLength: Math.min(contextLength, original),
      };
    }
  }
}
