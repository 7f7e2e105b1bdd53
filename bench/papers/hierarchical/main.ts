// HierarchicalTopK (arXiv 2505.24473) at the scale of a laptop: one SAE for every k against TopK and BatchTopK SAEs
// trained for one k each, on the same activations and number of tokens. Interrupted, it goes on where it was; what is
// finished is not done again. Writes docs/results/hierarchical.{md,svg,json}.
//   npm run bench -- papers/hierarchical --text PATH... --heldout PATH...
//     [--activations DIR] [--heldout-activations DIR] [--out DIR] [--results DIR] [--model M] [--threads N] [--layer 15]
//     [--width 2048] [--k 64] [--tokens 800000] [--text-tokens 400000] [--heldout-tokens 20000] [--ce-tokens 4096]
//     [--batch 1024] [--dead-tokens 100000] [--seeds 3] [--report-only]
// --report-only trains nothing: it writes the results of what has been measured so far.
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { integer, modelRequest, text, texts } from '../../../src/cli/arguments.ts';
import { Failure } from '../../../src/common/failure.ts';
import { ModelRunner } from '../../../src/engine/model/modelRunner.ts';
import { firstWindows } from '../../../src/training/activations/firstWindows.ts';
import { defaultSettings } from '../../../src/training/settings.ts';
import { root } from '../../../scripts/targets.ts';
import { rememberedModel } from '../rememberedModel.ts';
import { circumstances, commandText, writeReport, writeText } from '../report.ts';
import { filledStore } from '../stores.ts';
import { trainedSae } from '../trainedSae.ts';
import { contenders } from './contenders.ts';
import { stepCosts } from './cost.ts';
import { measured, type Measures } from './measures.ts';
import { paretoPlot } from './paretoPlot.ts';
import type { Results } from './results.ts';
import { report } from './tables.ts';

const windowLength = 256;
/** One for all objectives: at this small a budget better than the 8e-4 of the trainer's default. */
const learningRate = 2e-3;

const { values } = parseArgs({
  options: {
    text: { type: 'string', multiple: true },
    heldout: { type: 'string', multiple: true },
    'report-only': { type: 'boolean' },
    ...Object.fromEntries(
      [
        ...['activations', 'heldout-activations', 'out', 'results', 'model', 'cache', 'threads'],
        ...['layer', 'width', 'k', 'tokens', 'text-tokens', 'heldout-tokens', 'ce-tokens'],
        ...['batch', 'dead-tokens', 'seeds'],
      ].map(name => [name, { type: 'string' as const }]),
    ),
  },
});
const number = (name: string, otherwise: number): number =>
  integer(values, name, { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? otherwise;
const folder = (name: string, otherwise: string): string =>
  resolve(text(values, name) ?? join(root, otherwise));

const settings = {
  features: number('width', 2048),
  k: number('k', 64),
  batch: number('batch', 1024),
  tokens: number('tokens', 800_000),
  learningRate,
  auxiliaryK: defaultSettings.auxiliaryK,
  deadTokens: number('dead-tokens', 100_000),
};
const seeds = number('seeds', 3);
const hook = `blocks.${number('layer', 15)}.hook_resid_post` as const;
const out = folder('out', 'out/papers/hierarchical');

async function experiment(signal: AbortSignal): Promise<Results> {
  const log = (line: string): void => console.error(line);
  const request = modelRequest(values);
  const runner = await ModelRunner.open(request, { signal });
  const store = (option: string, textOption: string, tokens: number) =>
    filledStore(
      {
        folder: resolve(text(values, option) ?? join(out, option)),
        paths: texts(values, textOption),
        ...{ hook, windowLength, tokens },
      },
      runner,
      { signal, log },
    );
  const trainStore = await store('activations', 'text', number('text-tokens', 400_000));
  const heldOutStore = await store(
    'heldout-activations',
    'heldout',
    number('heldout-tokens', 20_000),
  );
  try {
    const windows = (tokens: number): number => Math.floor(tokens / windowLength);
    const source = firstWindows(trainStore, windows(number('text-tokens', 400_000)));
    const heldOut = firstWindows(heldOutStore, windows(number('heldout-tokens', 20_000)));
    const ceWindows = Math.min(windows(number('ce-tokens', 4096)), heldOut.windows);
    const { model } = trainStore.description;
    const { threads } = request;
    const yardstick = {
      ...{ source: heldOut, evK: 2 * settings.k, ceK: settings.k, threads, signal },
      model: rememberedModel(runner),
      tokenIds: await heldOutStore.readTokens(0, ceWindows),
    };
    const measures: Measures[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      for (const { name, objective, k, budgets } of contenders(settings.k)) {
        const place = join(out, `${name}.${seed}`);
        const train = async () => {
          if (values['report-only'] === true) return undefined;
          return trainedSae(
            {
              settings: {
                ...defaultSettings,
                ...settings,
                ...{ hook, objective, k, budgets, seed, threads },
                roundBytes: 2 ** 28,
                heldOutWindows: 0,
              },
              ...{ source, model, folder: place },
            },
            { signal, log },
          );
        };
        const found = await measured(train, { contender: name, seed }, yardstick, place);
        if (!found) continue;
        measures.push(found);
        log(`${name}.${seed}: EV at k = ${k} ${(found.strongest.ev[k - 1] ?? NaN).toFixed(4)}`);
      }
    }
    log('cost of a step');
    const { width } = source;
    const args = process.argv.slice(2).filter(arg => arg !== '--report-only');
    return {
      command: commandText('papers/hierarchical', args, [
        ...['--activations', '--heldout-activations', '--out', '--results', '--cache'],
      ]),
      circumstances: circumstances(),
      settings: { ...settings, seeds },
      material: {
        ...{ model: model.name, hook, windowLength },
        trainingTokens: source.windows * windowLength,
        heldOutTokens: heldOut.windows * windowLength,
        crossEntropyTokens: ceWindows * windowLength,
      },
      measures,
      cost: await stepCosts({ ...settings, width, threads }),
    };
  } finally {
    await trainStore.close();
    await heldOutStore.close();
    await runner.dispose();
  }
}

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort(new Failure('cancelled', 'Interrupted.'));
});
try {
  const results = await experiment(interrupt.signal);
  const folderOfResults = folder('results', 'docs/results');
  await mkdir(folderOfResults, { recursive: true });
  const file = (name: string): string => join(folderOfResults, name);
  const rounded = JSON.stringify(results, (_, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value,
  );
  await writeText(file('hierarchical.json'), `${rounded}\n`);
  await writeText(file('hierarchical.svg'), paretoPlot(results));
  await writeReport(file('hierarchical.md'), 'HierarchicalTopK on a laptop', report(results));
  console.log(file('hierarchical.md'));
} catch (error) {
  const { message, action } = Failure.from(error);
  console.error([message, action].filter(Boolean).join('\n'));
  process.exitCode = 1;
}
