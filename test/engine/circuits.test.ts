import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { CircuitsRequest } from '../../src/contracts/layerMap.ts';
import { Engine } from '../../src/engine/engine.ts';
import { readRouting } from '../../src/engine/lime/routing.ts';
import { context, failsWith, near, routedModels, sharesOf, words } from './routedModels.ts';

const models = routedModels();

describe('Circuits', () => {
  let corpus = '';
  before(async () => {
    corpus = join(models.folder, 'corpus');
    await mkdir(join(corpus, 'sub'), { recursive: true });
    await writeFile(join(corpus, 'a.txt'), `\ufeff${words.repeat(2)}`);
    await writeFile(
      join(corpus, 'sub', 'b.txt'),
      'my other home, far from any cat or market. '.repeat(3),
    );
    await writeFile(join(corpus, 'sub', 'c.txt'), 'zzz zzz zzz');
    await writeFile(join(corpus, 'page.html'), '<p>some words of a page</p>');
    await writeFile(join(corpus, 'ignored.txt'), 'quiz quiz quiz');
    await writeFile(join(corpus, '.gitignore'), 'ignored.txt\n');
  });

  function asked(changes: Partial<CircuitsRequest> = {}): CircuitsRequest {
    const route = { layer: 2, head: 1, buffer: 0 };
    const rest = {
      include: [],
      exclude: ['**/c.txt'],
      useGitIgnore: true,
      tokens: 10_000,
      count: 5,
    };
    return { model: models.lime, roots: [corpus], route, ...rest, ...changes };
  }

  it('are the tokens of highest share, with their places', async () => {
    const request = asked();
    const progress = context();
    const found = await new Engine().handlers.circuits(request, progress);
    const routing = await readRouting(models.lime);
    const all: { path: string; start: number; share: number }[] = [];
    for (const name of ['a.txt', 'sub/b.txt']) {
      const path = join(corpus, name);
      const { ids, starts } = routing.model.tokenizer.encode(
        (await readFile(path, 'utf8')).replace('\ufeff', ''),
      );
      for (let start = 0, own = 0; own < ids.length; start += 48) {
        const window = ids.subarray(start, start + 64);
        const shares = await sharesOf(routing, window, 2);
        for (; own < start + window.length; own++)
          all.push({ path, start: starts[own] ?? 0, share: shares[own - start]?.[3] ?? 0 });
      }
    }
    const expected = all.sort((a, b) => b.share - a.share).slice(0, 5);
    const files = found.found.filter(({ verbatim }) => verbatim);
    assert.equal(found.found.length, 5);
    near(
      files.map(({ share }) => share),
      expected.slice(0, files.length).map(({ share }) => share),
    );
    for (const [i, { path, start, end, text, before, after, verbatim }] of found.found.entries()) {
      if (!verbatim) continue;
      const match = expected[files.indexOf(found.found[i] ?? assert.fail())];
      assert.deepEqual([path, start], [match?.path, match?.start]);
      const content = (await readFile(path, 'utf8')).replace('\ufeff', '');
      assert.equal(content.slice(start, end), text === '␣' ? ' ' : text);
      assert.equal(content.slice(start - before.length, start), before);
      assert.equal(content.slice(end, end + after.length), after);
      assert.ok(before.length + after.length >= 12);
    }
    assert.ok(found.tokens >= all.length);
    const counts = found.byText.map(({ count }) => count);
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      5,
    );
    assert.match(found.convention, /64 tokens.*among the 5 strongest/);
    assert.ok(progress.progress.length > 3);
  });

  it('are of so many tokens, and of the files that the globs choose', async () => {
    const { handlers } = new Engine();
    const few = await handlers.circuits(asked({ tokens: 70, count: 3 }), context());
    assert.deepEqual([few.tokens, few.found.length], [70, 3]);
    const chosen = await handlers.circuits(
      asked({ include: ['sub/*.txt'], exclude: [] }),
      context(),
    );
    assert.ok(chosen.found.every(({ path }) => path.startsWith(join(corpus, 'sub'))));
    const page = await handlers.circuits(asked({ include: ['*.html'] }), context());
    assert.ok(
      page.found.every(({ verbatim, start, end }) => !verbatim && start === 0 && end === 0),
    );
    assert.ok(page.found.some(({ after }) => after.length > 0));
  });

  it('are refused where they say nothing', async () => {
    const { handlers } = new Engine();
    const ask = (changes: Partial<CircuitsRequest>) =>
      Promise.resolve(handlers.circuits(asked(changes), context()));
    await assert.rejects(
      ask({ route: { layer: 0, head: 0, buffer: 0 } }),
      failsWith('usage', /first layer/),
    );
    await assert.rejects(
      ask({ route: { layer: 2, head: 4, buffer: 0 } }),
      failsWith('usage', /head 4/),
    );
    await assert.rejects(
      ask({ route: { layer: 2, head: 0, buffer: 3 } }),
      failsWith('usage', /buffer/),
    );
    const route = { layer: 1, head: 0, buffer: 0 };
    await assert.rejects(ask({ model: models.plain, route }), failsWith('usage', /no routers/));
    await assert.rejects(ask({ include: ['*.none'] }), failsWith('empty'));
    await assert.rejects(ask({ roots: [join(models.folder, 'none')] }), failsWith('not-found'));
  });

  it('end when they are cancelled', async () => {
    const stopped = context(({ step }) => {
      if (step === 'Running the text') stopped.stop.abort();
    });
    const ended = Promise.resolve(new Engine().handlers.circuits(asked(), stopped));
    await assert.rejects(ended, failsWith('cancelled'));
    assert.equal(stopped.progress.filter(({ step }) => step === 'Running the text').length, 1);
  });
});
