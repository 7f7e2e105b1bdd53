import { valueAt, type Matrix } from './matrix.ts';

/** A matrix and its initial one as lines of CSV, with what all of them share in front. */
export function csvLines(
  matrix: Matrix,
  initial: Matrix,
  front: readonly (string | number)[] = [],
): string[] {
  return matrix.reach.flatMap((count, row) =>
    Array.from({ length: count }, (_, column) =>
      [
        ...front,
        matrix.rows[row] ?? row,
        column,
        number(valueAt(matrix, row, column)),
        number(valueAt(initial, row, column)),
      ].join(','),
    ),
  );
}

export function csvText(header: readonly string[], lines: readonly string[]): string {
  return `${[header.join(','), ...lines].join('\n')}\n`;
}

/** The shortest decimal that gives the same float32 again; nothing where it is unknown. */
function number(value: number): string {
  if (!Number.isFinite(value)) return '';
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return `${Number(text)}`;
  }
  return `${value}`;
}
