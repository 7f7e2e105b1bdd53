import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Gate } from '../../src/common/gate.ts';
import type { RouterFitRequest } from '../../src/contracts/routerFit.ts';
import type { RouterFitProgress } from '../../src/contracts/trainer.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { loadModel } from '../../src/engine/model/loadModel.ts';
import { fitRouters, identityRouters, loadFitted } from '../../src/engine/lime/routerFit.ts';
import { planRouterFit } from '../../src/engine/lime/routerFitPlan.ts';
import { RoutedLoss, type WindowLoss } from '../../src/engine/lime/routedLoss.ts';
import { readFittedRouters, routerName, writeFittedRouters } from '../../src/lime/fittedRouters.ts';
import { llamaPieces, writePieces } from '../fixtures/llamaFolder.ts';
import { fixture } from './model.ts';
import { tinyBoost } from './tinyBoost.ts';

let folder: string;
let asked: RouterFitRequest;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-fit-'));
  const { model, corpus } = await tinyBoost(folder);
  asked = {
    model,
    corpus,
    folder: join(folder, 'fit'),
    name: 'chemistry',
    tokens: 30_000,
    seed: 0,
  };
});
after(() => rm(folder, { recursive: true, force: true }));

function options(report: (progress: RouterFitProgress) => void = () => undefined) {
  return { signal: new AbortController().signal, gate: new Gate(), report };
}

/** Ends the fit when it has gone `steps` steps. */
async function interrupted(request: RouterFitRequest, steps: number): Promise<void> {
  const abort = new AbortController();
  const fit = fitRouters(request, {
    signal: abort.signal,
    gate: new Gate(),
    report: ({ step }) => {
      if (step >= steps) abort.abort(new Failure('cancelled', 'Enough.'));
    },
  });
  await assert.rejects(fit, error => Failure.is(error, 'cancelled'));
}

