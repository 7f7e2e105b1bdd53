import type { Device, PrecisionChoice } from '../contracts/engine.ts';
import { probeDevice } from './deviceProbe.ts';
import { type Deviation, float16Deviation } from './float16Deviation.ts';
import type { LoadedModel, LoadOptions } from './loadModel.ts';

/** Up to which 'auto' takes float16: chosen, not derived from what features can bear. */
const most: Deviation = { activations: 0.01, divergence: 1e-3 };

/** The model in the precision that was chosen, as far as its device has it; `info.precision` says which, and why. */
export async function inPrecision(
  model: LoadedModel,
  asked: PrecisionChoice,
  options: Pick<LoadOptions, 'signal' | 'report'>,
): Promise<LoadedModel> {
  const { device } = model.on;
  if (asked === 'float32' || (device === 'cpu' && asked === 'auto')) return model;
  if (device === 'cpu') return told(model, 'the CPU has no arithmetic of float16');
  if (!(await hasFloat16(device))) {
    return asked === 'auto' ? model : told(model, 'the device has no arithmetic of float16');
  }
  options.report?.({ step: 'Measuring float16', fraction: 0 });
  const deviation = await float16Deviation(model, options.signal);
  return withDeviation(model, asked, deviation);
}

/** The model in float16, unless that is to be decided by how far it is from float32, and it is too far. */
export function withDeviation(
  model: LoadedModel,
  asked: 'auto' | 'float16',
  deviation: Deviation,
): LoadedModel {
  const { activations, divergence } = deviation;
  const isNear = activations <= most.activations && divergence <= most.divergence;
  const figures = `activations differ by up to ${percent(activations)}, KL ${divergence.toExponential(0)}`;
  // What is no number came of sums beyond float16, 65504.
  if (asked === 'auto' && !isNear) return told(model, figures);
  const info = { ...model.info, precision: `float16: ${figures}` };
  return { ...model, info, float16: true };
}

async function hasFloat16(device: Device): Promise<boolean> {
  const found = await probeDevice(device);
  return found.works && found.float16;
}

function told(model: LoadedModel, why: string): LoadedModel {
  const precision = `${model.info.precision} (not float16: ${why})`;
  return { ...model, info: { ...model.info, precision } };
}

function percent(part: number): string {
  return `${(100 * part).toPrecision(1)} %`;
}
