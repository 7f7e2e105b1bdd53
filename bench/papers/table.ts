/** Mean and sample standard deviation of what several seeds gave; a deviation of NaN where there is one only. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number;
  readonly count: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (count - 1)), count };
}

export interface NumberFormat {
  readonly digits?: number;
  /** Whether a plus is written before what is above 0: differences. */
  readonly signed?: boolean;
}

/** `0.712 ± 0.003`; without the second part where one seed gave it, a dash where none did. */
export function spreadText(
  values: readonly number[],
  { digits = 3, signed = false }: NumberFormat = {},
): string {
  if (values.length === 0) return '-';
  const { mean, deviation, count } = spreadOf(values);
  // Not -0.000.
  const text = mean.toFixed(digits).replace(/^-(0\.?0*)$/, '$1');
  const sign = signed && mean > 0 && Number(text) !== 0 ? '+' : '';
  return `${sign}${text}${count > 1 ? ` ± ${deviation.toFixed(digits)}` : ''}`;
}

/** A Markdown table: the first column to the left, the others to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map(row => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? '').padEnd(width) : (cells[i] ?? '').padStart(width))).join(' | ')} |`;
  const rule = widths.map((width, i) =>
    i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
