// Phase 2, parallel over features: a feature's gradients are summed in a scratch row and go straight into AdamW, so
// that dense gradients exist only where the batch is cut into chunks.
// @ts-nocheck: AssemblyScript, checked by asc.
import { adamNumber, adamRow } from './adam';
import * as job from './job';
import { add, multiplyAdd, normalize } from './simd';
import { word } from './word';

/** This thread's range of features. */
export function update(j: usize, thread: u32): void {
  const ranges = word(j, job.RANGES) + ((<usize>thread) << 2);
  const end = load<u32>(ranges, 4);
  for (let f = load<u32>(ranges); f < end; f++) updateFeature(j, thread, f);
}

function updateFeature(j: usize, thread: u32, f: u32): void {
  const n = word(j, job.ROW);
  const row = <usize>f * n;
  const encoderGradient = word(j, job.SCRATCH) + 2 * thread * n;
  const decoderGradient = encoderGradient + n;
  const keptEncoder = word(j, job.ENCODER_GRADIENT) + row;
  const keptBias = word(j, job.ENCODER_BIAS_GRADIENT) + ((<usize>f) << 2);
  const keptDecoder = word(j, job.DECODER_GRADIENT) + row;
  let biasGradient: f32 = 0;
  if (word(j, job.FIRST)) {
    memory.fill(encoderGradient, 0, 2 * n);
  } else {
    memory.copy(encoderGradient, keptEncoder, n);
    memory.copy(decoderGradient, keptDecoder, n);
    biasGradient = load<f32>(keptBias);
  }
  biasGradient = sumGradients(j, f, encoderGradient, decoderGradient, biasGradient);
  if (!word(j, job.LAST)) {
    memory.copy(keptEncoder, encoderGradient, n);
    memory.copy(keptDecoder, decoderGradient, n);
    store<f32>(keptBias, biasGradient);
    return;
  }
  adamParameter(j, job.ENCODER, row, encoderGradient, n);
  adamParameter(j, job.DECODER, row, decoderGradient, n);
  if (word(j, job.UNIT_DECODER)) normalize(word(j, job.DECODER) + row, n);
  const b = (<usize>f) << 2;
  const bias = word(j, job.ENCODER_BIAS) + b;
  const mean = word(j, job.ENCODER_BIAS + job.FIRST_MOMENT) + b;
  adamNumber(j, bias, mean, word(j, job.ENCODER_BIAS + job.SECOND_MOMENT) + b, biasGradient);
}

/** Adds the gradients of every activation of feature f in this chunk; returns the encoder bias's. */
function sumGradients(j: usize, f: u32, encoder: usize, decoder: usize, bias: f32): f32 {
  const n = word(j, job.ROW);
  const start = word(j, job.GROUP_START) + ((<usize>f) << 2);
  const slots = word(j, job.GROUP_SLOT);
  const end = load<u32>(start, 4);
  const main = j + (job.MAIN << 2);
  const inMain = <u32>word(main, job.SLOTS) * <u32>word(j, job.SAMPLES);
  for (let q = load<u32>(start); q < end; q++) {
    let p = load<u32>(slots + ((<usize>q) << 2));
    let r = main;
    if (p >= inMain) {
      p -= inMain;
      r = j + (job.AUXILIARY << 2);
    }
    const k = <u32>word(r, job.SLOTS);
    const b = p / k;
    const budget = load<u32>(word(r, job.BUDGET_OF_SLOT) + ((<usize>(p - b * k)) << 2));
    const g = word(r, job.ERRORS) + <usize>(b * <u32>word(r, job.BUDGETS) + budget) * n;
    const slope = load<f32>(word(r, job.SLOPES) + ((<usize>p) << 2));
    const value = load<f32>(word(r, job.VALUES) + ((<usize>p) << 2));
    bias += slope;
    addBoth(decoder, value, g, encoder, slope, word(j, job.INPUT) + <usize>b * n, n);
  }
  return bias;
}

/** decoder += value * g; encoder += slope * x */
function addBoth(
  decoder: usize,
  value: f32,
  g: usize,
  encoder: usize,
  slope: f32,
  x: usize,
  n: usize,
): void {
  const v = f32x4.splat(value);
  const s = f32x4.splat(slope);
  for (let t: usize = 0; t < n; t += 32) {
    v128.store(decoder + t, multiplyAdd(v, v128.load(g + t), v128.load(decoder + t)));
    v128.store(decoder + t, multiplyAdd(v, v128.load(g + t, 16), v128.load(decoder + t, 16)), 16);
    v128.store(encoder + t, multiplyAdd(s, v128.load(x + t), v128.load(encoder + t)));
    v128.store(encoder + t, multiplyAdd(s, v128.load(x + t, 16), v128.load(encoder + t, 16)), 16);
  }
}

function adamParameter(j: usize, parameter: usize, offset: usize, gradient: usize, n: usize): void {
  const mean = word(j, parameter + job.FIRST_MOMENT) + offset;
  const square = word(j, parameter + job.SECOND_MOMENT) + offset;
  adamRow(j, word(j, parameter) + offset, mean, square, gradient, n);
}

/** Serial: the decoder bias, whose gradient every thread has a part of. */
export function updateDecoderBias(j: usize): void {
  if (!word(j, job.DECODER_BIAS)) return;
  const n = word(j, job.ROW);
  const gradient = word(j, job.DECODER_BIAS_GRADIENT);
  const threads = <u32>word(j, job.THREADS);
  for (let t: u32 = 1; t < threads; t++) add(gradient, gradient + <usize>t * n, n);
  adamParameter(j, job.DECODER_BIAS, 0, gradient, n);
}
