import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Random } from '../../src/common/random.ts';
import { type LayerNorms, RouteRunner } from '../../src/engine/lime/routeRunner.ts';
import { readRouting } from '../../src/engine/lime/routing.ts';
import { initialRouter } from '../../src/models/lime.ts';
import { AbsentTokenizer } from '../../src/models/tokenizers/absentTokenizer.ts';
import { lengths, limeOracle, type OracleLayer } from '../fixtures/limeOracle.ts';
import { fixture } from './model.ts';

const tolerance = 1e-4;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-routes-'));
});
after(async () => rm(folder, { recursive: true }));

function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))),
    0,
  );
}

function worst(found: ReadonlyMap<number, LayerNorms>, expected: readonly OracleLayer[]): number {
  assert.deepEqual([...found.keys()], [...expected.keys()].slice(1));
  return Math.max(
    ...[...found].flatMap(([layer, norms]) => {
      const of = expected[layer];
      assert.ok(of);
      return [
        difference(norms.memory, lengths(of.memory)),
        difference(norms.output, lengths(of.output)),
      ];
    }),
  );
}

for (const name of ['mha2', 'mha4', 'gqa2', 'gqa4', 'gqa6']) {
  describe(`What heads take from each buffer: ${name}`, () => {
    it('the oracle: the parts add up to what each head gives, which is what the authors gives', async t => {
      const { layers, goldenOut } = await limeOracle(fixture(`lime/${name}`));
      for (const [layer, { output, z, attentionOut }] of layers.entries()) {
        const added = output.map(heads =>
          heads.map(parts =>
            (parts[0] ?? []).map((_, i) => parts.reduce((sum, part) => sum + (part[i] ?? 0), 0)),
          ),
        );
        assert.ok(difference(added.flat(2), z.flat(2)) < 1e-12, `layer ${layer}`);
        const apart = difference(attentionOut.flat(), goldenOut[layer]?.flat() ?? []);
        t.diagnostic(`layer ${layer}: ${apart.toExponential(1)} from the authors'`);
        assert.ok(apart < 1e-5, `layer ${layer}: ${apart}`);
      }
    });

    it('norms are those of the oracle, with its routers and with those of an initialisation', async t => {
      const path = fixture(`lime/${name}`);
      const routing = await readRouting({ path, cacheFolder: join(folder, 'cache'), threads: 2 });
      const runner = await RouteRunner.open(routing, { compare: true });
      const { ids, layers } = await limeOracle(path);
      const norms = await runner.run(ids);
      const apart = worst(norms.own, layers);
      const random = new Random(0);
      const { keyValueHeads } = routing.model.config;
      const drawn = [...routing.routers.keys()].map(
        layer => [layer, initialRouter(layer, keyValueHeads, random)] as const,
      );
      const replaced = await limeOracle(path, new Map(drawn));
      const initial = worst(norms.initial ?? new Map<number, LayerNorms>(), replaced.layers);
      await runner.dispose();
      t.diagnostic(
        `max |difference| ${apart.toExponential(1)}, initial ${initial.toExponential(1)}`,
      );
      assert.ok(apart < tolerance && initial < tolerance);
    });
  });
}

describe('A runner of one layer', () => {
  it('gives what a runner of all gives', async () => {
    const path = fixture('lime/gqa6');
    const routing = await readRouting({ path, cacheFolder: join(folder, 'cache'), threads: 1 });
    const { ids } = await limeOracle(path);
    const [all, one] = [
      await RouteRunner.open(routing),
      await RouteRunner.open(routing, { layers: [3] }),
    ];
    const [whole, part] = [await all.run(ids), await one.run(ids)];
    assert.deepEqual([...part.own.keys()], [3]);
    assert.deepEqual(part.own.get(3), whole.own.get(3));
    assert.equal(whole.initial, undefined);
    await all.dispose();
    await one.dispose();
  });
});

describe('A runner of a model that expects BOS', () => {
  it('runs a text after it, and says nothing of it', async () => {
    const path = fixture('lime/gqa4');
    const routing = await readRouting({ path, cacheFolder: join(folder, 'cache'), threads: 1 });
    const { ids } = await limeOracle(path);
    const { config } = routing.model;
    const tokenizer = new AbsentTokenizer('tokenizer.json', config.vocabulary);
    const model = { ...routing.model, tokenizer: Object.assign(tokenizer, { bos: ids[0] }) };
    const [plain, led] = [
      await RouteRunner.open(routing),
      await RouteRunner.open({ ...routing, model }),
    ];
    const text = ids.slice(1);
    const [whole, own] = [(await plain.run(ids)).own, (await led.ofText(text)).own];
    for (const [layer, { memory, output }] of whole) {
      const rest = (values: Float32Array) => values.slice(values.length / ids.length);
      assert.deepEqual(own.get(layer)?.memory.slice(), rest(memory));
      assert.deepEqual(own.get(layer)?.output.slice(), rest(output));
    }
    assert.deepEqual(await plain.ofText(ids), await plain.run(ids));
    await plain.dispose();
    await led.dispose();
  });
});
