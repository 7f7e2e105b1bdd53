import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Gate } from '../../common/gate.ts';
import type { BoostReport } from '../../contracts/boostReport.ts';
import type { BoostProgress, BoostRequest } from '../../contracts/trainer.ts';
import { writeFeatureTable } from '../../saes/featureTable.ts';
import { readDictionary } from '../../saes/readDictionary.ts';
import { requireResidual } from '../../saes/requireResidual.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import type { ActivationSource } from '../../training/activations/activations.ts';
import { firstWindows } from '../../training/activations/firstWindows.ts';
import type { TrainingSettings } from '../../training/settings.ts';
import { measureVariants, type Variant } from './boostMeasure.ts';
import { expectedStages } from './boostPlan.ts';
import { BoostReporter } from './boostReporter.ts';
import { writeReport, writeVariants } from './boostResults.ts';
import { computed, sample, stored } from './boostSource.ts';
import { defaultTokens, readBoostText, withGeneral, type BoostText } from './boostText.ts';
import {
  boostTrainingSettings,
  isTrained,
  trainResidual,
  type TrainedResidual,
} from './boostTrain.ts';
import { calibrateVariants } from './boostVariants.ts';
import { measuredWindows } from './boostWindows.ts';
import { chooseVariant } from './chooseVariant.ts';
import { describeFeatures } from '../saes/describe.ts';
import { openFrozenBase, type FrozenBase } from './frozenBase.ts';
import { openResidual } from '../saes/residualRunner.ts';
import type { Warn } from '../training/trainingBackends.ts';

export interface BoostOptions {
  readonly signal: AbortSignal;
  /** Holds the work while it is closed. */
  readonly gate: Gate;
  /** Seconds of training between checkpoints. */
  readonly checkpointSeconds?: number;
  /** Hears, in one sentence, what became of the device that was asked for. */
  readonly warn?: Warn;
  report(progress: BoostProgress): void;
}

/** Tokens of training text that features are described from. */
const describedTokens = 200_000;

/**
 * Trains a residual SAE on the error of a frozen base on domain text (SAE Boost, arXiv 2507.12990), or goes on with the
 * training in the folder; leaves there the residual SAE, its feature cards and its report.
 */
export async function boost(request: BoostRequest, options: BoostOptions): Promise<BoostReport> {
  const frozen = await openFrozenBase(request, options.signal, options.warn);
  try {
    return await new Boost(frozen, request, options).run();
  } finally {
    await frozen.dispose();
  }
}

/** One of the ways to train on the text. */
interface Training {
  readonly method: 'plain' | 'mixed';
  /** Checkpoints go here. */
  readonly folder: string;
  readonly settings: TrainingSettings;
}

class Boost {
  private readonly frozen: FrozenBase;
  private readonly request: BoostRequest;
  private readonly options: BoostOptions;
  private readonly reporter: BoostReporter;

  constructor(frozen: FrozenBase, request: BoostRequest, options: BoostOptions) {
    this.frozen = frozen;
    this.request = request;
    this.options = options;
    const { gate } = options;
    this.reporter = new BoostReporter(
      progress => options.report(progress),
      () => gate.openTime,
    );
  }

