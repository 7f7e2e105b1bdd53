import { formatFigure } from '../../common/numbers.ts';
import type { PrecisionChoice } from '../../contracts/engine.ts';
import { type Deviation, float16Deviation, type NotCompared } from './float16Deviation.ts';
import type { LoadedModel, LoadOptions } from './loadModel.ts';

/** Up to which 'auto' takes float16: chosen, not derived from what features can bear. */
const most: Deviation = { activations: 0.01, divergence: 1e-3 };

/** The model in the precision that was chosen, as far as its device has it; `precision` and `float16` say which, and why. */
export async function inPrecision(
  model: LoadedModel,
  asked: PrecisionChoice,
  options: Pick<LoadOptions, 'signal' | 'report'>,
): Promise<LoadedModel> {
  const { device, float16 } = model.on;
  if (asked === 'float32' || (device === 'cpu' && asked === 'auto')) return model;
  if (device === 'cpu') return told(model, 'the CPU has no arithmetic of float16');
  if (!float16) {
    return asked === 'auto' ? model : told(model, 'the device has no arithmetic of float16');
  }
  options.report?.({ step: 'Measuring float16', fraction: 0 });
  const found = await float16Deviation(model, options.signal);
  return 'failed' in found ? notCompared(model, asked, found) : withDeviation(model, asked, found);
}

/** Unmeasured, float16 is taken only where it was asked for by name, and runs. */
function notCompared(
  model: LoadedModel,
  asked: 'auto' | 'float16',
  { failed, why }: NotCompared,
): LoadedModel {
  const what = why.code === 'out-of-memory' ? 'did not fit' : 'failed there';
  if (failed === 'float16') return told(model, `it ${what}`);
  if (asked === 'float16') {
    return { ...model, float16: `float16, not compared: float32 ${what}` };
  }
  return told(
    model,
    `float32 ${what}, and what was not compared is taken only if asked for by name`,
  );
}

/** The model in float16, unless that is to be decided by how far it is from float32, and it is too far. */
export function withDeviation(
  model: LoadedModel,
  asked: 'auto' | 'float16',
  deviation: Deviation,
): LoadedModel {
  const { activations, divergence } = deviation;
  const isNear = activations <= most.activations && divergence <= most.divergence;
  const figures = `activations differ by up to ${formatFigure(100 * activations, 1)} %, KL ${divergence.toExponential(0)}`;
  // What is no number came of sums beyond float16, 65504.
  if (asked === 'auto' && !isNear) return told(model, figures);
  return { ...model, float16: `float16: ${figures}` };
}

function told(model: LoadedModel, why: string): LoadedModel {
  const precision = `${model.info.precision} (not float16: ${why})`;
  return { ...model, info: { ...model.info, precision } };
}
