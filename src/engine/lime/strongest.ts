/** The items of highest score among all that are offered; of equal scores the earlier. */
export class Strongest<T extends { readonly share: number }> {
  private readonly count: number;
  private items: T[] = [];
  private least = -Infinity;

  constructor(count: number) {
    this.count = count;
  }

  /** `make` is called only where the item may be among them. */
  offer(share: number, make: () => T): void {
    if (share <= this.least) return;
    this.items.push(make());
    if (this.items.length >= 2 * this.count) this.prune();
  }

  /** By descending score. */
  list(): readonly T[] {
    this.prune();
    return this.items;
  }

  private prune(): void {
    this.items = this.items.sort((a, b) => b.share - a.share).slice(0, this.count);
    if (this.items.length === this.count) this.least = this.items.at(-1)?.share ?? -Infinity;
  }
}
