import type { AnalysisPart, AnalysisSummary } from '../contracts/engine.ts';
import { AnalyzedTokens, endOf, startOf, type TokenPlace } from './analyzedTokens.ts';
import { measure, type DocumentMetrics } from './documentMetrics.ts';
import { countFeatures, type FeatureStatistics } from './featureStatistics.ts';

/** One token of a document with everything that a hover says of it. */
export interface TokenReading {
  /** UTF-16 range in the document. */
  readonly start: number;
  readonly end: number;
  /** Nats; NaN for the first token. */
  readonly surprisal: number;
  /** Left out of every statistic by the SAE's token policy. */
  readonly excluded: boolean;
  /** The active features among the k strongest, strongest first. */
  readonly features: readonly FeatureActivation[];
  readonly predictions: readonly Prediction[];
}

export interface FeatureActivation {
  readonly feature: number;
  readonly activation: number;
}

export interface Prediction {
  readonly text: string;
  readonly probability: number;
}

/** A place in the document where a feature fires. */
export interface Firing {
  readonly start: number;
  readonly end: number;
  readonly activation: number;
}

/** How strongly a stretch of text is to be tinted, above 0 and up to 1. */
export interface Tint {
  readonly start: number;
  readonly end: number;
  readonly strength: number;
}

/** A change of the document's text: `removed` UTF-16 units at `offset` gave way to `inserted` others. */
export interface TextEdit {
  readonly offset: number;
  readonly removed: number;
  readonly inserted: number;
}

/** What the model and the SAE say of one document. It answers every question from memory, at any k, without the engine. */
export class DocumentAnalysis {
  private readonly tokens = new AnalyzedTokens();
  private readonly features: number;
  private readonly maxK: number;
  private running = false;
  /** EV as it was before an edit: an analysis cut by an edit has none of its own until the next one ends. */
  private evBeforeEdit: Float64Array | undefined;
  private measured: DocumentMetrics | undefined;
  private counted: { readonly k: number; readonly statistics: FeatureStatistics } | undefined;

  /** For an SAE of `features` features of which at most `maxK` are kept per token. */
  constructor(features: number, maxK: number) {
    this.features = features;
    this.maxK = maxK;
  }

  get tokenCount(): number {
    return this.tokens.count;
  }

  /** True between the start of an analysis and its end: parts are still to come. */
  get isPartial(): boolean {
    return this.running;
  }

  begin(): void {
    this.running = true;
    this.tokens.begin();
  }

  /** Takes a part in; `shift` is where in the document the analysed text starts. */
  apply(part: AnalysisPart, shift: number): void {
    this.tokens.apply(part, shift);
    this.changed();
  }

  finish(summary: Pick<AnalysisSummary, 'tokens'>): void {
    this.running = false;
    this.evBeforeEdit = undefined;
    this.tokens.finish(summary.tokens);
    this.changed();
  }

  /** Follows edits until the next analysis arrives; they are given one after the other. */
  edit(edits: readonly TextEdit[]): void {
    this.evBeforeEdit ??= this.metrics().evByK;
    for (const { offset, removed, inserted } of edits) this.tokens.edit(offset, removed, inserted);
    this.changed();
  }

  /** The tokens that share a character with the range: several for a word of many tokens or a character of many bytes. */
  tokensIn(start: number, end: number, k: number): TokenReading[] {
    return this.tokens.inRange(start, end).map(place => read(place, k));
  }

  metrics(): DocumentMetrics {
    this.measured ??= measure(this.tokens.runs, this.maxK);
    return this.evBeforeEdit ? { ...this.measured, evByK: this.evBeforeEdit } : this.measured;
  }

  statistics(k: number): FeatureStatistics {
    if (this.counted?.k !== k) {
      this.counted = { k, statistics: countFeatures(this.tokens.runs, k, this.features) };
    }
    return this.counted.statistics;
  }

  /** Where the feature is among the k strongest, in the order of the text. */
  firings(feature: number, k: number): Firing[] {
    const firings: Firing[] = [];
    this.eachIncluded(({ run, row }) => {
      const activation = activationOf(run.part, row, feature, k);
      if (activation > 0)
        firings.push({ start: startOf(run, row), end: endOf(run, row), activation });
    });
    return firings;
  }

  /**
   * Strength of every token's strongest feature, or of the pinned feature, relative to the largest in the document.
   * Tokens of one character are one stretch with the strength of the strongest.
   */
  tints(k: number, pinned: number | undefined): Tint[] {
    const places = pinned === undefined ? this.strongest() : this.firings(pinned, k);
    const largest = places.reduce((max, place) => Math.max(max, place.activation), 0);
    const tints: Tint[] = [];
    for (const { start, end, activation } of places) {
      const strength = activation / largest;
      const last = tints.at(-1);
      if (last?.start === start && last.end === end) {
        tints[tints.length - 1] = { start, end, strength: Math.max(strength, last.strength) };
      } else tints.push({ start, end, strength });
    }
    return tints;
  }

  private strongest(): Firing[] {
    const firings: Firing[] = [];
    this.eachIncluded(({ run, row }) => {
      const activation = run.part.activations[row * run.part.k] ?? 0;
      if (activation > 0)
        firings.push({ start: startOf(run, row), end: endOf(run, row), activation });
    });
    return firings;
  }

  private eachIncluded(visit: (place: TokenPlace) => void): void {
    for (const run of this.tokens.runs) {
      for (let row = run.from; row < run.to; row++) {
        if (run.part.excluded[row] !== 1) visit({ run, row });
      }
    }
  }

  private changed(): void {
    this.measured = undefined;
    this.counted = undefined;
  }
}

function activationOf(part: AnalysisPart, row: number, feature: number, k: number): number {
  const first = row * part.k;
  for (let i = first; i < first + Math.min(k, part.k); i++) {
    if (part.features[i] === feature) return part.activations[i] ?? 0;
  }
  return 0;
}

function read({ run, row }: TokenPlace, k: number): TokenReading {
  const { part } = run;
  const features: FeatureActivation[] = [];
  for (let i = row * part.k; i < row * part.k + Math.min(k, part.k); i++) {
    const activation = part.activations[i] ?? 0;
    if (activation <= 0) break;
    features.push({ feature: part.features[i] ?? 0, activation });
  }
  const perToken = part.starts.length === 0 ? 0 : part.predictions.length / part.starts.length; // P
  const texts = part.predictions.slice(row * perToken, (row + 1) * perToken);
  return {
    start: startOf(run, row),
    end: endOf(run, row),
    surprisal: part.surprisal[row] ?? NaN,
    excluded: part.excluded[row] === 1,
    features,
    predictions: texts.map((text, i) => ({
      text,
      probability: part.probabilities[row * perToken + i] ?? NaN,
    })),
  };
}
