import type { TokenSpans } from '../model.ts';

/** Tokens and their ranges while their number is not known. */
export class TokenList {
  private values = new Uint32Array(3 * 1024); // (T, 3): id, start, end
  private count = 0;

  add(id: number, start: number, end: number): void {
    if (3 * this.count === this.values.length) {
      const larger = new Uint32Array(2 * this.values.length);
      larger.set(this.values);
      this.values = larger;
    }
    const at = 3 * this.count++;
    this.values[at] = id;
    this.values[at + 1] = start;
    this.values[at + 2] = end;
  }

  finish(): TokenSpans {
    const column = (first: number) =>
      Uint32Array.from({ length: this.count }, (_, i) => this.values[3 * i + first] ?? 0);
    return { ids: column(0), starts: column(1), ends: column(2) };
  }
}