  async run(): Promise<BoostReport> {
    const { frozen, request, reporter } = this;
    const { signal, gate } = this.options;
    const { folder } = request;
    const { threads } = request.model;
    await mkdir(folder, { recursive: true });
    const others = await this.otherDomains();
    reporter.enter('reading text');
    const text = await readBoostText(request, {
      tokenizer: frozen.model.tokenizer,
      windowLength: frozen.windowLength,
      signal,
      report: fraction => reporter.at(fraction),
    });
    const tokens = request.tokens || defaultTokens(text.plan.tokens);
    const planned = { tokens, corpus: text.plan };
    reporter.expect(await expectedStages(frozen, request, planned, signal));
    reporter.enter('computing activations');
    const windows = measuredWindows(tokens);
    const domain = { text: text.heldOut, ...(await this.sampled(text.heldOut, windows.reported)) };
    const { heldOut } = text.general;
    const general = { text: heldOut, ...(await this.sampled(heldOut, windows.reported)) };
    const calibration = await this.sampled(text.general.mix, windows.calibrated);
    const tokenIds = withGeneral(text, request.mixGeneral);
    const trainings: readonly Training[] = [
      this.training('plain', text.train.tokenIds, tokens),
      ...(request.mixGeneral > 0 ? [this.training('mixed', tokenIds, tokens)] : []),
    ];
    const areDone = await Promise.all(trainings.map(t => isTrained(t.folder, t.settings)));
    const { source, store } = await stored(frozen, tokenIds, {
      folder,
      // What has been trained on is not computed again.
      diskBytes: areDone.every(isDone => isDone) ? 0 : request.diskBytes,
      windowLength: text.windowLength,
      signal,
      gate,
      report: (done, of) => reporter.at(of === 0 ? 1 : done / of),
    });
    let report: BoostReport;
    try {
      const domainSource = firstWindows(source, text.train.windows);
      const live = {
        domain: domain.windows.slice(0, windows.live),
        general: general.windows.slice(0, windows.live),
      };
      const trained: Partial<Record<Training['method'], TrainedResidual>> = {};
      reporter.enter('training');
      for (const [i, training] of trainings.entries()) {
        trained[training.method] = await trainResidual(frozen, request.name, {
          ...training,
          source: training.method === 'plain' ? domainSource : source,
          heldOut: live,
          checkpointSeconds: this.options.checkpointSeconds,
          signal,
          gate,
          warn: this.options.warn,
          report: progress =>
            reporter.trained({ ...progress, fraction: (i + progress.fraction) / trainings.length }),
        });
      }
      const { plain, mixed } = trained;
      if (!plain) throw new Failure('internal', 'Nothing was trained.');
      reporter.enter('calibrating');
      const fitted = await sample(domainSource, windows.calibrated, signal);
      const variants = await calibrateVariants(
        { plain: plain.dictionary, mixed: mixed?.dictionary },
        { domain: fitted.windows, general: calibration.windows },
        { k: request.k, threads, signal },
      );
      const choice = await chooseVariant(variants, calibration.windows, { threads, signal });
      reporter.enter('measuring');
      const measured = await measureVariants(
        frozen,
        variants,
        { domain: text.heldOut, general: heldOut },
        {
          others,
          threads,
          windows: windows.reported,
          signal,
          report: fraction => reporter.at(fraction),
        },
      );
      const chosen = await writeVariants(variants, choice.name, folder);
      reporter.enter('describing features');
      await this.describe(chosen, text, domainSource);
      report = await writeReport({
        frozen,
        request,
        text,
        trainedTokens: plain.tokens,
        measured,
        chosen,
        choice,
        domain,
        general,
        signal,
      });
    } finally {
      await store.close();
    }
    await rm(join(folder, 'activations'), { recursive: true, force: true });
    return report;
  }

  private training(method: Training['method'], tokenIds: Uint32Array, tokens: number): Training {
    const { folder, width, k, seed, model } = this.request;
    const asked = { width, k, tokens, tokenIds, seed, threads: model.threads };
    return {
      method,
      folder: join(folder, 'checkpoints', method),
      settings: boostTrainingSettings(this.frozen, asked),
    };
  }

  private async otherDomains(): Promise<Dictionary[]> {
    const others: Dictionary[] = [];
    for (const path of this.request.otherDomains) {
      const other = await readDictionary(path);
      requireResidual(other, this.frozen.runner.dictionary, this.frozen.base.hash);
      others.push(other);
    }
    return others;
  }

  private sampled(text: BoostText['heldOut'], count: number) {
    const source = computed(this.frozen, text.tokenIds, text.windowLength);
    return sample(source, count, this.options.signal);
  }

  /** Feature cards beside the residual SAE, from the text that it was trained on. */
  private async describe(
    { dictionary }: Variant,
    { train, windowLength }: BoostText,
    activations: ActivationSource,
  ): Promise<void> {
    const { frozen, request, reporter } = this;
    const { signal } = this.options;
    const windows = Math.min(train.windows, Math.floor(describedTokens / windowLength));
    const tokenIds = train.tokenIds.subarray(0, windows * windowLength);
    const sae = await openResidual(dictionary, request.model.threads);
    try {
      const table = await describeFeatures(frozen.model, sae, {
        texts: [{ name: request.name, tokenIds, quotable: true }],
        windowLength,
        activations,
        signal,
        report: (done, of) => reporter.at(done / of),
      });
      await writeFeatureTable(request.folder, table);
    } finally {
      await sae.dispose();
    }
  }
}
