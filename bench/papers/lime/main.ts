// LIMe (arXiv 2502.09245) at the scale of a laptop: small LLaMA and LIMe models, and LIMe models whose routers read only
// some of the layers, trained from scratch on the same text by Loupe's own graphs, differentiation and optimiser.
// Interrupted, it goes on where it was; what is finished is not done again. Writes docs/results/lime.{md,svg,json}.
//   npm run bench -- papers/lime --text PATH... --heldout PATH... [--out DIR] [--results DIR]
//     [--arms llama,lime,average,last-2,last-4,first-2,first-4] [--seeds 3] [--ablation-seeds 2] [--tokens 800000]
//     [--heldout-tokens 102400] [--vocabulary 2048] [--layers 8] [--width 128] [--window 256] [--windows 4]
//     [--processes 2] [--threads 1] [--speed-rounds 12] [--report-only]
// `LOUPE_PYTHON` names a Python with torch, for the comparison of speed; without it, that is left out.
// --report-only trains nothing: it writes the results of what has been trained so far.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../src/common/failure.ts';
import { commandText, circumstances, writeReport, writeText } from '../report.ts';
import { cellFolder, readTrained, type Cell } from './cell.ts';
import { readState } from './checkpoint.ts';
import { trainInProcesses } from './crew.ts';
import { lossPlot } from './lossPlot.ts';
import { experimentOf } from './options.ts';
import { rounded, type Curve, type Results } from './results.ts';
import { keptSpeed, measuredSpeed } from './speed.ts';
import { report } from './tables.ts';
import { openTexts } from './text.ts';

const args = process.argv.slice(2);
const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort(new Failure('cancelled', 'Interrupted.')));

async function main(signal: AbortSignal): Promise<void> {
  const log = (line: string): void => console.error(new Date().toISOString().slice(11, 19), line);
  const experiment = experimentOf(args);
  const { out, settings, cells, processes, results: place } = experiment;
  const texts = await openTexts({ ...experiment.textRequest, signal, log });
  const missing = async (): Promise<Cell[]> => {
    const found = await Promise.all(cells.map(cell => readTrained(out, cell)));
    return cells.filter((_, i) => !found[i]);
  };
  const unfinishedOf = async (rest: readonly Cell[]): Promise<Curve[]> => {
    const states = await Promise.all(
      rest.map(cell => readState(join(cellFolder(out, cell), 'checkpoint.safetensors'))),
    );
    return rest.flatMap((cell, i) => {
      const { heldOut = [] } = states[i] ?? {};
      return heldOut.length > 0 ? [{ ...cell, heldOut }] : [];
    });
  };
  await mkdir(place, { recursive: true });
  const file = (name: string): string => join(place, name);
  const write = async (speed: Results['speed']): Promise<void> => {
    const found = await Promise.all(cells.map(cell => readTrained(out, cell)));
    const results = rounded({
      command: commandText('papers/lime', args, [
        ...['--out', '--results', '--report-only', '--processes', '--threads'],
      ]),
      circumstances: circumstances(),
      settings,
      text: {
        trainTokens: texts.train.count * (texts.train.length - 1),
        heldOutTokens: texts.heldOut.count * (texts.heldOut.length - 1),
        unitsPerToken: texts.unitsPerToken,
      },
      trained: found.filter(one => one !== undefined),
      unfinished: await unfinishedOf(await missing()),
      speed,
    });
    await writeText(file('lime.json'), `${JSON.stringify(results)}\n`);
    await writeText(file('lime.svg'), lossPlot(results));
    await writeReport(file('lime.md'), 'LIMe on a laptop', report(results));
  };
  if (!experiment.reportOnly) {
    const done = async (): Promise<void> => {
      await write(await keptSpeed(out));
    };
    await trainInProcesses(await missing(), { processes, args, signal, done });
  }
  const speed = experiment.reportOnly
    ? await keptSpeed(out)
    : await measuredSpeed(out, { settings, train: texts.train, rounds: experiment.speedRounds });
  await write(speed);
  console.log(file('lime.md'));
}

try {
  await main(interrupt.signal);
} catch (error) {
  const { message, action } = Failure.from(error);
  console.error([message, action].filter(Boolean).join('\n'));
  process.exitCode = 1;
}
