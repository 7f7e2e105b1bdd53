interface Label {
  readonly text: string;
  readonly colour: string;
  /** The point that it names. */
  readonly x: number;
  readonly y: number;
}

const lineHeight = 15;

/** Labels in a column beside the curves, each as near to its point as the others leave room for. */
export class Labels {
  private readonly labels: Label[] = [];
  private readonly column: { readonly x: number; readonly top: number; readonly bottom: number };

  constructor(column: Labels['column']) {
    this.column = column;
  }

  /** `text` is already escaped. */
  add(text: string, colour: string, x: number, y: number): void {
    this.labels.push({ text, colour, x, y });
  }

  draw(): string {
    const { x } = this.column;
    return this.placed()
      .map(({ label, y }) =>
        [
          `<polyline points="${[label.x + 4, label.y, x - 2, y].map(Math.round).join(' ')}" fill="none" stroke="${label.colour}" stroke-width="0.7" opacity="0.7"/>`,
          `<text x="${x}" y="${Math.round(y) + 4}" fill="${label.colour}">${label.text}</text>`,
        ].join('\n'),
      )
      .join('\n');
  }

  /** Pushes labels that overlap apart: downwards first, then back up from the bottom. */
  private placed(): { readonly label: Label; readonly y: number }[] {
    const { top, bottom } = this.column;
    const sorted = [...this.labels].sort((a, b) => a.y - b.y || a.x - b.x);
    const heights: number[] = [];
    for (const { y } of sorted)
      heights.push(Math.max(y, (heights.at(-1) ?? top - lineHeight) + lineHeight));
    let limit = bottom;
    for (let i = heights.length - 1; i >= 0; i--) {
      heights[i] = Math.min(heights[i] ?? 0, limit);
      limit = (heights[i] ?? 0) - lineHeight;
    }
    return sorted.map((label, i) => ({ label, y: heights[i] ?? label.y }));
  }
}
