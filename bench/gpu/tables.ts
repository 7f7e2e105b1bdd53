import { runtimeVersion } from '../../src/engine/sessions/session.ts';
import type { Rates } from './harvesting.ts';
import type { Measured, StepRow } from './steps.ts';

interface Results extends Measured {
  readonly rows: readonly StepRow[];
  readonly harvesting: Rates | undefined;
}

/** The results as Markdown: ratios within the run first, the times that they are of beside them. */
export function markdown({ device, rounds, steps, rows, harvesting }: Results): string {
  const [first] = rows;
  const lines = [
    '# On a GPU',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${runtimeVersion} on ${device}; peer: ${first?.peer ?? 'none'}.`,
    `Medians of ${rounds} rounds of ${steps} steps, contestants by turns. Floor: PyTorch's encoder product and ${copies} copies of the encoder, which AdamW alone moves.`,
    '',
    '| shape | objective | PyTorch compiled / Loupe | the same, tf32 | Loupe / its encoder product | Loupe / floor | Loupe, tokens/s |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.flatMap(row => ['hierarchical', 'topk'].map(objective => line(row, objective))),
  ];
  if (harvesting) {
    lines.push('', '| embedded model | tokens/s |', '| --- | --- |');
    for (const [name, rate] of Object.entries(harvesting))
      lines.push(`| ${name} | ${rate.toFixed(0)} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** AdamW reads the gradient, and reads and writes weights and moments, of two matrices; a copy reads and writes one. */
const copies = 7;

function line({ shape, milliseconds }: StepRow, objective: string): string {
  const of = (name: string): number => milliseconds[name] ?? NaN;
  const own = of(`Loupe ${objective}`);
  const ratio = (over: number, under: number): string =>
    Number.isFinite(over / under) ? (over / under).toFixed(2) : '–';
  const { batch, features, width, k } = shape;
  const cells = [
    `B ${batch}, F ${features}, D ${width}, K ${k}`,
    objective,
    ratio(of(`PyTorch ${objective} compiled`), own),
    ratio(of(`PyTorch ${objective} compiled tf32`), own),
    ratio(own, of('Loupe product')),
    ratio(own, of('PyTorch product') + copies * of('PyTorch copy')),
    ((1000 * batch) / own).toFixed(0),
  ];
  return `| ${cells.join(' | ')} |`;
}
