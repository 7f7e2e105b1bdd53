import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ModelRequest } from '../../src/contracts/engine.ts';
import type { DocumentRoutesRequest } from '../../src/contracts/layerMap.ts';
import { routeDocument } from '../../src/engine/lime/documentRoutes.ts';
import { Engine } from '../../src/engine/engine.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { RouteRunner } from '../../src/engine/lime/routeRunner.ts';
import { readRouting } from '../../src/engine/lime/routing.ts';
import { writeFittedRouters } from '../../src/lime/fittedRouters.ts';
import { tinyFit, tinyRouter } from '../fixtures/limeWithText.ts';
import { context, failsWith, near, routedModels, sharesOf, words } from './routedModels.ts';

const models = routedModels();

const visible = { start: 0, end: 10 };

function document(model: ModelRequest, text: string, documentId = 'a'): DocumentRoutesRequest {
  return { model, documentId, text, visible };
}

describe('The layer map', () => {
  it('of an ordinary model is the identity', async () => {
    const map = await new Engine().handlers.layerMap(models.plain, context());
    assert.deepEqual(
      [map.model, map.origin, map.fit, map.layers, map.heads, map.queryHeads],
      ['tiny', 'identity', null, 2, 2, 4],
    );
    assert.deepEqual([...map.routers.map], [1, 0, 0, 1]);
    assert.deepEqual(map.initial, map.routers);
  });

  it('of fitted routers is theirs, with how they were fitted', async () => {
    const { handlers } = new Engine();
    const map = await handlers.layerMap(models.routed, context());
    assert.equal(map.origin, 'fitted');
    assert.deepEqual(map.fit, tinyFit);
    // Head 0: 0.5 and 0.5; head 1: 0.125 and 0.875.
    near(map.routers.perHead, [1, 0, 1, 0, 0.5, 0.5, 0.125, 0.875]);
    near(map.routers.map, [1, 0, 0.3125, 0.6875]);
    assert.deepEqual([...map.initial.map], [1, 0, 0, 1]);
    assert.deepEqual(
      map,
      await handlers.layerMap(
        { ...models.routed, routers: `${models.routed.routers ?? ''}/routers.safetensors` },
        context(),
      ),
    );
  });

  it('of a LIMe model is that of its own routers', async () => {
    const map = await new Engine().handlers.layerMap(models.lime, context());
    assert.deepEqual([map.origin, map.fit, map.layers, map.heads], ['trained', null, 4, 2]);
    const { routers } = await readRouting(models.lime);
    const last = routers.get(3) ?? new Float32Array();
    const sums = [0, 1, 2, 3].map(j =>
      [0, 1].reduce(
        (sum, h) =>
          sum + Math.abs(last[h * 8 + 2 * j] ?? 0) + Math.abs(last[h * 8 + 2 * j + 1] ?? 0),
        0,
      ),
    );
    const total = sums.reduce((sum, value) => sum + value, 0);
    near(
      map.routers.map.subarray(12),
      sums.map(sum => sum / total),
    );
    // b = sqrt(3 / (4 * 2)): the own buffer has 1/2 of 1/2 + 3 b/2.
    near(map.initial.map.subarray(15), [0.5 / (0.5 + 1.5 * Math.sqrt(3 / 8))]);
  });

  it('is refused for routers that do not belong to the model', async () => {
    const { handlers } = new Engine();
    const ask = (request: ModelRequest) => Promise.resolve(handlers.layerMap(request, context()));
    const strange = join(models.folder, 'strange');
    await mkdir(strange);
    const write = (hash: string, router: Float32Array, keyValueHeads: number) =>
      writeFittedRouters(strange, new Map([[1, router]]), {
        model: { name: 'Other', hash },
        fit: tinyFit,
        keyValueHeads,
      });
    const request = { ...models.plain, routers: strange };
    await assert.rejects(ask(request), failsWith('not-found'));
    await write('0'.repeat(64), tinyRouter, 2);
    await assert.rejects(ask(request), failsWith('mismatch', /fitted to Other/));
    const { hash } = (await readRouting(models.plain)).model.info;
    await write(hash, new Float32Array(2), 1);
    await assert.rejects(ask(request), failsWith('bad-file', /blocks\.1\.router/));
    await writeFile(join(strange, 'routers.safetensors'), 'nothing');
    await assert.rejects(ask(request), failsWith('bad-file'));
    await assert.rejects(
      ask({ ...models.plain, routers: join(models.folder, 'none') }),
      failsWith('not-found'),
    );
    await assert.rejects(
      ask({ ...models.lime, routers: models.routed.routers ?? '' }),
      failsWith('mismatch', /of its own/),
    );
  });
});

