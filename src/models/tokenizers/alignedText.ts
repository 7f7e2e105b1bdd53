/** A text that came from another, and for each of its UTF-16 units the range of the original that it stands for. */
export class AlignedText {
  readonly text: string;
  private readonly places: Places | undefined;
  /** Where the text begins in `places`, or in the original itself where nothing was changed. */
  private readonly at: number;

  private constructor(text: string, places: Places | undefined, at: number) {
    this.text = text;
    this.places = places;
    this.at = at;
  }

  /** The original, from unit `at` of it. */
  static original(text: string, at = 0): AlignedText {
    return new AlignedText(text, undefined, at);
  }

  static of(text: string, places: Places): AlignedText {
    return new AlignedText(text, places, 0);
  }

  get length(): number {
    return this.text.length;
  }

  /** Where the character that holds this unit begins in the original. */
  startOf(unit: number): number {
    return this.places ? (this.places.starts[this.at + unit] ?? 0) : this.at + unit;
  }

  /** Where the character whose last unit this is ends in the original. */
  endOf(unit: number): number {
    return this.places ? (this.places.ends[this.at + unit] ?? 0) : this.at + unit + 1;
  }

  slice(from: number, to: number): AlignedText {
    return new AlignedText(this.text.slice(from, to), this.places, this.at + from);
  }

  /** Other characters in the same places; `text` must be as long. */
  withText(text: string): AlignedText {
    return new AlignedText(text, this.places, this.at);
  }
}

/** The range in the original of each unit; the units of one character share theirs. */
export interface Places {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Writes a text that is made from another. */
export class AlignedTextWriter {
  private readonly source: AlignedText;
  private readonly parts: string[] = [];
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];

  constructor(source: AlignedText) {
    this.source = source;
  }

  /** Takes over the source's units `from` to `to` as they are. */
  keep(from: number, to: number): void {
    this.parts.push(this.source.text.slice(from, to));
    for (let unit = from; unit < to; unit++) {
      this.starts.push(this.source.startOf(unit));
      this.ends.push(this.source.endOf(unit));
    }
  }

  /** `text` stands for the source's units `from` to `to`, of which there is at least one. */
  put(text: string, from: number, to: number): void {
    this.parts.push(text);
    const start = this.source.startOf(from);
    const end = this.source.endOf(to - 1);
    for (let left = text.length; left > 0; left--) {
      this.starts.push(start);
      this.ends.push(end);
    }
  }

  finish(): AlignedText {
    return AlignedText.of(this.parts.join(''), { starts: this.starts, ends: this.ends });
  }
}
