import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import type { Gate } from '../../common/gate.ts';
import type { RouterFitReport, RouterFitRequest } from '../../contracts/routerFit.ts';
import type { RouterFitProgress } from '../../contracts/trainer.ts';
import { type Routers, writeFittedRouters } from '../../lime/fittedRouters.ts';
import { identityRouter } from '../../models/lime.ts';
import type { ModelConfig } from '../../models/model.ts';
import { AdamW } from '../../training/adamW.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import type { PlacedText } from '../../training/corpus/placedText.ts';
import { learningRate } from '../../training/schedule.ts';
import { randomStream, streams } from '../../training/seeds.ts';
import { type LoadedModel, loadModel } from '../model/loadModel.ts';
import { pause } from '../pause.ts';
import { readDomainText } from '../training/domainText.ts';
import { routedLayers, RoutedLoss, type WindowLoss } from './routedLoss.ts';
import { FitReporter } from './routerFitReporter.ts';
import { FitState, readFitState, writeFitState } from './routerFitState.ts';

export interface RouterFitOptions {
  readonly signal: AbortSignal;
  /** Holds the work while it is closed. */
  readonly gate: Gate;
  /** Seconds between checkpoints. */
  readonly checkpointSeconds?: number;
  report(progress: RouterFitProgress): void;
  /** Hears, in one sentence, why the CPU takes the device's place; the fit goes on there from where it stands. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** T; a gradient of one window needs memory that grows with it. */
export const fitWindow = 256;
/** Windows whose gradients are summed before the routers move. */
const windowsPerStep = 4;
/** Windows of held-out text, evenly spread, at most. */
const heldOutWindows = 32;
/** Learning rate of routers, and no weight decay: arXiv 2502.09245, section 4. */
const peakRate = 1e-2;
const optimiser = new AdamW({ weightDecay: 0 });

/**
 * Fits routers (LIMe, arXiv 2502.09245) to a frozen Llama on a corpus, beginning at the identity, with which it is the
 * model itself; or goes on with the fit in the folder. Leaves the routers and a report there.
 */
export async function fitRouters(
  request: RouterFitRequest,
  options: RouterFitOptions,
): Promise<RouterFitReport> {
  const reporter = new FitReporter(progress => options.report(progress));
  const model = await loadFitted(request, options);
  await mkdir(request.folder, { recursive: true });
  reporter.enter('reading text');
  const text = await readDomainText(request.corpus, {
    tokenizer: model.tokenizer,
    windowLength: Math.min(fitWindow, model.config.contextLength),
    signal: options.signal,
    report: fraction => reporter.at(fraction),
  });
  const tokens = request.tokens || defaultFitTokens(text.plan.tokens);
  const perStep = windowsPerStep * text.windowLength;
  const fit = new RouterFitting(model, request, options, reporter, {
    text: text.train,
    heldOut: text.heldOut,
    steps: Math.max(1, Math.round(tokens / perStep)),
  });
  const { state, ceBefore, ceAfter, heldOutTokens } = await fit.run();
  const { name, seed } = request;
  const about = {
    model: { name: model.info.name, hash: model.info.hash },
    fit: {
      name,
      seed,
      steps: state.step,
      tokens: state.step * perStep,
      heldOutTokens,
      ceBefore,
      ceAfter,
    },
  };
  const { keyValueHeads } = model.config;
  await writeFittedRouters(request.folder, state.routers, { ...about, keyValueHeads });
  const report: RouterFitReport = {
    format: 1,
    model: about.model.name,
    modelHash: about.model.hash,
    routers: 'routers.safetensors',
    fit: about.fit,
    corpus: text.plan,
    uniqueTokens: text.train.tokenIds.length,
    curve: state.curve,
    ...model.on.told,
    convention: convention(text.windowLength),
  };
  await writeFile(join(request.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

/** Tokens to fit on where none are asked for: one pass, within what is worth while and what can be waited for. */
export function defaultFitTokens(textTokens: number): number {
  return Math.min(200_000, Math.max(50_000, textTokens));
}

/** Loads the model that routers are to be fitted to; fails with `unsupported` for one that has its own. */
export async function loadFitted(
  { model }: Pick<RouterFitRequest, 'model'>,
  { signal, warn }: Pick<RouterFitOptions, 'signal' | 'warn'>,
): Promise<LoadedModel> {
  if (model.routers !== undefined) {
    throw new Failure('usage', 'Routers are fitted to a model alone, not to one with routers.');
  }
  const loaded = await loadModel(model, { signal, warn });
  const { config, info } = loaded;
  if (config.architecture === 'lime') {
    throw new Failure('unsupported', `${info.name} was trained with routers of its own.`, {
      action: 'Show its layer map, or choose an ordinary Llama.',
    });
  }
  // Gradients and contributions are known of a Llama's operations; how it rotates makes no difference.
  const { rotations = [], ...others } = config.departures ?? {};
  if (Object.keys(others).length > 0 || rotations.length > 1) {
    throw new Failure(
      'unsupported',
      `${info.name} is of the architecture ${config.architecture}, to which Loupe fits no routers.`,
      { action: 'Choose a model of Llama, Mistral without a window, Qwen 2 or 3.' },
    );
  }
  if (config.layers < 2) {
    throw new Failure('unsupported', `${info.name} has one layer: there is nothing to route.`);
  }
  return loaded;
}

export function identityRouters(config: Pick<ModelConfig, 'layers' | 'keyValueHeads'>): Routers {
  return new Map(
    routedLayers(config).map(layer => [layer, identityRouter(layer, config.keyValueHeads)]),
  );
}

interface FitText {
  readonly text: PlacedText;
  readonly heldOut: PlacedText;
  readonly steps: number;
}

class RouterFitting {
  private readonly model: LoadedModel;
  private readonly request: RouterFitRequest;
  private readonly options: RouterFitOptions;
  private readonly reporter: FitReporter;
  private readonly fit: FitText;
  private order = new Uint32Array(0);
  private orderedPass = -1;

  constructor(
    model: LoadedModel,
    request: RouterFitRequest,
    options: RouterFitOptions,
    reporter: FitReporter,
    fit: FitText,
  ) {
    this.model = model;
    this.request = request;
    this.options = options;
    this.reporter = reporter;
    this.fit = fit;
  }

  async run() {
    const { folder } = this.request;
    const { steps } = this.fit;
    const identity = identityRouters(this.model.config);
    const key = this.key();
    let state = (await readFitState(folder, key, identity)) ?? FitState.begin(identity);
    const { reporter } = this;
    reporter.enter('measuring before');
    const before =
      state.before ?? (await this.measure(identity, fraction => reporter.at(fraction)));
    state = state.measured(before);
    await writeFitState(folder, key, state);
    reporter.begin(state, {
      steps,
      tokensPerStep: windowsPerStep * this.fit.text.windowLength,
    });
    if (state.step < steps) state = await this.train(state, key);
    reporter.enter('measuring after');
    const after = await this.measure(state.routers, fraction => reporter.at(fraction));
    return {
      state,
      heldOutTokens: before.tokens,
      ceBefore: before.ce,
      ceAfter: after.ce,
    };
  }

  private async train(state: FitState, key: string): Promise<FitState> {
    const { options, request } = this;
    const loss = await RoutedLoss.open(this.model, { withGradients: true });
    let saved = performance.now();
    const every = 1000 * (options.checkpointSeconds ?? 30);
    try {
      while (state.step < this.fit.steps) {
        await this.step(loss, state);
        this.reporter.stepped(state);
        if (performance.now() - saved < every) continue;
        await writeFitState(request.folder, key, state);
        saved = performance.now();
      }
    } finally {
      try {
        // What was interrupted is taken up where it stands.
        await writeFitState(request.folder, key, state);
      } finally {
        await loss.dispose();
      }
    }
    return state;
  }

  /** Sums the gradients of a few windows and moves the routers once. */
  private async step(loss: RoutedLoss, state: FitState): Promise<void> {
    const sums = new Map(
      [...state.routers].map(([layer, r]) => [layer, new Float64Array(r.length)]),
    );
    let tokens = 0;
    let surprisal = 0;
    for (let i = 0; i < windowsPerStep; i++) {
      await this.mayGoOn();
      const window = await loss.run(this.window(state.step * windowsPerStep + i), state.routers);
      requireNumbers(window, `in step ${state.step + 1}`);
      tokens += window.tokens;
      surprisal += window.surprisal;
      for (const [layer, gradient] of window.gradients) {
        const sum = sums.get(layer);
        gradient.forEach((g, at) => sum && (sum[at] = (sum[at] ?? 0) + g));
      }
    }
    const step = state.step + 1;
    const schedule = {
      peak: peakRate,
      minimum: peakRate / 100,
      warmup: 0.05,
      steps: this.fit.steps,
    };
    const at = { step, learningRate: learningRate(schedule, step) };
    for (const [layer, router] of state.routers) {
      const moments = state.moments.get(layer);
      const gradient = sums.get(layer)?.map(g => g / tokens);
      if (moments && gradient) optimiser.step(router, gradient, moments, at);
    }
    state.advance(surprisal / tokens);
  }

  /** The window of that number in the order of the fit: each pass over the text has an order of its own. */
  private window(number: number): Uint32Array {
    const { text } = this.fit;
    const pass = Math.floor(number / text.windows);
    if (pass !== this.orderedPass) {
      const random = randomStream(this.request.seed, streams.windows, pass);
      this.order = random.shuffle(Uint32Array.from({ length: text.windows }, (_, i) => i));
      this.orderedPass = pass;
    }
    return windowOf(text, this.order[number % text.windows] ?? 0);
  }

  /** Mean cross-entropy of held-out text. */
  private async measure(
    routers: Routers,
    report: (fraction: number) => void,
  ): Promise<{ readonly ce: number; readonly tokens: number }> {
    const { heldOut } = this.fit;
    const loss = await RoutedLoss.open(this.model, { withGradients: false });
    try {
      const windows = evenlySpread(heldOutWindows, heldOut.windows);
      let tokens = 0;
      let surprisal = 0;
      for (const [i, number] of windows.entries()) {
        await this.mayGoOn();
        const window = await loss.run(windowOf(heldOut, number), routers);
        requireNumbers(window, 'on held-out text');
        tokens += window.tokens;
        surprisal += window.surprisal;
        report((i + 1) / windows.length);
      }
      return { ce: surprisal / tokens, tokens };
    } finally {
      await loss.dispose();
    }
  }

  private async mayGoOn(): Promise<void> {
    const { gate, signal } = this.options;
    await pause(signal);
    if (!gate.isClosed) return;
    const stop = this.reporter.paused();
    await gate.pass(signal);
    stop();
    await pause(signal);
  }

  /** Tells this fit from others: what of it would make another result. */
  private key(): string {
    const { seed, model } = this.request;
    const { text, steps } = this.fit;
    const tokens = createHash('sha256').update(text.tokenIds).digest('hex');
    const { hash } = this.model.info;
    return JSON.stringify({
      hash,
      tokens,
      window: text.windowLength,
      steps,
      seed,
      threads: model.threads,
    });
  }
}

/** What is no number may neither move the routers nor take a good checkpoint's place. */
function requireNumbers({ surprisal, gradients }: WindowLoss, where: string): void {
  const all = [[surprisal], ...gradients.values()];
  if (all.every(values => values.every(Number.isFinite))) return;
  throw new Failure('internal', `The loss or its gradient is not a number ${where}.`, {
    action:
      'Fit on the CPU (--device cpu, or the setting loupe.device): it goes on from the last good step.',
  });
}

function windowOf({ tokenIds, windowLength }: PlacedText, number: number): Uint32Array {
  return tokenIds.subarray(number * windowLength, (number + 1) * windowLength);
}

function convention(windowLength: number): string {
  return (
    `Routers of every layer but the first, beginning at the identity, everything else frozen; AdamW, learning rate ${peakRate} ` +
    `with 5 % warm-up and a cosine, no weight decay, ${windowsPerStep} windows of ${windowLength} tokens a step. ` +
    `Cross-entropy: mean nats per token of at most ${heldOutWindows} windows of held-out text, all but the first token of each.`
  );
}
