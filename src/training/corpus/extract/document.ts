/** One text of a corpus. */
export interface CorpusDocument {
  readonly text: string;
  /** Where it came from, for people: a path, and the line in a JSONL file. */
  readonly source: string;
  readonly path: string;
  /** Whether it stands in the file as it is, so that an offset in it can be opened in the editor. */
  readonly verbatim: boolean;
  /** Of the text in the file, UTF-16 units; 0 where it is not verbatim. */
  readonly start: number;
}
