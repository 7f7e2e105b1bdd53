/** Text that was run through the model window by window, one source after the other. */
export interface Corpus {
  readonly tokenIds: Uint32Array; // (N)
  /** T: a window of so many tokens was run at a time. */
  readonly windowLength: number;
  /** Tokens that the policy leaves in. */
  readonly counted: number;
  /** Token between documents, which no example crosses. */
  readonly separator: number;
  /** Token with which every window begins where the model expects it: of no document, and in no example. */
  readonly bos?: number | undefined;
  readonly sources: readonly CorpusSource[];
}

/** A stretch of the corpus, in whole windows. */
export interface CorpusSource {
  readonly name: string;
  readonly firstPosition: number;
  /** Whether its licence lets us show pieces of it. */
  readonly quotable: boolean;
}

/** The number of the source that a position is in. */
export function sourceAt({ sources }: Corpus, position: number): number {
  return sources.findLastIndex(source => source.firstPosition <= position);
}