describe('The routes of a document', () => {
  const text = words.repeat(3);

  it('of a LIMe model: every token is run in a window with what stands before it', async () => {
    const { handlers } = new Engine();
    const asked = context();
    const routes = await handlers.documentRoutes(document(models.lime, text), asked);
    const routing = await readRouting(models.lime);
    const { ids, starts, ends } = routing.model.tokenizer.encode(text);
    assert.ok(ids.length > 130, String(ids.length));
    assert.deepEqual([routes.starts, routes.ends, routes.isPart], [starts, ends, false]);
    assert.match(routes.convention, /windows of 64 tokens, the first 16/);
    assert.deepEqual(asked.progress.at(-1), { step: 'Running the document', fraction: 1 });
    assert.ok(
      asked.progress.every(({ fraction }, i) => fraction >= (asked.progress[i - 1]?.fraction ?? 0)),
    );
    const [layer, heads] = [3, 4];
    for (const [token, start] of [
      [20, 0],
      [63, 0],
      [64, 48],
      [100, 48],
      [ids.length - 1, 96],
    ] as const) {
      const window = ids.subarray(start, Math.min(ids.length, start + 64));
      const expected = (await sharesOf(routing, window, layer))[token - start];
      const { shares } = await handlers.tokenRoutes({ documentId: 'a', token }, context());
      near(shares.subarray(layer * heads * 4), expected ?? []);
    }
    const route = { layer, head: 2, buffer: 1 };
    const tokens = await handlers.routeTokens({ documentId: 'a', route }, context());
    assert.equal(tokens.shares.length, ids.length);
    const one = await handlers.tokenRoutes({ documentId: 'a', token: 70 }, context());
    const cell = (layer * heads + 2) * 4 + 1;
    assert.deepEqual(
      [tokens.shares[70], tokens.initial[70]],
      [one.shares[cell], one.initial[cell]],
    );
    assert.notEqual(one.initial[cell], one.shares[cell]);
    for (const rows of [routes.contribution.map, routes.initial.map, one.shares, one.initial]) {
      for (let row = 0; row < rows.length; row += 4) {
        near([rows.subarray(row, row + 4).reduce((sum, share) => sum + share, 0)], [1]);
      }
    }
  });

  it('are by contribution: means of |R V| over its tokens', async () => {
    const short = text.slice(0, 50);
    const routes = await new Engine().handlers.documentRoutes(
      document(models.lime, short),
      context(),
    );
    const routing = await readRouting(models.lime);
    const runner = await RouteRunner.open(routing);
    const { memory } =
      (await runner.run(routing.model.tokenizer.encode(short).ids)).own.get(2) ?? assert.fail();
    await runner.dispose();
    const sums = [0, 1].map(head =>
      [0, 1, 2].map(j =>
        memory.reduce((sum, norm, at) => (at % 6 === head * 3 + j ? sum + norm : sum), 0),
      ),
    );
    const flat = sums.map(row => row.map(value => value / row.reduce((a, b) => a + b)));
    near(
      routes.contribution.perHead.subarray(2 * 2 * 4, 3 * 2 * 4),
      flat.flatMap(row => [...row, 0]),
      1e-5,
    );
  });

  it('of fitted routers are compared with the identity', async () => {
    const { handlers } = new Engine();
    const routes = await handlers.documentRoutes(
      document(models.routed, 'hello, hello: the fox'),
      context(),
    );
    assert.deepEqual([...routes.initial.map], [1, 0, 0, 1]);
    assert.ok((routes.contribution.map[2] ?? 0) > 0.1);
    const { shares, initial } = await handlers.tokenRoutes(
      { documentId: 'a', token: 2 },
      context(),
    );
    assert.deepEqual([...initial.subarray(8)], [0, 1, 0, 1, 0, 1, 0, 1]);
    assert.ok(shares.subarray(8).every(share => share > 0));
  });

  it('of an ordinary model are the identity, and nothing is run', async () => {
    const { handlers } = new Engine();
    const routes = await handlers.documentRoutes(document(models.plain, 'hello, hello'), context());
    assert.deepEqual([...routes.contribution.map], [1, 0, 0, 1]);
    assert.equal(routes.starts.length, 4);
    const { shares } = await handlers.tokenRoutes({ documentId: 'a', token: 1 }, context());
    assert.deepEqual([...shares], [1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it('are those around what is visible where the document is too long', async () => {
    const routing = await readRouting(models.lime);
    const runner = await RouteRunner.open(routing, { compare: true });
    const long = words.repeat(20);
    const at = { start: 620, end: 680 };
    const asked = { text: long, visible: at };
    // 4 heads of 1 + 2 + 3 + 4 shares, with those at initialisation: 320 bytes a token.
    const run = (mostBytes: number) =>
      routeDocument(routing, runner, asked, {
        signal: context().signal,
        report: () => undefined,
        mostBytes,
      });
    const { routes, shares } = await run(320 * 90);
    assert.ok(routes.isPart);
    assert.equal(routes.starts.length, 90);
    assert.equal(shares.tokens, 90);
    assert.ok((routes.starts[0] ?? 0) < 620 && (routes.ends[89] ?? 0) > 680);
    const all = await run(320 * 2000);
    assert.ok(!all.routes.isPart);
    const end = await routeDocument(
      routing,
      runner,
      { text: long, visible: { start: 1e6, end: 1e6 } },
      { signal: context().signal, report: () => undefined, mostBytes: 3200 },
    );
    assert.equal(end.routes.ends.at(-1), long.length);
    assert.equal(end.routes.starts.length, 10);
    await runner.dispose();
  });

  it('end between two windows when they are cancelled, and nothing is kept', async () => {
    const { handlers } = new Engine();
    const asked = context(({ step }) => {
      if (step === 'Running the document') asked.stop.abort();
    });
    const long = document(models.lime, words.repeat(50));
    const ended = Promise.resolve(handlers.documentRoutes(long, asked));
    await assert.rejects(ended, failsWith('cancelled'));
    assert.equal(asked.progress.filter(({ step }) => step === 'Running the document').length, 1);
    const token = { documentId: 'a', token: 0 };
    assert.throws(() => handlers.tokenRoutes(token, context()), failsWith('not-ready'));
    await handlers.documentRoutes(document(models.lime, words), context());
    await handlers.tokenRoutes(token, context());
  });

  it('are given up for a newer text of the same document, which keeps the older until it is done', async () => {
    const { handlers } = new Engine();
    await handlers.documentRoutes(document(models.lime, 'the cat'), context());
    const first = Promise.resolve(
      handlers.documentRoutes(document(models.lime, words.repeat(50)), context()),
    );
    const failed = assert.rejects(first, failsWith('cancelled', /asked for again/));
    const second = handlers.documentRoutes(document(models.lime, words), context());
    await handlers.tokenRoutes({ documentId: 'a', token: 5 }, context());
    await failed;
    const { starts } = await second;
    await handlers.tokenRoutes({ documentId: 'a', token: starts.length - 1 }, context());
  });

  it('end and are gone when they are forgotten, or when another model is loaded', async () => {
    const { handlers } = new Engine();
    const asked = context(({ step }) => {
      if (step === 'Running the document')
        void handlers.forgetRoutes({ documentId: 'a' }, context());
    });
    const long = document(models.lime, words.repeat(50));
    await assert.rejects(
      Promise.resolve(handlers.documentRoutes(long, asked)),
      failsWith('cancelled', /closed/),
    );
    let loaded: Promise<unknown> | undefined;
    const loading = context(({ step }) => {
      if (step === 'Running the document')
        loaded ??= Promise.resolve(handlers.loadModel(models.plain, context()));
    });
    await assert.rejects(
      Promise.resolve(handlers.documentRoutes(long, loading)),
      failsWith('cancelled', /another model/),
    );
    await loaded;
    await handlers.forgetRoutes({ documentId: 'never seen' }, context());
    assert.throws(
      () =>
        handlers.routeTokens(
          { documentId: 'a', route: { layer: 1, head: 0, buffer: 0 } },
          context(),
        ),
      failsWith('not-ready'),
    );
  });

  it('are refused for no text and for too much', async () => {
    const { handlers } = new Engine();
    const ask = (text: string) =>
      Promise.resolve(handlers.documentRoutes(document(models.lime, text), context()));
    await assert.rejects(ask(''), failsWith('empty'));
    await assert.rejects(ask('a'.repeat(2 ** 20 + 1)), failsWith('too-large'));
  });
});

describe('Identity routers fitted to a model', () => {
  it('leave its logits as they are, bit for bit', async () => {
    const routers = join(models.folder, 'identity');
    await mkdir(routers);
    const { info } = (await readRouting(models.plain)).model;
    await writeFittedRouters(routers, new Map([[1, Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1)]]), {
      model: { name: info.name, hash: info.hash },
      fit: tinyFit,
      keyValueHeads: 2,
    });
    const tokenIds = Uint32Array.from({ length: 40 }, (_, t) => (t * t + 3) % 260);
    const logits = [];
    for (const request of [models.plain, { ...models.plain, routers }]) {
      const model = await ModelRunner.open(request);
      logits.push((await model.run({ tokenIds, hooks: [], head: 'logits' })).logits);
      await model.dispose();
    }
    assert.deepEqual(logits[1], logits[0]);
  });
});
