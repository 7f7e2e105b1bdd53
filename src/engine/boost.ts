import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gate } from '../common/gate.ts';
import type { BoostReport } from '../contracts/boostReport.ts';
import type { BoostProgress, BoostRequest } from '../contracts/trainer.ts';
import { writeFeatureTable } from '../saes/featureTable.ts';
import { readDictionary, requireResidual } from '../saes/readDictionary.ts';
import type { Dictionary } from '../saes/dictionary.ts';
import type { ActivationSource } from '../training/activations.ts';
import { FirstWindows } from '../training/firstWindows.ts';
import { measureVariants, type Variant } from './boostMeasure.ts';
import { expectedSeconds } from './boostPlan.ts';
import { BoostReporter } from './boostReporter.ts';
import { writeReport, writeVariants } from './boostResults.ts';
import { sample, stored } from './boostSource.ts';
import { defaultTokens, readBoostText, withGeneral, type BoostText } from './boostText.ts';
import { boostTrainingSettings, trainResidual, type TrainedResidual } from './boostTrain.ts';
import { calibrateVariants } from './boostVariants.ts';
import { describeFeatures } from './describe.ts';
import { openFrozenBase, type FrozenBase } from './frozenBase.ts';
import { SaeRunner } from './saeRunner.ts';

export interface BoostOptions {
  readonly signal: AbortSignal;
  /** Holds the work while it is closed. */
  readonly gate: Gate;
  report(progress: BoostProgress): void;
}

/** Windows of held-out text, evenly spread, that are measured on while training. */
const liveWindows = 24;
/** The same in the report. */
const reportWindows = 32;
/** Windows of training text that thresholds are calibrated on, of domain and of general text. */
const calibrationWindows = 48;
/** Tokens of training text that features are described from. */
const describedTokens = 200_000;

/**
 * Trains a residual SAE on the error of a frozen base on domain text (SAE Boost, arXiv 2507.12990), or goes on with the
 * training in the folder; leaves there the residual SAE, its feature cards and its report.
 */
export async function boost(request: BoostRequest, options: BoostOptions): Promise<BoostReport> {
  const frozen = await openFrozenBase(request, options.signal);
  try {
    return await new Boost(frozen, request, options).run();
  } finally {
    await frozen.dispose();
  }
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
    this.reporter = new BoostReporter(progress => options.report(progress), {});
  }

  async run(): Promise<BoostReport> {
    const { frozen, request, reporter } = this;
    const { signal, gate } = this.options;
    const { folder } = request;
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
    reporter.expect(await expectedSeconds(frozen, text, { ...request, tokens }, signal));
    reporter.enter('computing activations');
    const domain = { text: text.heldOut, ...(await this.sampled(text.heldOut, reportWindows)) };
    const { heldOut } = text.general;
    const general = { text: heldOut, ...(await this.sampled(heldOut, reportWindows)) };
    const calibration = await this.sampled(text.general.mix, calibrationWindows);
    const tokenIds = withGeneral(text, request.mixGeneral);
    const { source, store } = await stored(frozen, tokenIds, {
      folder,
      diskBytes: request.diskBytes,
      windowLength: text.windowLength,
      signal,
      gate,
      report: (done, of) => reporter.at(done / of),
    });
    try {
      const domainSource = new FirstWindows(source, text.train.windows);
      const live = {
        domain: domain.windows.slice(0, liveWindows),
        general: general.windows.slice(0, liveWindows),
      };
      const train = (method: 'plain' | 'mixed'): Promise<TrainedResidual> => {
        reporter.enter('training');
        return trainResidual(frozen, request.name, {
          source: method === 'plain' ? domainSource : source,
          folder: join(folder, 'checkpoints', method),
          settings: this.settings(tokens),
          heldOut: live,
          signal,
          gate,
          report: progress => reporter.trained(progress),
        });
      };
      const plain = await train('plain');
      const mixed = request.mixGeneral > 0 ? await train('mixed') : undefined;
      reporter.enter('calibrating');
      const windows = Math.min(calibrationWindows, domainSource.windows);
      const variants = await calibrateVariants(
        { plain: plain.dictionary, mixed: mixed?.dictionary },
        { domain: await domainSource.read(0, windows, signal), general: calibration.windows },
        { k: request.k, threads: request.model.threads },
      );
      reporter.enter('measuring');
      const measured = await measureVariants(
        frozen,
        variants,
        { domain: text.heldOut, general: heldOut },
        {
          others,
          threads: request.model.threads,
          windows: reportWindows,
          signal,
          report: fraction => reporter.at(fraction),
        },
      );
      const chosen = await writeVariants(variants, measured, folder);
      reporter.enter('describing features');
      await this.describe(chosen, text, domainSource);
      const report = await writeReport({
        frozen,
        request,
        text,
        trainedTokens: this.settings(tokens).batch * plain.steps,
        measured,
        chosen,
        domain,
        general,
        signal,
      });
      await rm(join(folder, 'activations'), { recursive: true, force: true });
      return report;
    } finally {
      await store.close();
    }
  }

  private settings(tokens: number) {
    const { width, k, seed, model } = this.request;
    return boostTrainingSettings(this.frozen, { width, k, tokens, seed, threads: model.threads });
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
    return sample(this.frozen, text, count, this.options.signal);
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
    const sae = await SaeRunner.open(dictionary, { threads: request.model.threads });
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
