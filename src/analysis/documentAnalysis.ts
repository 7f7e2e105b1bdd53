import type { AnalysisPart, AnalysisSummary } from '../contracts/engine.ts';
import { AnalyzedTokens, endOf, startOf, type TokenPlace } from './analyzedTokens.ts';
import {
  errorOf,
  errorTints,
  rangeOfChanges,
  relativeChange,
  type ChangeRange,
  type ErrorTint,
  type TokenError,
} from './comparison.ts';
import { countTokens, type DocumentCounts } from './documentMetrics.ts';
import { evByK, sumErrors, type ErrorSums } from './errorSums.ts';
import { countFeatures, type FeatureStatistics } from './featureStatistics.ts';
import { visitKept, type Kept } from './kept.ts';

/** One token of a document with everything that a hover says of it. */
export interface TokenReading {
  /** UTF-16 range in the document. */
  readonly start: number;
  readonly end: number;
  /** Nats; NaN for the first token. */
  readonly surprisal: number;
  /** Left out of every statistic by the SAE's token policy. */
  readonly excluded: boolean;
  /** The base's k strongest that are active, and all active ones of the domains that are on, strongest first. */
  readonly features: readonly FeatureActivation[];
  readonly error: TokenError;
  readonly predictions: readonly Prediction[];
}

export interface FeatureActivation {
  readonly feature: number;
  readonly activation: number;
}

/** The document's numbers at every k. */
export interface DocumentMetrics extends DocumentCounts {
  /** Explained variance of the base alone, index k - 1; NaN below two included tokens. */
  readonly evByK: Float64Array; // (K)
  /** The same with the domains that are on. */
  readonly boostedEvByK: Float64Array; // (K)
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

/** What the model and the SAEs say of one document. It answers from memory, at any k and with any domains on. */
export class DocumentAnalysis {
  private readonly tokens = new AnalyzedTokens();
  private readonly features: number;
  private readonly maxK: number;
  /** Errors as they were before an edit: an analysis cut by an edit has no EV of its own until the next one ends. */
  private errorsBeforeEdit: ErrorSums | undefined;
  private errors: ErrorSums | undefined;
  private counts: DocumentCounts | undefined;
  private counted: { readonly kept: Kept; readonly statistics: FeatureStatistics } | undefined;

  /** For a base and domains of `features` features together; at most `maxK` of the base's are kept per token. */
  constructor(features: number, maxK: number) {
    this.features = features;
    this.maxK = maxK;
  }

  get tokenCount(): number {
    return this.tokens.count;
  }

  begin(): void {
    this.tokens.begin();
  }

  /** Takes a part in; `shift` is where in the document the analysed text starts. */
  apply(part: AnalysisPart, shift: number): void {
    this.tokens.apply(part, shift);
    this.changed();
  }

  finish(summary: Pick<AnalysisSummary, 'tokens'>): void {
    this.errorsBeforeEdit = undefined;
    this.tokens.finish(summary.tokens);
    this.changed();
  }

  /** Follows edits until the next analysis arrives; they are given one after the other. */
  edit(edits: readonly TextEdit[]): void {
    this.errorsBeforeEdit ??= this.errorSums();
    for (const { offset, removed, inserted } of edits) this.tokens.edit(offset, removed, inserted);
    this.changed();
  }

  /** The tokens that share a character with the range: several for a word of many tokens or a character of many bytes. */
  tokensIn(start: number, end: number, kept: Kept): TokenReading[] {
    return this.tokens.inRange(start, end).map(place => read(place, kept));
  }

  /** The numbers with these domains on. */
  metrics(on: readonly number[]): DocumentMetrics {
    this.counts ??= countTokens(this.tokens.runs, this.maxK);
    const errors = this.errorSums();
    return { ...this.counts, evByK: evByK(errors, []), boostedEvByK: evByK(errors, on) };
  }

  statistics(kept: Kept): FeatureStatistics {
    if (!this.counted || !isSame(this.counted.kept, kept)) {
      this.counted = { kept, statistics: countFeatures(this.tokens.runs, kept, this.features) };
    }
    return this.counted.statistics;
  }

  /** Where the feature is among those that count, in the order of the text. */
  firings(feature: number, kept: Kept): Firing[] {
    return this.strengths((part, row) => {
      let found = 0;
      visitKept(part, row, kept, (other, activation) => {
        if (other === feature) found = activation;
      });
      return found;
    });
  }

  /**
   * Strength of every token's strongest feature, or of the pinned feature, relative to the largest in the document.
   * Tokens of one character are one stretch with the strength of the strongest.
   */
  tints(kept: Kept, pinned: number | undefined): Tint[] {
    const places = pinned === undefined ? this.strongest(kept) : this.firings(pinned, kept);
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

  /** What the domains that are on change of every token's error. */
  errorTints(kept: Kept): ErrorTint[] {
    return errorTints(this.changes(kept));
  }

  errorChange(kept: Kept): ChangeRange {
    return rangeOfChanges(this.changes(kept));
  }

  private changes(kept: Kept): { start: number; end: number; change: number }[] {
    const changes: { start: number; end: number; change: number }[] = [];
    this.eachIncluded(({ run, row }) => {
      const change = relativeChange(errorOf(run.part, row, kept));
      changes.push({ start: startOf(run, row), end: endOf(run, row), change });
    });
    return changes;
  }

  private strongest(kept: Kept): Firing[] {
    return this.strengths((part, row) => {
      let strongest = 0;
      visitKept(part, row, { ...kept, k: 1 }, (_, activation) => {
        strongest = Math.max(strongest, activation);
      });
      return strongest;
    });
  }

  private strengths(strengthOf: (part: AnalysisPart, row: number) => number): Firing[] {
    const firings: Firing[] = [];
    this.eachIncluded(({ run, row }) => {
      const activation = strengthOf(run.part, row);
      if (activation > 0)
        firings.push({ start: startOf(run, row), end: endOf(run, row), activation });
    });
    return firings;
  }

  private errorSums(): ErrorSums {
    if (this.errorsBeforeEdit) return this.errorsBeforeEdit;
    return (this.errors ??= sumErrors(this.tokens.runs, this.maxK));
  }

  private eachIncluded(visit: (place: TokenPlace) => void): void {
    for (const run of this.tokens.runs) {
      for (let row = run.from; row < run.to; row++) {
        if (run.part.excluded[row] !== 1) visit({ run, row });
      }
    }
  }

  private changed(): void {
    this.counts = undefined;
    this.errors = undefined;
    this.counted = undefined;
  }
}

function isSame(a: Kept, b: Kept): boolean {
  return a.k === b.k && a.on.join() === b.on.join();
}

function read({ run, row }: TokenPlace, kept: Kept): TokenReading {
  const { part } = run;
  const features: FeatureActivation[] = [];
  visitKept(part, row, kept, (feature, activation) => features.push({ feature, activation }));
  features.sort((a, b) => b.activation - a.activation);
  const perToken = part.starts.length === 0 ? 0 : part.predictions.length / part.starts.length; // P
  const texts = part.predictions.slice(row * perToken, (row + 1) * perToken);
  return {
    start: startOf(run, row),
    end: endOf(run, row),
    surprisal: part.surprisal[row] ?? NaN,
    excluded: part.excluded[row] === 1,
    features,
    error: errorOf(part, row, kept),
    predictions: texts.map((text, i) => ({
      text,
      probability: part.probabilities[row * perToken + i] ?? NaN,
    })),
  };
}