describe('Fitting routers', () => {
  it('lowers the cross-entropy of held-out text and leaves routers that run', async t => {
    const seen: RouterFitProgress[] = [];
    const report = await fitRouters(
      asked,
      options(progress => seen.push(progress)),
    );
    const { ceBefore, ceAfter, heldOutTokens, steps, tokens } = report.fit;
    t.diagnostic(`CE ${ceBefore.toFixed(4)} -> ${ceAfter.toFixed(4)} over ${heldOutTokens} tokens`);
    assert.ok(ceAfter < ceBefore);
    assert.ok(Math.abs(tokens - asked.tokens) <= tokens / steps);
    assert.equal(report.curve.length, steps);
    assert.deepEqual(
      [...new Set(seen.map(({ phase }) => phase))],
      ['reading text', 'measuring before', 'fitting', 'measuring after'],
    );
    assert.ok(
      seen.some(
        ({ secondsLeft, tokensPerSecond }) => secondsLeft !== null && tokensPerSecond !== null,
      ),
    );

    // The file loads beside the model, and says the cross-entropy that the fit said.
    const routed = await ModelRunner.open({ ...asked.model, routers: asked.folder });
    const plain = await ModelRunner.open(asked.model);
    try {
      const tokenIds = Uint32Array.from({ length: 40 }, (_, i) => (i * 31) % 200);
      const [one, other] = [
        await routed.run({ tokenIds, hooks: [], head: 'logits' }),
        await plain.run({ tokenIds, hooks: [], head: 'logits' }),
      ];
      assert.notDeepEqual(one.logits, other.logits);
    } finally {
      await routed.dispose();
      await plain.dispose();
    }
  });

  it('begins at the model itself, bit for bit', async () => {
    const model = await loadModel(asked.model, {});
    const { name, hash } = model.info;
    const identity = join(folder, 'identity');
    const figures = { tokens: 0, steps: 0, seed: 0, heldOutTokens: 0, ceBefore: 0, ceAfter: 0 };
    await writeFittedRouters(identity, identityRouters(model.config), {
      model: { name, hash },
      fit: { name: 'identity', ...figures },
      keyValueHeads: model.config.keyValueHeads,
    });
    const [plain, routed] = [
      await ModelRunner.open(asked.model),
      await ModelRunner.open({ ...asked.model, routers: identity }),
    ];
    try {
      const tokenIds = Uint32Array.from({ length: 60 }, (_, i) => (i * 17) % 200);
      const request = { tokenIds, hooks: [], head: 'logits' } as const;
      assert.deepEqual((await routed.run(request)).logits, (await plain.run(request)).logits);
    } finally {
      await plain.dispose();
      await routed.dispose();
    }
  });

  const wide = (headWidth: number) => () =>
    writePieces(join(folder, `w${headWidth}`), llamaPieces(1, headWidth));
  const family = (name: string) => () => Promise.resolve(fixture(`architectures/${name}`));
  const routable: readonly (readonly [string, () => Promise<string>])[] = [
    ['heads 16 wide', wide(16)],
    ['heads 12 wide', wide(12)],
    ['Llama 3 with biases', family('llama')],
    ['Qwen 2', family('qwen2')],
    ['Qwen 3', family('qwen3')],
    ['OLMo 2', family('olmo2')],
  ];
  for (const [what, pathOf] of routable) {
    it(`gives the gradient that finite differences give, ${what}`, async () => {
      const path = await pathOf();
      const model = await loadModel({ ...asked.model, path }, {});
      const routers = identityRouters(model.config);
      const window = Uint32Array.from({ length: 48 }, (_, i) => (i * i * 13) % 50);
      const gradients = await RoutedLoss.open(model, { withGradients: true });
      const forward = await RoutedLoss.open(model, { withGradients: false });
      try {
        const { surprisal, gradients: found } = await gradients.run(window, routers);
        assert.ok(Math.abs(surprisal - (await forward.run(window, routers)).surprisal) < 1e-3);
        for (const [layer, router] of routers) {
          for (const at of [0, router.length - 1]) {
            const own = router[at] ?? NaN;
            const lossAt = async (value: number): Promise<number> => {
              router[at] = value;
              const { surprisal } = await forward.run(window, routers);
              router[at] = own;
              return surprisal;
            };
            const step = 0.02;
            const expected = ((await lossAt(own + step)) - (await lossAt(own - step))) / (2 * step);
            const actual = found.get(layer)?.[at] ?? NaN;
            const limit = 0.02 + 0.02 * Math.abs(expected);
            assert.ok(Math.abs(actual - expected) < limit, `${actual} ${expected}`);
          }
        }
      } finally {
        await gradients.dispose();
        await forward.dispose();
      }
    });
  }

  it('refuses models whose operations it does not differentiate', async () => {
    for (const name of ['gpt2', 'gpt_neox', 'gemma2', 'gemma3', 'mistral', 'phi3']) {
      const path = fixture(`architectures/${name}`);
      const refused = loadFitted({ model: { ...asked.model, path } }, options());
      await assert.rejects(
        refused,
        error => Failure.is(error, 'unsupported') && error.message.includes('fits no routers'),
      );
    }
  });

  it('goes on where it was interrupted, with the same result byte for byte', async () => {
    const [whole, inParts] = [join(folder, 'whole'), join(folder, 'parts')];
    const short = { ...asked, tokens: 12_000 };
    await fitRouters({ ...short, folder: whole }, options());
    await interrupted({ ...short, folder: inParts }, 2);
    await interrupted({ ...short, folder: inParts }, 6);
    await fitRouters({ ...short, folder: inParts }, options());
    for (const file of ['routers.safetensors', 'report.json']) {
      assert.deepEqual(await readFile(join(inParts, file)), await readFile(join(whole, file)));
    }
  });

  it('stops where a device gives what is no number, and keeps the last good step', async t => {
    const [whole, spoilt] = [join(folder, 'unspoilt'), join(folder, 'spoilt')];
    const short = { ...asked, tokens: 8_000 };
    await fitRouters({ ...short, folder: whole }, options());
    const spoils: readonly ((loss: WindowLoss) => WindowLoss)[] = [
      loss => ({ ...loss, surprisal: NaN }),
      loss => ({ ...loss, gradients: new Map([[1, Float32Array.of(0, Infinity)]]) }),
    ];
    const run = Object.getOwnPropertyDescriptor(RoutedLoss.prototype, 'run')
      ?.value as RoutedLoss['run'];
    for (const spoil of spoils) {
      let trained = 0;
      const spoiling = t.mock.method(
        RoutedLoss.prototype,
        'run',
        async function (this: RoutedLoss, ...args: Parameters<RoutedLoss['run']>) {
          const loss = await run.apply(this, args);
          // Within a step.
          return loss.gradients.size > 0 && ++trained > 6 ? spoil(loss) : loss;
        },
      );
      await assert.rejects(
        fitRouters({ ...short, folder: spoilt }, options()),
        error =>
          Failure.is(error, 'internal') && error.message.includes('is not a number in step '),
      );
      spoiling.mock.restore();
    }
    await fitRouters({ ...short, folder: spoilt }, options());
    const name = 'routers.safetensors';
    assert.deepEqual(await readFile(join(spoilt, name)), await readFile(join(whole, name)));
  });

  it('closes its session where its checkpoint cannot be written', async t => {
    const open = t.mock.method(RoutedLoss, 'open');
    const dispose = t.mock.method(RoutedLoss.prototype, 'dispose');
    const at = join(folder, 'unwritable');
    let isTaken = false;
    const fit = fitRouters(
      { ...asked, tokens: 8_000, folder: at },
      options(({ phase }) => {
        if (phase !== 'fitting' || isTaken) return;
        isTaken = true;
        const checkpoint = join(at, 'checkpoint.safetensors');
        rmSync(checkpoint);
        mkdirSync(join(checkpoint, 'taken'), { recursive: true });
      }),
    );
    await assert.rejects(fit);
    assert.equal(open.mock.callCount(), 2);
    assert.equal(dispose.mock.callCount(), 2);
  });

  it('is held while its gate is closed', async () => {
    const gate = new Gate();
    let last = 0;
    let heldAt: number | undefined;
    const fit = fitRouters(
      { ...asked, tokens: 30_000, folder: join(folder, 'paused') },
      {
        signal: new AbortController().signal,
        gate,
        report: ({ phase, step }) => {
          last = step;
          if (phase !== 'fitting' || step < 3 || heldAt !== undefined) return;
          heldAt = step;
          gate.close();
        },
      },
    );
    const isDone = await Promise.race([
      fit.then(() => true),
      new Promise(resolve => setTimeout(() => resolve(false), 3000)),
    ]);
    assert.equal(isDone, false);
    assert.equal(last, heldAt);
    gate.open();
    const report = await fit;
    assert.ok(report.fit.steps > (heldAt ?? Infinity));
  });

  it('refuses a folder with another fit', async () => {
    const other = { ...asked, seed: 1 };
    await assert.rejects(fitRouters(other, options()), error => Failure.is(error, 'mismatch'));
  });

  it('plans with what a step just now took', async () => {
    const plan = await planRouterFit(asked, {
      signal: new AbortController().signal,
      report: () => undefined,
    });
    assert.ok(plan.corpus.tokens > 1000);
    assert.equal(plan.tokens, asked.tokens);
    assert.ok(plan.secondsPerToken > 0 && plan.bytes > 2 ** 20);
  });
});

