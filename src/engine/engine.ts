import { Failure } from '../common/failure.ts';
import {
  type EngineContract,
  type LoadProgress,
  type ModelInfo,
  type ModelRequest,
  type SaeInfo,
  type SaeRequest,
} from '../contracts/engine.ts';
import type { CallContext, Handlers } from '../messages/calls.ts';
import type { AnalysisOptions } from './analysis/analysis.ts';
import { asFailure } from './asFailure.ts';
import { hello } from './hello.ts';
import { DeviceWatch } from './devices/deviceWatch.ts';
import { LayerMaps } from './lime/layerMaps.ts';
import { LoadedSae, readSaes } from './saes/loadedSae.ts';
import { lookAtModel } from './model/lookAtModel.ts';
import { lookAtSae } from './saes/lookAtSae.ts';
import { ModelRunner } from './model/modelRunner.ts';
import { saeCard } from './saes/saeCard.ts';

/** What to do about a device that failed: this process does not try it again. */
const again = 'Restart Engine tries it again.';

/** One model and one SAE with its domains at a time, and the answers to everything that is asked of them. */
export class Engine {
  private readonly analysisOptions: AnalysisOptions;
  private model: ModelRunner | undefined;
  private threads = 1;
  private sae: LoadedSae | undefined;
  /** Loads follow one another. */
  private loading: Promise<unknown> = Promise.resolve();
  /** Analyses in progress, and what stops them when what they use is replaced. */
  private readonly analyses = new Set<Promise<unknown>>();
  private replaced = new AbortController();
  private readonly layerMaps = new LayerMaps();
  private readonly deviceWatch = new DeviceWatch(() => {
    const { model, sae } = this;
    if (!model) return undefined;
    const weightBytes = model.weightBytes + (sae?.weightBytes ?? 0);
    const { precision } = model.info;
    const residentBytes = process.memoryUsage.rss();
    const { note, ...state } = model.on.state;
    return {
      ...{ ...state, precision, weightBytes, residentBytes },
      ...(note !== undefined && { note: state.failed ? `${note} ${again}` : note }),
    };
  });

  constructor(analysisOptions: AnalysisOptions = {}) {
    this.analysisOptions = analysisOptions;
  }

  readonly handlers: Handlers<EngineContract> = {
    hello: hello('engine'),
    loadModel: (request, context) => this.inTurn(() => this.loadModel(request, context)),
    loadSae: (request, context) => this.inTurn(() => this.loadSae(request, context)),
    analyze: async (request, { signal, report }) => {
      const { analysis } = this.requireSae();
      const either = AbortSignal.any([signal, this.replaced.signal]);
      const running = analysis.analyze(request, { signal: either, report });
      this.analyses.add(running);
      try {
        return await running;
      } catch (error) {
        throw asFailure(either.aborted ? either.reason : error);
      } finally {
        this.analyses.delete(running);
        this.deviceWatch.changed();
      }
    },
    forget: ({ documentId }) => {
      this.sae?.analysis.forget(documentId);
      return null;
    },
    featureLabels: () => this.requireSae().labels,
    featureCard: ({ feature }) => this.requireSae().card(feature),
    watchDevice: (_none, { signal, report }) => this.deviceWatch.watch(signal, report),
    ...this.layerMaps.handlers,
    describeModel: ({ path }) => lookAtModel(path),
    describeSae: ({ path }) => lookAtSae(path),
    saeCard: ({ path }, { signal }) => saeCard(path, signal),
  };

  private async loadModel(
    request: ModelRequest,
    { signal, report }: CallContext<LoadProgress>,
  ): Promise<ModelInfo> {
    // The old model goes first: there may be no memory for two.
    await this.release('another model was loaded');
    await this.layerMaps.release('another model was loaded');
    await this.model?.dispose();
    this.model = undefined;
    this.model = await ModelRunner.open(request, {
      ...{ signal, report },
      // Whoever forked the engine keeps its lines in a log.
      warn: message => {
        console.warn(message);
        this.deviceWatch.changed();
      },
    });
    this.threads = request.threads;
    this.deviceWatch.changed();
    return this.model.info;
  }

  private async loadSae(
    saes: SaeRequest,
    { signal, report }: CallContext<LoadProgress>,
  ): Promise<SaeInfo> {
    const { model, threads } = this;
    if (!model) throw notReady('model', 'Load a model before its SAE.');
    const read = await readSaes(saes, model, {
      signal,
      report: (step, fraction) => report({ step, fraction }),
    });
    await this.release('another SAE was loaded');
    this.sae = await LoadedSae.open(read, model, {
      ...this.analysisOptions,
      threads,
      ...model.on.sessionOptions,
    });
    this.deviceWatch.changed();
    return this.sae.info;
  }

  /** Ends every analysis and lets go of the SAE that they use. */
  private async release(why: string): Promise<void> {
    this.replaced.abort(new Failure('cancelled', `The analysis was cancelled: ${why}.`));
    this.replaced = new AbortController();
    // Gone before the wait: nothing that is asked meanwhile may begin with it.
    const { sae } = this;
    this.sae = undefined;
    await Promise.allSettled(this.analyses);
    await sae?.dispose();
  }

  private async inTurn<T>(load: () => Promise<T>): Promise<T> {
    const turn = this.loading.then(load);
    this.loading = turn.catch(() => undefined);
    try {
      return await turn;
    } catch (error) {
      throw asFailure(error);
    }
  }

  private requireSae(): LoadedSae {
    if (this.sae) return this.sae;
    throw this.model
      ? notReady('SAE', 'Choose an SAE.')
      : notReady('model', 'Choose a model and an SAE.');
  }
}

function notReady(what: string, action: string): Failure {
  return new Failure('not-ready', `No ${what} is loaded.`, { action });
}
