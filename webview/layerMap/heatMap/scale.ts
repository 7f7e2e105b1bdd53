import { formatDecimal } from '../../../src/common/numbers.ts';
import type { Matrix } from './matrix.ts';

/** How values become colours. */
export interface Shading {
  /** By the square root, so that small values show beside large ones. */
  readonly root: boolean;
}

/** From values to colours: from 0 to `max`, or from -max to max where values have signs. */
export interface Scale extends Shading {
  readonly max: number;
  readonly signed: boolean;
}

/** One scale for all of these, ending at a round number; of cells that exist. */
export function scaleOf(matrices: readonly Matrix[], { root }: Shading, signed = false): Scale {
  let max = 0;
  for (const { values, columns, reach } of matrices) {
    reach.forEach((cells, row) => {
      for (let column = 0; column < cells; column++) {
        max = Math.max(max, Math.abs(values[row * columns + column] ?? 0) || 0);
      }
    });
  }
  return { max: roundUp(max), signed, root };
}

/** Where a value lies on the scale: -1 to 1. */
export function place(value: number, { max, root }: Scale): number {
  const part = max > 0 ? Math.max(-1, Math.min(1, value / max)) : 0;
  return root ? Math.sign(part) * Math.sqrt(Math.abs(part)) : part;
}

/** The numbers beside the colours, largest first. */
export function ticksOf({ max, signed, root }: Scale): number[] {
  if (max === 0) return [0];
  const parts = signed
    ? root
      ? [1, 0.25, 0, -0.25, -1]
      : [1, 0.5, 0, -0.5, -1]
    : root
      ? [1, 0.5, 0.25, 0.05, 0]
      : [1, 0.75, 0.5, 0.25, 0];
  return parts.map(part => part * max);
}

/** Where a value stands beside the colours: 0 at their least, 1 at their largest. */
export function along(value: number, scale: Scale): number {
  const at = place(value, scale);
  return scale.signed ? (at + 1) / 2 : at;
}

/** A number beside the colours, with its sign where signs differ. */
export function formatTick(value: number, { signed }: Scale): string {
  const text = formatShare(value);
  const short = text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
  return signed && value > 0 ? `+${short}` : short;
}

const steps = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10];

/** The next number that reads easily, also divided by four. */
function roundUp(value: number): number {
  if (!(value > 0)) return 0;
  const unit = 10 ** Math.floor(Math.log10(value));
  // Shares that sum to 1 are not quite that in float32.
  const step = steps.find(candidate => candidate * unit >= value * (1 - 1e-5)) ?? 10;
  return Number((step * unit).toPrecision(6));
}

/** Three decimals; more where the number would vanish. */
export function formatShare(value: number): string {
  const isTiny = value !== 0 && Math.abs(value) < 0.001;
  return formatDecimal(value, isTiny ? 5 : 3);
}

/** The same with its sign. */
export function formatDifference(value: number): string {
  const text = formatShare(value);
  return value > 0 ? `+${text}` : text;
}

/** A number for the inside of a cell: ".31", "1", "−.05". */
export function formatCell(value: number): string {
  if (!Number.isFinite(value)) return '';
  const text = formatDecimal(value, 2);
  return Number(text.replace('−', '-')) === 0 ? '0' : text.replace('0.', '.').replace(/\.00$/, '');
}
