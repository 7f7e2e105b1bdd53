// `npm run bench -- gpu [--device webgpu] [--shapes full] [--rounds 7] [--steps 20] [--torch cuda] [--write FILE.md]`:
// training, harvesting and analysing on a GPU, each against PyTorch and against the device's ceilings in the same run.
// `LOUPE_PYTHON` names a Python with torch; without it there are no peers. `--shapes tiny` shows that it runs at all.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Device } from '../../src/contracts/engine.ts';
import { harvestingRates } from './harvesting.ts';
import { stepTable, type StepRow } from './steps.ts';
import { markdown } from './tables.ts';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    shapes: { type: 'string', default: 'full' },
    rounds: { type: 'string', default: '7' },
    steps: { type: 'string', default: '20' },
    torch: { type: 'string', default: 'cuda' },
    threads: { type: 'string', default: '2' },
    write: { type: 'string' },
  },
});
const full = [8192, 65_536].flatMap(features =>
  [576, 2304].flatMap(width => [32, 64, 128].map(k => ({ batch: 1024, features, width, k }))),
);
const tiny = [{ batch: 32, features: 256, width: 64, k: 8 }];
const device = values.device as Device;
const measured = {
  device,
  rounds: Number(values.rounds),
  steps: Number(values.steps),
  threads: Number(values.threads),
  torch: values.torch === 'cpu' ? ('cpu' as const) : ('cuda' as const),
  python: process.env['LOUPE_PYTHON'],
};
const rows: StepRow[] = [];
for (const shape of values.shapes === 'tiny' ? tiny : full) {
  try {
    const row = await stepTable({ ...shape, threads: measured.threads }, measured);
    rows.push(row);
    console.log(JSON.stringify(row));
  } catch (error) {
    console.error(`${JSON.stringify(shape)}: ${String(error)}`);
    process.exitCode = 1;
  }
}
const harvesting =
  values.shapes === 'tiny' ? undefined : await harvestingRates(measured).catch(told);
const text = markdown({ ...measured, rows, harvesting });
console.log(`\n${text}`);
if (values.write !== undefined) await writeFile(values.write, text);

function told(error: unknown): undefined {
  console.error(`Harvesting and analysing: ${String(error)}`);
  process.exitCode = 1;
}
