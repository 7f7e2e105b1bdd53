// SAE Boost (arXiv 2507.12990) at the scale of a laptop: residual SAEs on the error of a frozen base on domain text,
// against full fine-tuning, extended SAEs and SAE stitching, on the same text. Interrupted, it goes on where it was;
// what is finished is not done again. Writes docs/results/boost.{md,svg,json}.
//   npm run bench -- papers/boost --domain NAME=TRAIN,HELDOUT... --general TRAIN,HELDOUT
//     [--activations DIR] [--out DIR] [--results DIR] [--model M] [--sae BASE] [--threads N] [--width 1024]
//     [--tokens 100000] [--general-tokens 400000] [--heldout-tokens 12288] [--ce-tokens 2048]
//     [--k 5 --k 10 --k 20 --k 50] [--budget 30000 --budget 300000] [--seeds 2]
//     [--method boost|mixed|fine-tuned|extended-random|extended-active...]
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  integer,
  modelRequest,
  requiredText,
  saePath,
  text,
  texts,
} from '../../../src/cli/arguments.ts';
import { Failure } from '../../../src/common/failure.ts';
import { openFrozenBase } from '../../../src/engine/boost/frozenBase.ts';
import { root } from '../../../scripts/targets.ts';
import { circumstances, commandText, writeReport, writeText } from '../report.ts';
import { armsOf, methods } from './arms.ts';
import { runExperiment } from './experiment.ts';
import { bodyPaths, openBody, type Body, type BodyPaths } from './material.ts';
import type { Results } from './results.ts';
import { report } from './tables.ts';
import { tradeOffPlot } from './tradeOffPlot.ts';
import { refuseUnlessTopK } from './weights.ts';

const { values } = parseArgs({
  options: {
    ...Object.fromEntries(
      ['domain', 'method', 'k', 'budget'].map(name => [
        name,
        { type: 'string' as const, multiple: true },
      ]),
    ),
    ...Object.fromEntries(
      [
        ...['general', 'activations', 'out', 'results', 'model', 'cache', 'sae', 'threads'],
        ...['width', 'tokens', 'general-tokens', 'heldout-tokens', 'ce-tokens', 'seeds'],
      ].map(name => [name, { type: 'string' as const }]),
    ),
  },
});
const number = (name: string, otherwise: number): number =>
  integer(values, name, { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? otherwise;
const numbers = (name: string, otherwise: readonly number[]): readonly number[] => {
  const given = texts(values, name).map(
    value => integer({ [name]: value }, name, { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? NaN,
  );
  return given.length > 0 ? given : otherwise;
};
const folder = (name: string, otherwise: string): string =>
  resolve(text(values, name) ?? join(root, otherwise));

const out = folder('out', 'out/papers/boost');
const tokens = number('tokens', 100_000);
const budgets = numbers('budget', [30_000, 300_000]);
const heldOutTokens = number('heldout-tokens', 12_288);

async function main(signal: AbortSignal): Promise<void> {
  const log = (line: string): void => console.error(new Date().toISOString().slice(11, 19), line);
  const model = modelRequest(values);
  const domainPaths = texts(values, 'domain').map(option => bodyPaths(option));
  const generalPaths = bodyPaths(requiredText(values, 'general'), 'general');
  const ks = numbers('k', [5, 10, 20, 50]);
  const settings = { width: number('width', 1024), k: ks[0] ?? 5, tokens };
  const frozen = await openFrozenBase({ model, basePath: saePath(values) }, signal);
  const opened: Body[] = [];
  try {
    const base = frozen.runner.dictionary;
    refuseUnlessTopK(base);
    const open = async (paths: BodyPaths, train: number): Promise<Body> => {
      const place = resolve(text(values, 'activations') ?? join(out, 'activations'));
      const wanted = { train, heldOut: heldOutTokens };
      const body = await openBody(frozen, paths, place, wanted, { signal, log });
      opened.push(body);
      return body;
    };
    const general = await open(generalPaths, number('general-tokens', 400_000));
    const domains: Body[] = [];
    for (const paths of domainPaths) domains.push(await open(paths, Math.max(tokens, ...budgets)));
    const names = domains.map(({ name }) => name);
    const ceWindows = Math.floor(number('ce-tokens', 2048) / frozen.windowLength);
    const about = {
      command: commandText('papers/boost', process.argv.slice(2), [
        ...['--activations', '--out', '--results', '--cache'],
      ]),
      circumstances: circumstances(),
      settings,
      material: {
        ...{ model: frozen.model.info.name, base: base.name, hook: base.hook },
        ...{ baseWidth: base.width, baseK: frozen.k, windowLength: frozen.windowLength },
        domains: names,
        trainingTokens: Math.min(
          ...domains.map(({ train }) => train.windows * frozen.windowLength),
        ),
        heldOutTokens: general.heldOut.windows * frozen.windowLength,
        crossEntropyTokens: ceWindows * frozen.windowLength,
      },
    };
    await runExperiment({
      ...{ frozen, domains, general, settings, ceWindows, signal, log },
      arms: armsOf({
        methods: texts(values, 'method').length > 0 ? texts(values, 'method') : methods,
        ...{ domains: names, baseK: frozen.k, ks, tokens },
        seeds: number('seeds', 2),
        budgets: budgets,
      }),
      threads: model.threads,
      folder: out,
      report: found => write({ ...about, ...found }),
    });
  } finally {
    for (const { heldOutStore } of opened) await heldOutStore.close();
    await frozen.dispose();
  }
}

async function write(results: Results): Promise<void> {
  const place = folder('results', 'docs/results');
  await mkdir(place, { recursive: true });
  const rounded = JSON.stringify(results, (_, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value,
  );
  await writeText(join(place, 'boost.json'), `${rounded}\n`);
  await writeText(join(place, 'boost.svg'), tradeOffPlot(results));
  await writeReport(join(place, 'boost.md'), 'SAE Boost on a laptop', report(results));
}

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort(new Failure('cancelled', 'Interrupted.'));
});
try {
  await main(interrupt.signal);
} catch (error) {
  const { message, action } = Failure.from(error);
  console.error([message, action].filter(Boolean).join('\n'));
  process.exitCode = 1;
}