describe('Fitted routers', () => {
  it('are refused beside another model', async () => {
    const path = await writePieces(join(folder, 'other'), llamaPieces());
    const request = { ...asked.model, path, routers: asked.folder };
    await assert.rejects(ModelRunner.open(request), error => {
      assert.ok(Failure.is(error, 'mismatch'));
      assert.match(error.message, /routers were fitted to/);
      return true;
    });
  });

  it('are refused where the file is another, broken or gone', async () => {
    const broken = join(folder, 'broken.safetensors');
    const whole = join(asked.folder, 'routers.safetensors');
    await writeFile(broken, (await readFile(whole)).subarray(0, -8));
    const strange = join(folder, 'strange.safetensors');
    await copyFile(join(folder, 'base', 'sae_weights.safetensors'), strange);
    const open = (routers: string) => ModelRunner.open({ ...asked.model, routers });
    await assert.rejects(open(broken), error => Failure.is(error, 'bad-file'));
    await assert.rejects(open(strange), error => Failure.is(error, 'bad-file'));
    await assert.rejects(open(join(folder, 'nowhere')), error => Failure.is(error, 'not-found'));
  });

  it('say how they were fitted', async () => {
    const { fit, model, file } = await readFittedRouters(asked.folder);
    assert.equal(fit.name, 'chemistry');
    assert.match(model.hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(file.tensors.get(routerName(1))?.dtype, 'F32');
  });
});
