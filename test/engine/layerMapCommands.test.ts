import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { activationsCommand } from '../../src/cli/activations.ts';
import { circuitsCommand } from '../../src/cli/circuits.ts';
import type { Command } from '../../src/cli/command.ts';
import { layerMapCommand } from '../../src/cli/layerMap.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import type { ModelRequest } from '../../src/contracts/engine.ts';
import type { CircuitsResult, LayerMapResult } from '../../src/contracts/commandLine.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fittedLlama, limeWithText, tinyFit } from '../fixtures/limeWithText.ts';

let folder = '';
let lime = '';
let text = '';
let requests: { plain: ModelRequest; routed: ModelRequest };
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-layer-map-commands-'));
  lime = await limeWithText(join(folder, 'lime'), 'mha4');
  requests = await fittedLlama(join(folder, 'llama'), join(folder, 'cache'));
  text = join(folder, 'text.txt');
  await writeFile(text, 'the cat and the other cat went home. '.repeat(10));
});
after(async () => rm(folder, { recursive: true, force: true }));

/** Runs a command as the program would; its result goes through JSON as with `--json`. */
async function run(command: Command, ...args: string[]) {
  const { values, positionals } = parseArgs({
    args: ['--cache', join(folder, 'cache'), '--threads', '1', ...args],
    options: command.options,
    allowPositionals: true,
  });
  const result = await command.run({
    values: values,
    positionals,
    signal: new AbortController().signal,
    log: () => undefined,
  });
  return {
    result: JSON.parse(JSON.stringify(result)) as unknown,
    printed: command.format(result),
  };
}

function failsWith(code: FailureCode, pattern = /./) {
  return (error: unknown): boolean => {
    assert.ok(Failure.is(error, code), String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

const model = (request: ModelRequest) => [
  '--model',
  request.path,
  ...(request.routers === undefined ? [] : ['--routers', request.routers]),
];

describe('loupe layermap', () => {
  it('prints the map of fitted routers, and what they were fitted with', async () => {
    const { result, printed } = await run(layerMapCommand, ...model(requests.routed));
    assert.deepEqual(result, {
      fitted: true,
      layers: 2,
      heads: 2,
      map: [
        [1, 0],
        [0.3125, 0.6875],
      ],
      perHead: [
        [
          [1, 0],
          [1, 0],
        ],
        [
          [0.5, 0.5],
          [0.125, 0.875],
        ],
      ],
      initial: {
        map: [
          [1, 0],
          [0, 1],
        ],
        perHead: [
          [
            [1, 0],
            [1, 0],
          ],
          [
            [0, 1],
            [0, 1],
          ],
        ],
      },
      origin: 'fitted',
      model: 'tiny',
      fit: tinyFit,
    });
    assert.match(printed, /fitted to a frozen model/);
    assert.match(printed, /4\.5000 before, 4\.2500 after/);
    assert.match(printed, /\n {2}1 {2}31 {2}69\n?$/);
  });

  it('prints the identity of an ordinary model', async () => {
    const { result } = await run(layerMapCommand, ...model(requests.plain));
    const { fitted, origin, map, fit } = result as LayerMapResult;
    assert.deepEqual([fitted, origin, fit], [false, 'identity', null]);
    assert.deepEqual(map, [
      [1, 0],
      [0, 1],
    ]);
  });

  it('adds the map by contribution on a text', async () => {
    const { result, printed } = await run(
      layerMapCommand,
      '--model',
      lime,
      '--text',
      text,
      '--tokens',
      '200',
    );
    const { fitted, origin, map, perHead, contribution } = result as LayerMapResult;
    assert.deepEqual([fitted, origin, map.length, perHead[3]?.length], [false, 'trained', 4, 4]);
    assert.ok(contribution);
    assert.equal(contribution.tokens, 192);
    assert.match(contribution.convention, /192 tokens in windows of 64/);
    assert.notDeepEqual(contribution.map, map);
    assert.notDeepEqual(contribution.map, contribution.initial.map);
    for (const { map, perHead } of [contribution, contribution.initial]) {
      for (const row of [...map, ...perHead.flat()]) {
        assert.ok(Math.abs(row.reduce((sum, share) => sum + share, 0) - 1) < 1e-6);
      }
    }
    assert.match(printed, /By contribution/);
    const plain = await run(layerMapCommand, ...model(requests.plain), '--text', text);
    const of = (plain.result as LayerMapResult).contribution;
    assert.deepEqual(of?.map, of?.initial.map);
  });
});

describe('loupe circuits', () => {
  it('lists the tokens on which a route matters most', async () => {
    const route = ['--layer', '2', '--head', '1', '--buffer', '0'];
    const args = ['--model', lime, ...route, '--text', text, '--tokens', '150', '--top', '4'];
    const { result, printed } = await run(circuitsCommand, ...args);
    const found = result as CircuitsResult;
    assert.deepEqual(found.route, { layer: 2, head: 1, buffer: 0 });
    assert.deepEqual([found.tokens, found.found.length], [150, 4]);
    const shares = found.found.map(({ share }) => share);
    assert.deepEqual(
      shares,
      [...shares].sort((a, b) => b - a),
    );
    const [first] = found.found;
    assert.ok(first);
    assert.equal(first.path, text);
    const content = await readFile(text, 'utf8');
    assert.equal(content.slice(first.end, first.end + first.after.length), first.after);
    assert.match(printed, /layer 2, head 1, buffer 0/);
    assert.ok(printed.includes(`${text}:${first.start}`));
  });

  it('says what is missing', async () => {
    await assert.rejects(
      run(circuitsCommand, '--layer', '1', '--text', text),
      failsWith('usage', /--head/),
    );
    await assert.rejects(run(circuitsCommand, '--layer', '1'), failsWith('usage', /--text/));
  });
});

describe('--routers', () => {
  it('runs the routed model in other commands', async () => {
    const out = join(folder, 'out.safetensors');
    const logits = [];
    for (const request of [requests.plain, requests.routed]) {
      await run(activationsCommand, ...model(request), '--logits', '--ids', '1,2,3', '--out', out);
      logits.push(await (await SafetensorsFile.open(out)).readFloat32('logits'));
    }
    assert.notDeepEqual(logits[1], logits[0]);
  });
});
