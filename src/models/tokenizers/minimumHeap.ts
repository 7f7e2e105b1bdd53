/** A binary heap of numbers that gives back the least first. */
export class MinimumHeap {
  private readonly values: number[] = [];

  push(value: number): void {
    const { values } = this;
    let at = values.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = values[parent] ?? 0;
      if (above <= value) break;
      values[at] = above;
      at = parent;
    }
    values[at] = value;
  }

  pop(): number | undefined {
    const { values } = this;
    const least = values[0];
    const last = values.pop();
    if (last === undefined || values.length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= values.length) break;
      const right = values[child + 1];
      if (right !== undefined && right < (values[child] ?? 0)) child++;
      const below = values[child] ?? 0;
      if (below >= last) break;
      values[at] = below;
      at = child;
    }
    values[at] = last;
    return least;
  }
}
