import { join } from 'node:path';
import { boostTrainingSettings } from '../../../src/engine/boost/boostTrain.ts';
import type { FrozenBase } from '../../../src/engine/boost/frozenBase.ts';
import type { ActivationSource } from '../../../src/training/activations/activations.ts';
import { firstWindows } from '../../../src/training/activations/firstWindows.ts';
import { joinedSources } from '../../../src/training/activations/joinedSources.ts';
import { initialise } from '../../../src/training/initialise.ts';
import { parseObjective } from '../../../src/training/objective.ts';
import { defaultSettings, type TrainingSettings } from '../../../src/training/settings.ts';
import { trainedSae, type TrainedSae, type TrainingRequest } from '../trainedSae.ts';
import { isResidualArm, nameOf, type Arm } from './arms.ts';
import type { Body } from './material.ts';
import { chosenFeatures, largest, perturbed, placeWeights, type Weights } from './weights.ts';

/** Of the base's weights in full fine-tuning: a tenth of that of new ones. */
export const fineTuningRate = 2e-4;
export const newFeatureRate = 2e-3;
/** Share of general text among all, where it is mixed in. */
export const mixedShare = 0.25;
/** How far copies of active features are moved from them, in their lengths. */
export const perturbation = 0.1;
/** Windows of domain text on which the most active features are found. */
const activeWindows = 200;

export interface Trainings {
  readonly frozen: FrozenBase;
  readonly general: Body;
  /** F of residual SAEs, and features that extended SAEs have more than the base. */
  readonly width: number;
  readonly threads: number;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Trains an arm to its end; what was trained before is only read. */
export async function trainArm(arm: Arm, body: Body, trainings: Trainings): Promise<TrainedSae> {
  const { frozen, folder, signal, log } = trainings;
  const { name, hash } = frozen.model.info;
  const request = {
    ...(isResidualArm(arm)
      ? residualRequest(arm, body, trainings)
      : await wholeRequest(arm, body, trainings)),
    folder: join(folder, nameOf(arm)),
    model: { name, hash },
  };
  const trained = await trainedSae(request, { signal, log });
  // All are read by the base's rule of which tokens count, so that they are measured on the same.
  const { tokenPolicy } = frozen.runner.dictionary;
  return { ...trained, dictionary: { ...trained.dictionary, tokenPolicy } };
}

type Request = Omit<TrainingRequest, 'folder' | 'model'>;

function residualRequest(arm: Arm, { errors }: Body, trainings: Trainings): Request {
  const { frozen, general, width, threads } = trainings;
  const { k, seed } = arm;
  const own = firstOf(errors, arm.tokens);
  const added = Math.round((own.windows * mixedShare) / (1 - mixedShare));
  const isMixed = arm.method === 'mixed';
  const source = isMixed ? joinedSources(own, firstWindows(general.errors, added)) : own;
  const tokens = isMixed ? Math.round(arm.tokens / (1 - mixedShare)) : arm.tokens;
  const tokenIds = placeholderText(source);
  const asked = { width, k, tokens, tokenIds, seed, threads };
  return { source, settings: boostTrainingSettings(frozen, asked) };
}

/** As many tokens as there are: that they are those of the text is seen to where its activations are stored. */
function placeholderText({ windows, windowLength }: ActivationSource): Uint32Array {
  return new Uint32Array(windows * windowLength);
}

async function wholeRequest(
  { method, tokens, seed, k }: Arm,
  { train }: Body,
  { frozen, width, threads, signal }: Trainings,
): Promise<Request> {
  const base = frozen.runner.dictionary;
  const isExtended = method !== 'fine-tuned';
  const trained = base.provenance['training_architecture'];
  const tokenIds = placeholderText(train);
  const { batch } = boostTrainingSettings(frozen, { width, k, tokens, tokenIds, seed, threads });
  const settings: TrainingSettings = {
    ...{ ...defaultSettings, batch, hook: base.hook },
    features: base.width + (isExtended ? width : 0),
    k,
    objective: parseObjective(typeof trained === 'string' ? trained : 'topk'),
    tokens,
    learningRate: isExtended ? newFeatureRate : fineTuningRate,
    // AuxK revives features that the domain does not use: in fine-tuning, that alone would forget general text.
    auxiliaryK: isExtended ? defaultSettings.auxiliaryK : 0,
    deadTokens: Math.round(tokens / 8),
    heldOutWindows: 0,
    ...{ seed, threads },
  };
  const source = firstOf(train, tokens);
  if (!isExtended) {
    const begin: Request['begin'] = (kernel, statistics) => placeWeights(kernel, statistics, base);
    return { source, settings, begin };
  }
  const copies =
    method === 'extended-active'
      ? perturbed(await mostActive(frozen, source, width, signal), perturbation, seed)
      : undefined;
  return {
    source,
    settings,
    frozen: base.width,
    begin: (kernel, statistics) => {
      initialise(kernel, seed, statistics);
      placeWeights(kernel, statistics, base);
      if (copies) placeWeights(kernel, statistics, copies, base.width);
    },
  };
}

/** The features of the base with the largest sums of activations. */
async function mostActive(
  { runner }: FrozenBase,
  source: ActivationSource,
  count: number,
  signal: AbortSignal,
): Promise<Weights> {
  const sums = new Float64Array(runner.dictionary.width);
  for (let w = 0; w < Math.min(activeWindows, source.windows); w++) {
    for (const { activations } of await source.read(w, 1, signal)) {
      const encoding = await runner.encode(activations);
      encoding.features.forEach((f, p) => {
        sums[f] = (sums[f] ?? 0) + (encoding.activations[p] ?? 0);
      });
    }
  }
  return chosenFeatures(runner.dictionary, largest(sums, count));
}

function firstOf(source: ActivationSource, tokens: number): ActivationSource {
  return firstWindows(source, Math.ceil(tokens / source.windowLength));
}
