import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { AnalysisPart, AnalysisSummary } from '../../src/contracts/engine.ts';
import { Analysis, longestText, type AnalysisOptions } from '../../src/engine/analysis/analysis.ts';
import { CausalModel, NearestSae, stateAfter, surprisalOf } from './fakes/causalModel.ts';

const shape = { windowLength: 128, overlap: 64, blockLength: 64 };

/** Everything that was reported of one document, the latest for each token. */
class Received {
  readonly tokens = new Map<number, { part: AnalysisPart; row: number }>();
  readonly order: number[] = [];

  readonly take = (part: AnalysisPart): void => {
    this.order.push(part.firstToken);
    part.tokenIds.forEach((_id, row) => this.tokens.set(part.firstToken + row, { part, row }));
  };
}

function setUp(options: AnalysisOptions = {}, bos?: number) {
  const model = new CausalModel(bos);
  const analysis = new Analysis(model, new NearestSae(), { ...shape, ...options });
  return { model, analysis };
}

async function analyze(
  analysis: Analysis,
  text: string,
  received = new Received(),
  over: { signal?: AbortSignal; visible?: number; documentId?: string } = {},
): Promise<{ summary: AnalysisSummary; received: Received }> {
  const start = over.visible ?? 0;
  const summary = await analysis.analyze(
    {
      documentId: over.documentId ?? 'file:///a.txt',
      text,
      visible: { start, end: start + 10 },
      predictions: 2,
    },
    { signal: over.signal ?? new AbortController().signal, report: received.take },
  );
  return { summary, received };
}

/** Holds every token's results to what the model says when each window is run on its own, without any cache. */
function checkAll(received: Received, text: string, bos?: number): void {
  const lead = bos === undefined ? [] : [bos];
  const stateOf = (own: Uint32Array) => stateAfter(Uint32Array.of(...lead, ...own));
  const ids = Uint32Array.from(text, character => character.charCodeAt(0));
  for (let token = 0; token < ids.length; token++) {
    const found = received.tokens.get(token);
    assert.ok(found, `token ${token} was never reported`);
    const { part, row } = found;
    const start = token < 128 ? 0 : Math.floor((token - 64) / 64) * 64;
    const state = stateOf(ids.subarray(start, token + 1));
    assert.equal(part.tokenIds[row], ids[token]);
    assert.deepEqual([part.starts[row], part.ends[row]], [token, token + 1]);
    if (token === 0 && bos === undefined) assert.ok(Number.isNaN(part.surprisal[row]));
    else {
      const before = stateOf(ids.subarray(start, token));
      assert.equal(part.surprisal[row], surprisalOf(before, ids[token] ?? 0), `token ${token}`);
    }
    assert.equal(part.predictions[row * 2], `<${state % 97}>`);
    assert.equal(part.features[row * part.k], state % 1000);
    assert.equal(part.squaredNorm[row], state * state + 1);
    // BOS is the window's first token where there is one.
    assert.equal(part.excluded[row], token === 0 && bos === undefined ? 1 : 0);
  }
}

function textOf(length: number, seed = 1): string {
  const random = new Random(seed);
  return Array.from({ length }, () => String.fromCharCode(97 + random.below(26))).join('');
}

