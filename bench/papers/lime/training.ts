import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../../../src/common/random.ts';
import { learningRate } from '../../../src/training/schedule.ts';
import {
  armNamed,
  cellFolder,
  configOf,
  writeTrained,
  type Cell,
  type Settings,
  type Trained,
} from './cell.ts';
import { newState, readState, writeState, type State } from './checkpoint.ts';
import { LossGraph, sum } from './lossGraph.ts';
import { writeModelFolder } from './modelFolder.ts';
import { sizeOf } from './parameters.ts';
import { absoluteMap } from './routerMap.ts';
import { takeStep } from './step.ts';
import { windowOf, type Texts, type Windows } from './text.ts';

export interface TrainingOptions {
  readonly out: string;
  readonly settings: Settings;
  readonly texts: Texts;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Steps between two checkpoints. */
const checkpointEvery = 50;

/** Trains a model, or goes on where its last checkpoint is; leaves its folder and what was measured. */
export async function trainCell(cell: Cell, options: TrainingOptions): Promise<Trained> {
  const { out, settings, texts, threads, signal, log } = options;
  const folder = cellFolder(out, cell);
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'checkpoint.safetensors');
  const arm = armNamed(cell.arm);
  const config = configOf(settings, arm);
  const graph = await LossGraph.open(config, threads);
  try {
    const { parameters } = graph;
    const state = (await readState(path)) ?? newState(parameters, arm, cell.seed);
    const order = windowOrder(texts.train, cell.seed);
    const gradient = new Float32Array(state.weights.length);
    const measure = (windows: number) => crossEntropy(graph, state, texts.heldOut, windows, signal);
    while (state.losses.length < settings.steps) {
      if (signal.aborted) await writeState(path, state);
      signal.throwIfAborted();
      const start = performance.now();
      const step = state.losses.length + 1;
      const batch = Array.from({ length: settings.windows }, (_, i) => {
        const at = ((step - 1) * settings.windows + i) % order.length;
        return windowOf(texts.train, order[at] ?? NaN);
      });
      const tokens = batch.length * (texts.train.length - 1);
      const rate = rateOf(settings, step);
      const { loss } = await takeStep(graph, { ...state, gradient }, batch, { arm, step, rate });
      state.losses.push(Math.fround(loss)); // as a checkpoint keeps it
      state.seconds += (performance.now() - start) / 1e3;
      if (step % settings.every === 0) {
        state.heldOut.push({ step, ce: await measure(settings.soonWindows) });
        const { ce } = state.heldOut.at(-1) ?? { ce: NaN };
        const speed = (step * tokens) / state.seconds;
        log(`step ${step}: ${ce.toFixed(4)} held out, ${speed.toFixed(0)} tokens/s`);
      }
      if (step % checkpointEvery === 0 || step === settings.steps) await writeState(path, state);
    }
    const trained = {
      ...cell,
      parameters: sizeOf(parameters),
      losses: state.losses,
      heldOut: state.heldOut,
      ce: await measure(settings.heldOutWindows),
      seconds: state.seconds,
      map: absoluteMap(state.weights, parameters),
    };
    await writeModelFolder(join(folder, 'model'), { config, parameters, out }, state.weights);
    await writeTrained(out, trained);
    return trained;
  } finally {
    await graph.dispose();
  }
}

/** The part of the learning rates at a step, counted from 1. */
function rateOf({ steps, warmUp, leastRate }: Settings, step: number): number {
  return learningRate({ peak: 1, minimum: leastRate, warmup: warmUp / steps, steps }, step);
}

/** The order in which windows are read: of the seed alone, and so the same for all arms. */
function windowOrder({ count }: Windows, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  return new Random(1_000_003 + seed).shuffle(order);
}

/** Mean surprisal in nats over the first windows of a text. */
async function crossEntropy(
  graph: LossGraph,
  { weights }: State,
  text: Windows,
  windows: number,
  signal: AbortSignal,
): Promise<number> {
  let [total, tokens] = [0, 0];
  for (let i = 0; i < Math.min(windows, text.count); i++) {
    signal.throwIfAborted();
    const surprisal = await graph.surprisal(weights, windowOf(text, i));
    total += sum(surprisal);
    tokens += surprisal.length;
  }
  return total / tokens;
}
