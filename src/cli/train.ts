import { resolve } from 'node:path';
import type { TrainResult } from '../contracts/commandLine.ts';
import { train, type TrainRequest } from '../engine/training/train.ts';
import { parseObjective } from '../training/objective.ts';
import { defaultSettings } from '../training/settings.ts';
import {
  deviceOptions,
  integer,
  plainModelOptions,
  modelRequest,
  requiredText,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { goOnOnCpu } from './goOnOnCpu.ts';
import { tensorflowChoice, trainingBackendOptions } from './trainingBackend.ts';

const largest = Number.MAX_SAFE_INTEGER;

/** `loupe train`: trains an SAE, or goes on with the one in the folder. */
export const trainCommand: Command = {
  name: 'train',
  usage: 'train --text PATH... --layer N --width F --k K --tokens N --out DIR',
  summary: 'Train a sparse autoencoder on text; run again on the same folder to go on',
  options: {
    ...plainModelOptions,
    ...deviceOptions,
    ...trainingBackendOptions,
    text: { type: 'string', multiple: true },
    layer: { type: 'string' },
    width: { type: 'string' },
    k: { type: 'string' },
    tokens: { type: 'string' },
    out: { type: 'string' },
    objective: { type: 'string' },
    budgets: { type: 'string' },
    'sparsity-coefficient': { type: 'string' },
    seed: { type: 'string' },
    activations: { type: 'string' },
    batch: { type: 'string' },
    lr: { type: 'string' },
    window: { type: 'string' },
    'weight-decay': { type: 'string' },
    'aux-k': { type: 'string' },
    'dead-tokens': { type: 'string' },
    'unit-decoder': { type: 'boolean' },
    dtype: { type: 'string' },
  },

  async run(input: CommandInput): Promise<TrainResult> {
    const log = (line: string): void => input.log(line);
    const { signal } = input;
    return goOnOnCpu(request(input), asked => train(asked, { signal, log }), log);
  },

  format(result) {
    const { sae, steps, tokens, loss, ev, dead, tokensPerSecond, device } = result as TrainResult;
    return [
      sae,
      `${steps} steps, ${tokens} tokens, ${tokensPerSecond.toFixed(0)} tokens/s, on ${device}`,
      `loss ${loss.toFixed(2)}, explained variance ${ev.toFixed(4)} on held-out windows, dead ${(100 * dead).toFixed(1)} %`,
    ].join('\n');
  },
};

function request(input: CommandInput): TrainRequest {
  const { values } = input;
  const whole = (name: string, min = 1): number | undefined =>
    integer(values, name, { min, max: largest });
  const must = (name: string, min = 1): number => {
    const value = whole(name, min);
    if (value === undefined) throw usage(`--${name} is missing.`);
    return value;
  };
  const model = modelRequest(values);
  const activations = text(values, 'activations');
  const paths = [...texts(values, 'text'), ...input.positionals].map(path => resolve(path));
  if (paths.length === 0 && activations === undefined) throw usage('--text is missing.');
  const k = must('k');
  const features = must('width');
  if (k > features) throw usage(`--k is to be at most the width, ${features}.`);
  const objective = parseObjective(text(values, 'objective') ?? defaultSettings.objective);
  const sparsityCoefficient = positive(values, 'sparsity-coefficient');
  if (sparsityCoefficient !== undefined && objective !== 'jumprelu')
    throw usage('--sparsity-coefficient goes with --objective jumprelu.');
  return {
    model,
    paths,
    tensorflow: tensorflowChoice(values),
    folder: resolve(requiredText(values, 'out')),
    activations: activations === undefined ? undefined : resolve(activations),
    windowLength: whole('window', 2) ?? 256,
    dtype: dtype(text(values, 'dtype') ?? 'float16'),
    command: ['loupe', ...process.argv.slice(2)].join(' '),
    settings: {
      ...defaultSettings,
      hook: `blocks.${must('layer', 0)}.hook_resid_post`,
      features,
      k,
      tokens: must('tokens'),
      objective,
      budgets: text(values, 'budgets')?.split(',').map(Number),
      sparsityCoefficient,
      batch: whole('batch') ?? defaultSettings.batch,
      learningRate: positive(values, 'lr') ?? defaultSettings.learningRate,
      weightDecay: positive(values, 'weight-decay') ?? defaultSettings.weightDecay,
      auxiliaryK: whole('aux-k', 0) ?? defaultSettings.auxiliaryK,
      deadTokens: whole('dead-tokens') ?? defaultSettings.deadTokens,
      unitDecoder: values['unit-decoder'] === true,
      seed: whole('seed', 0) ?? defaultSettings.seed,
      threads: model.threads,
    },
  };
}

function positive(values: CommandInput['values'], name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isFinite(number) && number >= 0) return number;
  throw usage(`--${name} is to be a number of at least 0, not '${value}'.`);
}

function dtype(name: string): 'F16' | 'F32' {
  if (name === 'float16') return 'F16';
  if (name === 'float32') return 'F32';
  throw usage(`--dtype is float16 or float32, not '${name}'.`);
}