describe('analysis of a document', () => {
  it('says of every token what its window says, in one window and in many', async () => {
    for (const length of [1, 2, 31, 32, 33, 64, 127, 128, 129, 192, 193, 500]) {
      const text = textOf(length, length);
      const { summary, received } = await analyze(setUp().analysis, text);
      checkAll(received, text);
      assert.equal(summary.tokens, length);
      assert.equal(summary.reused, 0);
    }
  });

  it('begins every window with BOS where the model expects it, and says nothing of it', async () => {
    for (const bos of [0, 7]) {
      for (const length of [1, 32, 33, 127, 128, 129, 193, 500]) {
        const text = textOf(length, length);
        const { model, analysis } = setUp({}, bos);
        const { summary, received } = await analyze(analysis, text);
        checkAll(received, text, bos);
        assert.equal(summary.tokens, length);
        assert.equal(received.tokens.size, length);
        assert.ok(model.runs.every(({ past, tokens }) => past + tokens <= 129));
      }
    }
  });

  it('has nothing to say of an empty document', async () => {
    const { model, analysis } = setUp();
    const { summary, received } = await analyze(analysis, '');
    assert.deepEqual([summary.tokens, summary.computed, received.order.length], [0, 0, 0]);
    assert.equal(model.runs.length, 0);
  });

  it('sums the included tokens of each part', async () => {
    const { received } = await analyze(setUp().analysis, textOf(40));
    for (const { part } of received.tokens.values()) {
      const expected = part.tokenIds.reduce((sum, _id, row) => {
        const state = Math.sqrt((part.squaredNorm[row] ?? 0) - 1);
        return part.excluded[row] ? sum : sum + state;
      }, 0);
      assert.equal(part.sum[0], expected);
    }
  });

  it('starts with the window that is visible', async () => {
    const { received } = await analyze(setUp().analysis, textOf(400), undefined, { visible: 300 });
    // Own tokens of the windows: 0-128, 128-192, 192-256, 256-320, 320-384, 384-400.
    assert.deepEqual(received.order.slice(0, 3), [256, 288, 0]);
    checkAll(received, textOf(400));
  });

  it('runs no block longer than asked, and none across a window', async () => {
    const { model, analysis } = setUp();
    await analyze(analysis, textOf(300));
    assert.ok(model.runs.every(({ tokens, past }) => tokens <= 64 && past + tokens <= 128));
  });

  it('runs only the last cell again after an edit at the end', async () => {
    const { model, analysis } = setUp();
    const text = textOf(120);
    await analyze(analysis, text);
    model.runs.length = 0;
    const edited = `${text.slice(0, 118)}xyz`;
    const { summary, received } = await analyze(analysis, edited);
    checkAll(received, edited);
    assert.equal(summary.reused, 96);
    assert.deepEqual(model.runs, [{ past: 95, tokens: 26 }]);
    assert.equal(summary.computed, 26);
  });

  it('runs nothing again for the same text, and sends it all', async () => {
    const { model, analysis } = setUp();
    const text = textOf(200);
    await analyze(analysis, text);
    model.runs.length = 0;
    const again = await analyze(analysis, text);
    checkAll(again.received, text);
    assert.deepEqual([model.runs.length, again.summary.reused], [0, 200]);
  });

  it('does not take over what was asked with another number of predictions', async () => {
    const { analysis } = setUp();
    const context = { signal: new AbortController().signal, report: () => undefined };
    const request = { documentId: 'a', text: textOf(50), visible: { start: 0, end: 1 } };
    await analysis.analyze({ ...request, predictions: 2 }, context);
    const { reused } = await analysis.analyze({ ...request, predictions: 3 }, context);
    assert.equal(reused, 0);
  });

  it('stays right over any sequence of edits, cancels and evictions', async () => {
    const cases = [2 ** 30, 200 * 4, 0].flatMap(keepBytes => [
      { keepBytes, bos: undefined },
      { keepBytes, bos: 0 },
    ]);
    for (const { keepBytes, bos } of cases) {
      const random = new Random(7);
      const { model, analysis } = setUp({ keepBytes }, bos);
      let text = textOf(300);
      for (let round = 0; round < 60; round++) {
        const at = random.below(text.length + 1);
        const removed = random.below(3) === 0 ? random.below(80) : random.below(3);
        text = text.slice(0, at) + textOf(random.below(30), round + 100) + text.slice(at + removed);
        const cancelAfter = random.below(3) === 0 ? random.below(4) : Infinity;
        const abort = new AbortController();
        model.onRun = runs => runs > cancelAfter && abort.abort(new Failure('cancelled', 'test'));
        const visible = random.below(text.length + 1);
        const received = new Received();
        const running = analyze(analysis, text, received, { signal: abort.signal, visible });
        if (cancelAfter === Infinity) {
          await running;
          checkAll(received, text, bos);
        } else {
          await running.catch((error: unknown) => assert.ok(Failure.is(error, 'cancelled')));
        }
      }
    }
  });

  it('keeps no more keys and values than the budget, and those of the visible window longest', async () => {
    const { model, analysis } = setUp({ keepBytes: 2 * 128 * 4 });
    const text = textOf(1000);
    await analyze(analysis, text, undefined, { visible: 0 });
    model.runs.length = 0;
    const edited = `${text.slice(0, 100)}#${text.slice(101)}`;
    const abort = new AbortController();
    model.onRun = () => abort.abort(new Failure('cancelled', 'test'));
    await assert.rejects(analyze(analysis, edited, undefined, { signal: abort.signal }));
    assert.deepEqual(model.runs[0], { past: 95, tokens: 33 });
  });

  it('stops between two blocks when cancelled', async () => {
    const { model, analysis } = setUp();
    const abort = new AbortController();
    model.onRun = runs => runs === 2 && abort.abort(new Failure('cancelled', 'test'));
    const running = analyze(analysis, textOf(1000), undefined, { signal: abort.signal });
    await assert.rejects(running, (error: unknown) => Failure.is(error, 'cancelled'));
    assert.equal(model.runs.length, 2);
  });

  it('sees a cancel that arrives as an event while blocks are running', async () => {
    const { model, analysis } = setUp();
    const abort = new AbortController();
    model.onRun = runs => {
      if (runs === 1) setImmediate(() => abort.abort(new Failure('cancelled', 'test')));
    };
    await assert.rejects(
      analyze(analysis, textOf(5000), undefined, { signal: abort.signal }),
      (error: unknown) => Failure.is(error, 'cancelled'),
    );
    assert.ok(model.runs.length <= 3, `${model.runs.length} blocks ran`);
  });

  it('lets a cancelled analysis end before the next of the same document starts', async () => {
    const { analysis } = setUp();
    const abort = new AbortController();
    const text = textOf(400);
    const first = analyze(analysis, text, undefined, { signal: abort.signal });
    const received = new Received();
    const second = analyze(analysis, `${text}!`, received);
    abort.abort(new Failure('cancelled', 'test'));
    await assert.rejects(first, (error: unknown) => Failure.is(error, 'cancelled'));
    await second;
    checkAll(received, `${text}!`);
  });

  it('keeps documents apart and forgets a closed one', async () => {
    const { model, analysis } = setUp();
    const [a, b] = [textOf(100, 1), textOf(100, 2)];
    await analyze(analysis, a, undefined, { documentId: 'a' });
    const other = await analyze(analysis, b, undefined, { documentId: 'b' });
    checkAll(other.received, b);
    analysis.forget('a');
    model.runs.length = 0;
    const { summary } = await analyze(analysis, a, undefined, { documentId: 'a' });
    assert.deepEqual([summary.reused, summary.computed], [0, 100]);
  });

  it('refuses a text that is too long before it does anything', async () => {
    const { model, analysis } = setUp();
    await assert.rejects(
      analyze(analysis, 'a'.repeat(longestText + 1)),
      (error: unknown) => Failure.is(error, 'too-large') && error.message.includes('1,048,577'),
    );
    assert.equal(model.runs.length, 0);
  });
});
