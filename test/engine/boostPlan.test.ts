import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { Failure } from '../../src/common/failure.ts';
import type { BoostRequest } from '../../src/contracts/trainer.ts';
import { boostPace } from '../../src/engine/boost/boostPace.ts';
import { expectedStages, planBoost } from '../../src/engine/boost/boostPlan.ts';
import { openFrozenBase } from '../../src/engine/boost/frozenBase.ts';
import { tinyBoost } from './tinyBoost.ts';

let root: string;
let asked: BoostRequest;
const { signal } = new AbortController();
before(async () => {
  await buildKernel();
  root = await mkdtemp(join(tmpdir(), 'loupe-plan-'));
  asked = await tinyBoost(root);
  process.env['TMPDIR'] = join(root, 'temporary');
  await mkdir(tmpdir());
});
after(() => rm(root, { recursive: true, force: true }));

describe('planBoost', () => {
  it('counts the text and times the training on this machine', async () => {
    const steps: string[] = [];
    const plan = await planBoost(asked, { signal, report: ({ step }) => void steps.push(step) });
    assert.ok(plan.corpus.tokens > 0);
    assert.equal(plan.tokens, asked.tokens);
    assert.ok(steps.includes('Timing this machine'));
    assert.ok(plan.secondsPerToken > 0 && plan.secondsPerTextToken > 0);
    const least = plan.tokens * plan.secondsPerToken;
    assert.ok(plan.seconds > least + plan.corpus.tokens * plan.secondsPerTextToken);
    assert.ok(plan.seconds < 600, `${plan.seconds} s for what takes seconds`);
  });

  it('ends with the signal', async () => {
    const stop = new AbortController();
    stop.abort(new Failure('cancelled', 'Stopped.'));
    const stopped = planBoost(asked, { signal: stop.signal, report: () => undefined });
    await assert.rejects(stopped, (error: unknown) => Failure.is(error, 'cancelled'));
  });
});

describe('the time of a training', () => {
  it('is timed for every part, and leaves nothing behind', async () => {
    const frozen = await openFrozenBase(asked, signal);
    try {
      const { width, k, tokens, model } = asked;
      const settings = { width, k, tokens, threads: model.threads, textTokens: 4000 };
      const pace = await boostPace(frozen, settings, signal);
      for (const [part, seconds] of Object.entries(pace))
        assert.ok(seconds > 0 && seconds < 1, `${part}: ${seconds} s per token`);
      assert.deepEqual(await readdir(tmpdir()), []);
      const corpus = {
        ...(await planBoost(asked, { signal, report: () => undefined })).corpus,
        tokens: 4000,
      };
      const stages = await expectedStages(frozen, asked, { tokens, corpus }, signal);
      assert.deepEqual(
        stages.map(({ phase }) => phase),
        ['computing activations', 'training', 'measuring'],
      );
    } finally {
      await frozen.dispose();
    }
  });
});
