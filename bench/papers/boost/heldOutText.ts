import { evaluate, type EvaluatedModel } from '../../../src/engine/analysis/evaluate.ts';
import { SaeRunner } from '../../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import type { Encoding } from '../../../src/saes/reconstruct.ts';
import {
  ReconstructionStatistics,
  type Summand,
} from '../../../src/saes/reconstructionStatistics.ts';
import { excludedTokens } from '../../../src/saes/tokenPolicy.ts';
import type { Ledger } from './ledger.ts';
import type { Body } from './material.ts';
import type { TextMeasures } from './results.ts';

/** A base with residual SAEs, or an SAE in its place without any. */
export interface Contender {
  /** Unlike that of any other. */
  readonly name: string;
  readonly sae: Dictionary;
  readonly residuals: readonly Dictionary[];
  /** Whether the model is run with it; EV alone takes no model. */
  readonly withCe: boolean;
}

export interface HeldOutOptions {
  readonly model: EvaluatedModel;
  readonly ledger: Ledger;
  readonly threads: number;
  /** Windows that the model runs on, spread over the text; EV is of all. */
  readonly ceWindows: number;
  readonly signal: AbortSignal;
}

interface Reading {
  readonly encoding: Encoding;
  readonly reconstruction: Float32Array; // (T, D)
}

/** Residual SAEs fire by thresholds: so many of their features are looked at per token. */
const maxActive = 256;

/** Held-out text on which contenders are measured, each once. */
export class HeldOutText {
  readonly name: string;
  private readonly body: Body;
  private readonly options: HeldOutOptions;
  /** Of the SAE that most contenders share. */
  private readonly shared: { readonly sae: Dictionary; readonly readings: Reading[] };

  constructor(body: Body, shared: Dictionary, options: HeldOutOptions) {
    this.name = body.name;
    this.body = body;
    this.options = options;
    this.shared = { sae: shared, readings: [] };
  }

  /** All contenders have the same SAE. */
  async measure(contenders: readonly Contender[]): Promise<TextMeasures[]> {
    const { ledger } = this.options;
    const named = (kind: string, windows: number, of: readonly Contender[]): string[] =>
      of.map(({ name }) => [name, this.name, kind, windows, this.body.heldOut.windows].join('|'));
    const figures = await ledger.values<TextMeasures>(
      named('ev', this.body.heldOut.windows, contenders),
      missing => this.figures(chosen(contenders, missing)),
    );
    const withCe = contenders.filter(contender => contender.withCe && this.options.ceWindows > 0);
    const ces = await ledger.values<NonNullable<TextMeasures['ce']>>(
      named('ce', this.options.ceWindows, withCe),
      missing => this.crossEntropies(chosen(withCe, missing)),
    );
    const ceOf = new Map(withCe.map((contender, i) => [contender, ces[i]]));
    return contenders.flatMap((contender, i) => {
      const ce = ceOf.get(contender);
      return figures.slice(i, i + 1).map(measures => ({ ...measures, ...(ce && { ce }) }));
    });
  }

  private async figures(contenders: readonly Contender[]): Promise<TextMeasures[]> {
    const { heldOut } = this.body;
    const statistics = new ReconstructionStatistics(heldOut.width);
    await this.withRunners(contenders, async (sae, residuals, subsets) => {
      for (let w = 0; w < heldOut.windows; w++) {
        for (const { activations: x } of await heldOut.read(w, 1, this.options.signal)) {
          const excluded = excludedTokens(x, heldOut.width, true, sae.dictionary.tokenPolicy);
          statistics.addTokens(x, excluded);
          const { encoding, reconstruction } = await this.reading(sae, x, w);
          const corrections: (Summand & { readonly output: Float32Array })[] = [];
          for (const runner of residuals) {
            const own = await runner.encode(x);
            const output = runner.reconstruct(own, runner.maxK);
            const { width } = runner.dictionary;
            corrections.push({ encoding: own, k: runner.maxK, width, output });
          }
          const { width } = sae.dictionary;
          subsets.forEach((subset, index) => {
            const added = subset.flatMap(i => corrections[i] ?? []);
            const sum = reconstruction.slice();
            for (const { output } of added)
              output.forEach((value, i) => (sum[i] = (sum[i] ?? NaN) + value));
            const summands = [{ encoding, k: sae.maxK, width }, ...added];
            statistics.addReconstruction(index, x, sum, summands, excluded);
          });
        }
      }
    });
    return contenders.map((_, index) => {
      const { ev, l0, residualL0 } = statistics.figures(index);
      return { ev, l0, residualL0 };
    });
  }

  private async crossEntropies(
    contenders: readonly Contender[],
  ): Promise<NonNullable<TextMeasures['ce']>[]> {
    const { model, signal } = this.options;
    const { windowLength } = this.body.heldOut;
    const tokenIds = await this.spreadTokens();
    return this.withRunners(contenders, async (sae, residuals, subsets) => {
      const ks = [sae.maxK];
      const request = { tokenIds, windowLength, ks, residuals, subsets, signal };
      const { results } = await evaluate(model, sae, request);
      return results.map(({ ce: { clean, zero, sae: loss } }) => ({ clean, zero, sae: loss }));
    });
  }

  private async reading(sae: SaeRunner, x: Float32Array, window: number): Promise<Reading> {
    const { readings } = this.shared;
    const isShared = sae.dictionary === this.shared.sae;
    const known = isShared ? readings[window] : undefined;
    if (known) return known;
    const encoding = await sae.encode(x);
    const reading = { encoding, reconstruction: sae.reconstruct(encoding, sae.maxK) };
    if (isShared) readings[window] = reading;
    return reading;
  }

  /** Tokens of windows evenly spread over the text. */
  private async spreadTokens(): Promise<Uint32Array> {
    const { heldOut, heldOutStore } = this.body;
    const { windowLength, windows } = heldOut;
    const count = Math.min(this.options.ceWindows, windows);
    const tokenIds = new Uint32Array(count * windowLength);
    for (let i = 0; i < count; i++) {
      const first = Math.floor((i * windows) / count);
      tokenIds.set(await heldOutStore.readTokens(first, 1), i * windowLength);
    }
    return tokenIds;
  }

  private async withRunners<T>(
    contenders: readonly Contender[],
    work: (
      sae: SaeRunner,
      residuals: readonly SaeRunner[],
      subsets: readonly (readonly number[])[],
    ) => Promise<T>,
  ): Promise<T> {
    const { threads } = this.options;
    const opened: SaeRunner[] = [];
    const open = async (dictionary: Dictionary): Promise<SaeRunner> => {
      const runner = await SaeRunner.open(dictionary, { threads, maxActive });
      opened.push(runner);
      return runner;
    };
    try {
      const [first] = contenders;
      if (!first) throw new Error('nothing to measure');
      const sae = await open(first.sae);
      const all = [...new Set(contenders.flatMap(({ residuals }) => residuals))];
      const residuals: SaeRunner[] = [];
      for (const residual of all) residuals.push(await open(residual));
      const subsets = contenders.map(contender => contender.residuals.map(r => all.indexOf(r)));
      return await work(sae, residuals, subsets);
    } finally {
      for (const runner of opened) await runner.dispose();
    }
  }
}

function chosen<T>(all: readonly T[], indices: readonly number[]): T[] {
  return indices.flatMap(i => all.slice(i, i + 1));
}
