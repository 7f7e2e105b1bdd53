// SAE Boost (arXiv 2507.12990) at the scale of a laptop: residual SAEs on the error of a frozen base on domain text,
// against full fine-tuning, extended SAEs and SAE stitching, on the same text. Interrupted, it goes on where it was;
// what is finished is not done again. Writes docs/results/boost.{md,svg,json}.
//   npm run bench -- papers/boost --domain NAME=TRAIN,HELDOUT... --general TRAIN,HELDOUT
//     [--activations DIR] [--out DIR] [--results DIR] [--model M] [--sae BASE] [--threads N] [--width 1024]
//     [--tokens 300000] [--general-tokens 400000] [--heldout-tokens 24000] [--ce-tokens 4096]
//     [--k 5 --k 10 --k 20 --k 50] [--budget TOKENS...] [--extended-tokens NAME=TOKENS...] [--seeds 2]
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
import { openFrozenBase } from '../../../src/engine/frozenBase.ts';
import { root } from '../../../scripts/targets.ts';
import { armsOf, nameOf } from './arms.ts';
import { bodyPaths, openBody, type Body } from './material.ts';
import { trainArm } from './training.ts';
import { refuseUnlessTopK } from './weights.ts';

const { values } = parseArgs({
  options: {
    ...Object.fromEntries(
      ['domain', 'k', 'budget', 'extended-tokens'].map(name => [
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
  integer(values, name, { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? otherwise;
const numbers = (name: string, otherwise: readonly number[]): readonly number[] => {
  const given = texts(values, name).map(
    value => integer({ [name]: value }, name, { min: 1, max: Number.MAX_SAFE_INTEGER }) ?? NaN,
  );
  return given.length > 0 ? given : otherwise;
};
const folder = (name: string, otherwise: string): string =>
  resolve(text(values, name) ?? join(root, otherwise));

const out = folder('out', 'out/papers/boost');
const tokens = number('tokens', 300_000);
const heldOutTokens = number('heldout-tokens', 24_000);

async function experiment(signal: AbortSignal): Promise<void> {
  const log = (line: string): void => console.error(new Date().toISOString().slice(11, 19), line);
  const model = modelRequest(values);
  const paths = texts(values, 'domain').map(option => bodyPaths(option));
  const generalPaths = bodyPaths(requiredText(values, 'general'), 'general');
  const frozen = await openFrozenBase({ model, basePath: saePath(values) }, signal);
  const bodies = new Map<string, Body>();
  try {
    refuseUnlessTopK(frozen.runner.dictionary);
    const open = async (path: typeof generalPaths, train: number): Promise<Body> => {
      const place = resolve(text(values, 'activations') ?? join(out, 'activations'));
      const wanted = { train, heldOut: heldOutTokens };
      const body = await openBody(frozen, path, place, wanted, { signal, log });
      bodies.set(path.name, body);
      return body;
    };
    const general = await open(generalPaths, number('general-tokens', 400_000));
    for (const path of paths) await open(path, tokens);
    const arms = armsOf({
      domains: paths.map(({ name }) => name),
      baseK: frozen.k,
      ks: numbers('k', [5, 10, 20, 50]),
      tokens,
      seeds: number('seeds', 2),
      budgets: numbers('budget', [30_000, 100_000]),
      extendedTokens: new Map(
        texts(values, 'extended-tokens').map(option => {
          const [name = '', count = ''] = option.split('=');
          return [name, Number(count)];
        }),
      ),
    });
    for (const arm of arms) {
      const body = bodies.get(arm.domain);
      if (!body) continue;
      log(nameOf(arm));
      await trainArm(arm, body, {
        ...{ frozen, general, signal, log },
        width: number('width', 1024),
        threads: model.threads,
        folder: out,
      });
    }
  } finally {
    for (const { heldOutStore } of bodies.values()) await heldOutStore.close();
    await frozen.dispose();
  }
}

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort(new Failure('cancelled', 'Interrupted.'));
});
try {
  await experiment(interrupt.signal);
} catch (error) {
  const { message, action } = Failure.from(error);
  console.error([message, action].filter(Boolean).join('\n'));
  process.exitCode = 1;
}
