import { basename, join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { TrainResult } from '../../contracts/commandLine.ts';
import type { ModelRequest } from '../../contracts/engine.ts';
import type { TensorflowChoice } from '../../contracts/tensorflow.ts';
import { writeSaeLens } from '../../saes/formats/saelens.ts';
import {
  ActivationStore,
  type StoreDescription,
} from '../../training/activations/activationStore.ts';
import type { ActivationSource } from '../../training/activations/activations.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import { budgetsOf } from '../../training/objective.ts';
import { packTokens } from '../../training/corpus/packTokens.ts';
import type { TrainingSettings } from '../../training/settings.ts';
import { Trainer, type TrainingProgress } from '../../training/trainer.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import { openStore, refuseOther } from './activationStores.ts';
import { DeviceInUse } from '../devices/deviceInUse.ts';
import { ModelRunner } from '../model/modelRunner.ts';
import { runtimeVersion } from '../sessions/session.ts';
import { harvest, ModelActivations } from './trainerSource.ts';
import { backendOn } from './trainingBackends.ts';

export interface TrainRequest {
  readonly model: ModelRequest;
  /** Files and folders of text; none: only what the store of activations holds. */
  readonly paths: readonly string[];
  readonly folder: string;
  /** Where activations are kept; undefined: computed anew in each pass. */
  readonly activations: string | undefined;
  readonly windowLength: number; // T
  readonly settings: TrainingSettings;
  /** Steps are taken in TensorFlow where it can be used; on the model's device where this is not given. */
  readonly tensorflow?: TensorflowChoice | undefined;
  readonly dtype: 'F16' | 'F32';
  /** The command as it was given, for the record. */
  readonly command: string;
}

export interface TrainOptions {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** What is trained on: activations, and of which model. */
interface Material {
  readonly source: ActivationSource;
  readonly model: StoreDescription['model'];
  /** The tokenizer's fingerprint; not known of activations that were kept. */
  readonly tokenizer?: string | undefined;
  /** What takes the steps. */
  readonly on: DeviceInUse;
  dispose(): Promise<void>;
}

/** Trains an SAE into a folder: SAELens files, checkpoints, and a record of how it was made. */
export async function train(request: TrainRequest, options: TrainOptions): Promise<TrainResult> {
  // Refuses what cannot be trained before anything is loaded.
  budgetsOf(request.settings.objective, request.settings.k, request.settings.budgets);
  const material = await gather(request, options);
  try {
    return await trainOn(material, request, options);
  } finally {
    await material.dispose();
  }
}

async function trainOn(
  material: Material,
  request: TrainRequest,
  { signal, log }: TrainOptions,
): Promise<TrainResult> {
  const { settings, folder } = request;
  const trainer = await Trainer.open({
    settings,
    source: material.source,
    folder,
    openBackend: backendOn(material.on, log, request.tensorflow),
    signal,
  });
  try {
    if (trainer.step > 0) log(`Going on from step ${trainer.step} of ${trainer.steps}.`);
    let last: TrainingProgress | undefined;
    await trainer.run({
      signal,
      heldOutSteps: 500,
      report: progress => {
        last = progress;
        if (progress.step % 50 === 0 || progress.step === progress.steps)
          log(progressLine(progress));
      },
      reportHeldOut: ({ ev }, step) =>
        log(`step ${step}, held-out explained variance: ${evText(ev)}`),
    });
    const { ev, tokens, l0 } = await trainer.measureHeldOut();
    log(`held-out explained variance over ${tokens} tokens (L0 ${l0.toFixed(1)}): ${evText(ev)}`);
    const state = trainer.snapshot;
    const result: TrainResult = {
      sae: folder,
      steps: trainer.steps,
      tokens: trainer.steps * settings.batch,
      loss: last?.loss ?? state.curve.at(-1)?.loss ?? NaN,
      ev: ev.get(settings.k) ?? NaN,
      dead: last?.dead ?? state.curve.at(-1)?.dead ?? NaN,
      tokensPerSecond: (trainer.steps * settings.batch) / state.seconds,
      device: trainer.backend.device,
    };
    await write(trainer, request, material, {
      ...result,
      heldOut: { tokens, ev: Object.fromEntries(ev) },
    });
    return result;
  } finally {
    await trainer.dispose();
  }
}

function progressLine(p: TrainingProgress): string {
  const left = (p.steps - p.step) * (p.tokens / p.step / p.tokensPerSecond);
  return [
    `step ${p.step}/${p.steps}`,
    `loss ${p.loss.toFixed(2)}`,
    `ev ${p.ev.toFixed(4)}`,
    `dead ${(100 * p.dead).toFixed(1)} %`,
    `lr ${p.learningRate.toExponential(1)}`,
    `${p.tokensPerSecond.toFixed(0)} tokens/s`,
    `${Math.ceil(left / 60)} min left`,
  ].join(', ');
}

function evText(ev: ReadonlyMap<number, number>): string {
  return Array.from(ev, ([k, value]) => `k=${k} ${value.toFixed(4)}`).join(', ');
}

/** The SAE, and beside it training.json: everything that says how it came to be. */
async function write(
  trainer: Trainer,
  request: TrainRequest,
  material: Material,
  result: object,
): Promise<void> {
  const { settings, statistics, heldOut, position, curve, seconds } = trainer.snapshot;
  const windows = Math.max(...position.passWindows);
  const { windowLength } = material.source;
  const provenance = {
    training_architecture: settings.objective,
    context_size: windowLength,
    training_tokens: trainer.steps * settings.batch,
    trainer: 'loupe',
    ...(material.tokenizer !== undefined && { tokenizer_sha256: material.tokenizer }),
  };
  const dictionary = trainer.dictionary({
    name: basename(request.folder),
    model: material.model,
    provenance,
  });
  await writeSaeLens(dictionary, request.folder, request.dtype);
  const record = {
    command: request.command,
    settings,
    model: material.model,
    text: request.paths,
    uniqueTokens: (windows - heldOut.length) * windowLength,
    passes: position.pass + 1,
    windowsAtEachPass: position.passWindows,
    heldOutWindows: heldOut,
    statistics: { ...statistics, mean: undefined },
    result,
    seconds,
    versions: { node: process.version, runtime: runtimeVersion },
    curve,
  };
  const json = `${JSON.stringify(record, null, 2)}\n`;
  await writeAtomically(join(request.folder, 'training.json'), [new TextEncoder().encode(json)]);
}

/** The activations to train on: from a store, filled first as far as the tokens ask, or from the model. */
async function gather(request: TrainRequest, options: TrainOptions): Promise<Material> {
  const { activations, paths, settings } = request;
  if (activations !== undefined && paths.length === 0) {
    const store = await ActivationStore.open(activations);
    try {
      refuseOther(store, { ...store.description, hook: settings.hook });
      const on = await DeviceInUse.choose(request.model.device ?? 'cpu', {
        signal: options.signal,
        warn: options.log,
        threads: request.model.threads,
      });
      return { source: store, model: store.description.model, on, dispose: () => store.close() };
    } catch (error) {
      await store.close();
      throw error;
    }
  }
  const runner = await ModelRunner.open(request.model, {
    signal: options.signal,
    report: ({ step }) => options.log(step),
    warn: options.log,
  });
  try {
    const material = await harvested(runner, request, options);
    return {
      ...material,
      dispose: async () => {
        await material.dispose();
        await runner.dispose();
      },
    };
  } catch (error) {
    await runner.dispose();
    throw error;
  }
}

async function harvested(
  runner: ModelRunner,
  request: TrainRequest,
  { signal, log }: TrainOptions,
): Promise<Material> {
  const { settings, windowLength, activations } = request;
  const { hook } = settings;
  const { width, layers } = runner.config;
  const layer = Number(/\d+/.exec(hook)?.[0]);
  if (layer >= layers) {
    throw new Failure(
      'usage',
      `The model has layers 0 to ${layers - 1}; --layer asks for ${layer}.`,
    );
  }
  const tokenIds = await packTokens(readCorpus(request.paths, signal, log), runner.tokenizer, {
    windowLength,
    limit: Math.ceil(settings.tokens / windowLength) * windowLength,
    signal,
  });
  log(`${tokenIds.length} tokens of text in ${tokenIds.length / windowLength} windows`);
  const model = { name: runner.info.name, hash: runner.info.hash };
  const source = new ModelActivations(runner, { hook, width, windowLength, tokenIds });
  const tokenizer = runner.tokenizer.fingerprint;
  if (activations === undefined) {
    return { source, model, tokenizer, on: runner.on, dispose: () => Promise.resolve() };
  }
  const store = await openStore(activations, { model, hook, width, windowLength }, tokenIds);
  try {
    await harvest(store, source, source.windows, {
      signal,
      report: done => {
        if (done % 64 === 0 || done === source.windows)
          log(`activations of ${done} of ${source.windows} windows`);
      },
    });
  } catch (error) {
    await store.close();
    throw error;
  }
  return { source: store, model, tokenizer, on: runner.on, dispose: () => store.close() };
}
