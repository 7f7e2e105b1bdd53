import {
  SafetensorsFile,
  writeSafetensors,
  type Tensor,
} from '../../../src/weights/safetensors.ts';
import type { Moments } from './adamW.ts';
import { initialWeights, type Parameter } from './parameters.ts';
import { holdRouters, type Arm } from './arms.ts';

/** Where a training stands. */
export interface State {
  /** Those of the model, one after the other. */
  readonly weights: Float32Array;
  readonly moments: Moments;
  /** Of the steps taken: mean surprisal of their tokens, in nats. */
  readonly losses: number[];
  /** Mean surprisal on held-out text, by steps taken. */
  readonly heldOut: HeldOutPoint[];
  /** In training, without what measuring took. */
  seconds: number;
}

export interface HeldOutPoint {
  readonly step: number;
  readonly ce: number;
}

export function newState(parameters: readonly Parameter[], arm: Arm, seed: number): State {
  const weights = initialWeights(parameters, seed);
  holdRouters(weights, parameters, arm);
  const moments = {
    first: new Float32Array(weights.length),
    second: new Float32Array(weights.length),
  };
  return { weights, moments, losses: [], heldOut: [], seconds: 0 };
}

export async function writeState(path: string, state: State): Promise<void> {
  const { weights, moments, losses, heldOut, seconds } = state;
  const flat = (data: Float32Array): Tensor => ({ dtype: 'F32', shape: [data.length], data });
  await writeSafetensors(
    path,
    {
      weights: flat(weights),
      first: flat(moments.first),
      second: flat(moments.second),
      losses: flat(Float32Array.from(losses)),
    },
    { heldOut: JSON.stringify(heldOut), seconds: String(seconds) },
  );
}

/** What `writeState` wrote; undefined where it has written nothing. */
export async function readState(path: string): Promise<State | undefined> {
  const file = await SafetensorsFile.open(path).catch(() => undefined);
  if (!file) return undefined;
  const [weights, first, second, losses] = await Promise.all(
    ['weights', 'first', 'second', 'losses'].map(name => file.readFloat32(name)),
  );
  if (!weights || !first || !second || !losses) return undefined;
  return {
    weights,
    moments: { first, second },
    losses: [...losses],
    heldOut: JSON.parse(file.metadata.get('heldOut') ?? '[]') as HeldOutPoint[],
    seconds: Number(file.metadata.get('seconds') ?? 0),
  };
}
