import { Failure } from '../common/failure.ts';
import {
  engineProtocol,
  type EngineContract,
  type FeatureLabels,
  type LoadProgress,
  type ModelInfo,
  type ModelRequest,
  type SaeInfo,
} from '../contracts/engine.ts';
import type { CallContext, Handlers } from '../messages/calls.ts';
import { readFeatureCards, type FeatureCards } from '../saes/featureCards.ts';
import { readDictionary, requireFit } from '../saes/readDictionary.ts';
import { Analysis, type AnalysisOptions } from './analysis.ts';
import { ModelRunner } from './modelRunner.ts';
import { SaeRunner } from './saeRunner.ts';
import { runtimeVersion } from './session.ts';

interface LoadedSae {
  readonly runner: SaeRunner;
  readonly analysis: Analysis;
  readonly cards: FeatureCards | undefined;
}

/** One model and one SAE at a time, and the answers to everything that is asked of them. */
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

  constructor(analysisOptions: AnalysisOptions = {}) {
    this.analysisOptions = analysisOptions;
  }

  readonly handlers: Handlers<EngineContract> = {
    hello: ({ protocol }) => {
      if (protocol === engineProtocol) {
        return { protocol, pid: process.pid, runtime: runtimeVersion };
      }
      throw new Failure(
        'mismatch',
        `The engine speaks protocol ${engineProtocol}, not ${protocol}.`,
        {
          action: 'Reload the window: Loupe was updated meanwhile.',
        },
      );
    },
    loadModel: (request, context) => this.inTurn(() => this.loadModel(request, context)),
    loadSae: ({ path }, context) => this.inTurn(() => this.loadSae(path, context)),
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
      }
    },
    forget: ({ documentId }) => {
      this.sae?.analysis.forget(documentId);
      return null;
    },
    featureLabels: () => {
      const { runner, cards } = this.requireSae();
      return cards?.labels ?? noLabels(runner.dictionary.width);
    },
    featureCard: ({ feature }) => {
      const { runner, cards } = this.requireSae();
      const { width, name } = runner.dictionary;
      if (!Number.isInteger(feature) || feature < 0 || feature >= width) {
        throw new Failure('not-found', `${name} has features 0 to ${width - 1}, not ${feature}.`);
      }
      const card = cards?.card(feature);
      if (card) return card;
      throw new Failure('not-found', `There is no card for feature ${feature} of ${name}.`, {
        action: 'Make the cards with `loupe describe`.',
      });
    },
  };

  private async loadModel(
    request: ModelRequest,
    { signal, report }: CallContext<LoadProgress>,
  ): Promise<ModelInfo> {
    // The old model goes first: there may be no memory for two.
    await this.release('another model was loaded');
    await this.model?.dispose();
    this.model = undefined;
    this.model = await ModelRunner.open(request, { signal, report });
    this.threads = request.threads;
    return this.model.info;
  }

  private async loadSae(
    path: string,
    { signal, report }: CallContext<LoadProgress>,
  ): Promise<SaeInfo> {
    const { model } = this;
    if (!model) throw notReady('model', 'Load a model before its SAE.');
    report({ step: 'Reading the SAE', fraction: 0 });
    const dictionary = await readDictionary(path);
    requireFit(dictionary, model.info);
    signal.throwIfAborted();
    report({ step: 'Reading the feature cards', fraction: 0.5 });
    const cards = await readFeatureCards(path, dictionary.width, model.tokenizer);
    signal.throwIfAborted();
    await this.release('another SAE was loaded');
    const runner = await SaeRunner.open(dictionary, { threads: this.threads });
    this.sae = { runner, cards, analysis: new Analysis(model, runner, this.analysisOptions) };
    const { name, hook, width, rule } = dictionary;
    return {
      name,
      path,
      hook,
      features: width,
      maxK: runner.maxK,
      kind: rule.kind,
      activationUnit: "activation in the SAE's own scale",
    };
  }

  /** Ends every analysis and lets go of the SAE that they use. */
  private async release(why: string): Promise<void> {
    this.replaced.abort(new Failure('cancelled', `The analysis was cancelled: ${why}.`));
    this.replaced = new AbortController();
    await Promise.allSettled(this.analyses);
    const { sae } = this;
    this.sae = undefined;
    await sae?.runner.dispose();
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

function noLabels(features: number): FeatureLabels {
  return {
    density: new Float32Array(features).fill(NaN),
    labels: Array.from({ length: features }, () => ''),
    convention: 'The features of this SAE have not been described.',
  };
}

/** Whatever an engine's work throws, with lack of memory told from faults of ours. */
function asFailure(error: unknown): Failure {
  const failure = Failure.from(error);
  const isMemory = /bad_alloc|out of memory|allocation failed|failed to allocate/i;
  if (failure.code !== 'out-of-memory' && !isMemory.test(failure.message)) return failure;
  return new Failure('out-of-memory', `There is not enough memory: ${failure.message}`, {
    action: 'Close other programs, or choose a smaller model or SAE.',
    cause: error,
  });
}
