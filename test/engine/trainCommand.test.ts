import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { evaluateCommand } from '../../src/cli/evaluate.ts';
import { trainCommand } from '../../src/cli/train.ts';
import type { CommandInput } from '../../src/cli/command.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { EvaluateResult, TrainResult } from '../../src/contracts/commandLine.ts';
import { DeviceInUse } from '../../src/engine/devices/deviceInUse.ts';
import { readSaeLens } from '../../src/saes/formats/saelens.ts';
import { ActivationStore } from '../../src/training/activations/activationStore.ts';
import { modelRequest } from './model.ts';

let folder: string;
let text: string;

before(async () => {
  await buildKernel();
  folder = await mkdtemp(join(tmpdir(), 'loupe-train-'));
  text = join(folder, 'text.txt');
  await writeFile(text, sentences(400));
});
after(() => rm(folder, { recursive: true }));

/** Text that a small model has something to say about. */
function sentences(count: number): string {
  const random = new Random(1);
  const pick = (words: string): string =>
    words.split(' ')[random.below(words.split(' ').length)] ?? '';
  return Array.from({ length: count }, () => {
    const subject = `The ${pick('old young clever tired small')} ${pick('fox judge engine child river')}`;
    return `${subject} ${pick('saw found feared forgot built')} ${pick('three many no two')} ${pick('houses songs laws bridges stars')}.`;
  }).join(' ');
}

function run(
  values: CommandInput['values'],
  signal = new AbortController().signal,
  log: (line: string) => void = () => undefined,
): Promise<TrainResult> {
  return trainCommand.run({
    values: {
      cache: modelRequest().cacheFolder,
      threads: '2',
      ...{ layer: '1', width: '96', k: '8', tokens: '4096', batch: '64', window: '64', lr: '3e-3' },
      dtype: 'float32',
      ...values,
    },
    positionals: [],
    signal,
    log,
  }) as Promise<TrainResult>;
}

describe('loupe train', () => {
  it('trains an SAE that explains the activations, and leaves a SAELens folder and a record', async () => {
    const out = join(folder, 'sae');
    const result = await run({ text: [text], out });
    assert.equal(result.steps, 64);
    assert.equal(result.tokens, 4096);
    assert.ok(result.ev > 0.3 && result.ev < 1, `explained variance ${result.ev}`);
    const dictionary = await readSaeLens(out);
    assert.equal(dictionary.hook, 'blocks.1.hook_resid_post');
    assert.deepEqual([dictionary.width, dictionary.inputWidth], [96, 576]);
    assert.deepEqual(dictionary.rule, { kind: 'topk', maxK: 8 });
    assert.equal(dictionary.subtractDecoderBias, false);
    assert.equal(dictionary.tokenPolicy.excludeFirst, true);
    const record = JSON.parse(await readFile(join(out, 'training.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    for (const key of [
      'command',
      'settings',
      'versions',
      'curve',
      'result',
      'passes',
      'uniqueTokens',
    ]) {
      assert.ok(key in record, key);
    }
    // Run again: there is nothing left to do, and nothing changes.
    const again = await run({ text: [text], out });
    assert.equal(again.ev, result.ev);
    assert.deepEqual((await readSaeLens(out)).decoder, dictionary.decoder);
  });

  it('gives the same SAE from activations kept on disk, also without the text', async () => {
    const activations = join(folder, 'activations');
    await run({ text: [text], out: join(folder, 'kept'), activations });
    await run({ activations, out: join(folder, 'from-store') });
    const [fresh, kept, stored] = await Promise.all(
      ['sae', 'kept', 'from-store'].map(name => readSaeLens(join(folder, name))),
    );
    assert.deepEqual(kept?.decoder, fresh?.decoder);
    assert.deepEqual(stored?.encoder, fresh?.encoder);
  });

  it('closes kept activations where the test run of a device is cancelled', async t => {
    const cancelled = new Failure('cancelled', 'Enough.');
    t.mock.method(DeviceInUse, 'choose', () => Promise.reject(cancelled));
    const close = t.mock.method(ActivationStore.prototype, 'close');
    const values = { activations: join(folder, 'activations'), out: join(folder, 'not-begun') };
    await assert.rejects(run({ ...values, device: 'webgpu' }), cancelled);
    assert.equal(close.mock.callCount(), 1);
  });

  it('stops when told and goes on from there to the same SAE', async () => {
    const values = { activations: join(folder, 'activations'), out: join(folder, 'stopped') };
    const abort = new AbortController();
    const stopped = run(values, abort.signal, line => {
      if (line.startsWith('step 50')) abort.abort(new Failure('cancelled', 'Interrupted.'));
    });
    await assert.rejects(stopped, error => Failure.is(error, 'cancelled'));
    const lines: string[] = [];
    await run(values, undefined, line => lines.push(line));
    assert.ok(
      lines.some(line => line.startsWith('Going on from step 50 of 64.')),
      lines.join('\n'),
    );
    const [resumed, whole] = [
      await readSaeLens(values.out),
      await readSaeLens(join(folder, 'sae')),
    ];
    assert.deepEqual(resumed.decoder, whole.decoder);
  });

  for (const objective of ['batchtopk', 'jumprelu']) {
    it(`trains ${objective} into an SAE that fires by thresholds, with about k active by loupe evaluate`, async () => {
      const out = join(folder, objective);
      const trained = await run({
        ...{ activations: join(folder, 'activations'), out, objective },
        ...{ batch: '32', width: '128' },
      });
      assert.ok(trained.ev > 0.2 && trained.ev < 1, `explained variance ${trained.ev}`);
      const { rule, provenance } = await readSaeLens(out);
      assert.ok(rule.kind === 'jumprelu' && rule.threshold.every(theta => theta > 0));
      assert.equal(provenance['training_architecture'], objective);
      const evaluated = (await evaluateCommand.run({
        values: { cache: modelRequest().cacheFolder, threads: '2', sae: out, tokens: '512' },
        positionals: [text],
        signal: new AbortController().signal,
        log: () => undefined,
      })) as EvaluateResult;
      const [row] = evaluated.results;
      assert.ok(row && row.l0 > 5 && row.l0 < 12, `L0 ${row?.l0 ?? NaN}`);
      assert.ok(row.ev > 0.2, `explained variance ${row.ev}`);
    });
  }

  const refused: readonly [string, CommandInput['values'], FailureCode][] = [
    ['no text', {}, 'usage'],
    ['a missing file', { text: ['/no/such/file.txt'] }, 'not-found'],
    ['a layer that the model has not', { layer: '30' }, 'usage'],
    ['a k above the width', { k: '97' }, 'usage'],
    ['an unknown objective', { objective: 'other' }, 'usage'],
    ['a sparsity coefficient for another objective', { 'sparsity-coefficient': '1' }, 'usage'],
    ['a text shorter than a batch', { tokens: '128', batch: '1024' }, 'empty'],
  ];
  for (const [name, values, code] of refused) {
    it(`refuses ${name}`, async () => {
      const given = name === 'no text' ? values : { text: [text], ...values };
      await assert.rejects(run({ out: join(folder, `refused ${name}`), ...given }), error =>
        Failure.is(error, code),
      );
    });
  }

  it('refuses activations of another layer', async () => {
    const activations = join(folder, 'activations');
    await assert.rejects(run({ activations, layer: '4', out: join(folder, 'other') }), error =>
      Failure.is(error, 'mismatch'),
    );
  });
});
