import assert from 'node:assert/strict';
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../src/common/failure.ts';
import {
  engineProtocol,
  type AnalysisPart,
  type AnalyzeRequest,
  type EngineContract,
} from '../../src/contracts/engine.ts';
import { createCaller } from '../../src/messages/calls.ts';
import { connectChild } from '../../src/messages/childProcess.ts';
import { writeRandomResidual, writeRandomSae } from '../fixtures/randomSae.ts';
import { fixture, modelRequest } from './model.ts';

const program = fileURLToPath(new URL('../../src/engine/main.ts', import.meta.url));
const text = 'A loupe is a lens held to the eye. '.repeat(6);
const request: AnalyzeRequest = {
  documentId: 'a',
  text,
  visible: { start: 0, end: 10 },
  predictions: 2,
};

interface Named {
  readonly name: string;
  readonly path: string;
}
type Four = [Named, Named, Named, Named];

const children: ChildProcess[] = [];
let folder = '';

function start() {
  const child = fork(program, {
    serialization: 'advanced',
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.push(child);
  let printed = '';
  child.stdout?.on('data', chunk => (printed += String(chunk)));
  const caller = createCaller<EngineContract>(connectChild(child));
  return { child, caller, printed: () => printed };
}

function failsWith(code: Failure['code'], ...named: RegExp[]) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    for (const pattern of named) assert.match(error.message, pattern);
    return true;
  };
}

async function untilGone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await wait(50);
  }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-engine-'));
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

describe('the engine process', () => {
  const engine = start();
  const { caller } = engine;

  it('shakes hands with its own build only', async () => {
    const info = await caller.call('hello', { protocol: engineProtocol });
    assert.equal(info.pid, engine.child.pid);
    assert.match(info.runtime, /^onnxruntime-node \d+\.\d+\.\d+$/);
    const other = caller.call('hello', { protocol: engineProtocol + 1 });
    await assert.rejects(other, failsWith('mismatch'));
  });

  it('says what is missing before a model and an SAE are loaded', async () => {
    await assert.rejects(caller.call('analyze', request), failsWith('not-ready', /model/));
    await assert.rejects(caller.call('featureLabels', null), failsWith('not-ready'));
    const sae = caller.call('loadSae', { path: fixture('evaluation'), domains: [] });
    await assert.rejects(sae, failsWith('not-ready', /model/));
  });

  it('survives messages that are none', async () => {
    const junk = [
      null,
      'x',
      { jsonrpc: '2.0' },
      { jsonrpc: '2.0', id: 1, method: 'analyze' },
      { jsonrpc: '2.0', id: 2, method: 'analyze', params: { input: { text: 3 } } },
      { jsonrpc: '2.0', id: 3, method: '__proto__', params: {} },
      { jsonrpc: '2.0', method: '$/cancelRequest' },
      { jsonrpc: '2.0', id: null, result: 1 },
      { jsonrpc: '2.0', id: 99_999, error: 'no' },
    ];
    for (const message of junk) engine.child.send(message as object);
    assert.equal((await caller.call('hello', { protocol: engineProtocol })).pid, engine.child.pid);
  });

  it('refuses a model that is missing or broken, and loads the next', async () => {
    const missing = { ...modelRequest(), path: join(folder, 'none.gguf') };
    await assert.rejects(caller.call('loadModel', missing), failsWith('not-found', /none\.gguf/));
    const broken = { ...modelRequest(), path: join(folder, 'broken.gguf') };
    await writeFile(broken.path, 'GGUF, or so it says');
    await assert.rejects(caller.call('loadModel', broken), failsWith('bad-file', /broken\.gguf/));
    const steps: string[] = [];
    const info = await caller.call('loadModel', modelRequest(), {
      onProgress: ({ step }) => steps.push(step),
    });
    assert.equal(info.width, 576);
    assert.match(info.hash, /^[0-9a-f]{64}$/);
  });

  it('refuses an SAE that does not fit the model, naming both', async () => {
    await assert.rejects(
      caller.call('loadSae', { path: fixture('saelens/topk'), domains: [] }),
      failsWith('mismatch', /SmolLM2-135M-Instruct/, /576/),
    );
    const other = join(folder, 'other');
    await cp(fixture('evaluation'), other, { recursive: true });
    const cfg = await readFile(join(other, 'cfg.json'), 'utf8');
    await writeFile(join(other, 'cfg.json'), cfg.replace('blocks.4.', 'blocks.40.'));
    await assert.rejects(
      caller.call('loadSae', { path: other, domains: [] }),
      failsWith('mismatch', /SmolLM2-135M-Instruct/, /blocks\.40\.hook_resid_post/),
    );
    const none = caller.call('loadSae', { path: join(folder, 'none'), domains: [] });
    await assert.rejects(none, failsWith('not-found'));
  });

  it('refuses a broken SAE and keeps the one before', async () => {
    const info = await caller.call('loadSae', { path: fixture('evaluation'), domains: [] });
    assert.deepEqual([info.features, info.maxK, info.hook], [64, 16, 'blocks.4.hook_resid_post']);
    const broken = join(folder, 'broken');
    await cp(fixture('evaluation'), broken, { recursive: true });
    const weights = join(broken, 'sae_weights.safetensors');
    await copyFile(join(broken, 'cfg.json'), weights);
    await assert.rejects(
      caller.call('loadSae', { path: broken, domains: [] }),
      failsWith('bad-file'),
    );
    assert.equal((await caller.call('featureLabels', null)).labels.length, 64);
  });

  it('analyses a document, part by part', async () => {
    const parts: AnalysisPart[] = [];
    const summary = await caller.call('analyze', request, { onProgress: part => parts.push(part) });
    assert.equal(summary.computed, summary.tokens);
    const ends = parts.flatMap(({ starts, ends }) =>
      Array.from(starts, (start, i) => text.slice(start, ends[i])),
    );
    assert.equal(ends.join(''), text);
    for (const part of parts) {
      const t = part.tokenIds.length;
      assert.deepEqual(
        [
          part.features.length,
          part.squaredError.length,
          part.probabilities.length,
          part.sum.length,
        ],
        [t * 16, t * 16, t * 2, 576],
      );
      assert.ok(part.features instanceof Uint32Array && part.sum instanceof Float64Array);
    }
    const again = await caller.call('analyze', request);
    assert.deepEqual([again.reused, again.computed], [summary.tokens, 0]);
    await caller.call('forget', { documentId: 'a' });
    assert.equal((await caller.call('analyze', request)).reused, 0);
    const empty = await caller.call('analyze', { ...request, documentId: 'e', text: '' });
    assert.equal(empty.tokens, 0);
  });

  it('stops an analysis that is cancelled and goes on with the next', async () => {
    const abort = new AbortController();
    const long = { ...request, documentId: 'long', text: text.repeat(30) };
    const running = caller.call('analyze', long, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await assert.rejects(running, failsWith('cancelled'));
    const next = await caller.call('analyze', { ...request, documentId: 'next' });
    assert.ok(next.tokens > 0);
  });

  it('cancels the analyses of an SAE that is replaced', async () => {
    const long = { ...request, documentId: 'replaced', text: text.repeat(30) };
    let load: Promise<unknown> | undefined;
    const running = caller.call('analyze', long, {
      onProgress: () => {
        load ??= caller.call('loadSae', { path: fixture('evaluation'), domains: [] });
      },
    });
    await assert.rejects(running, failsWith('cancelled', /another SAE/));
    await load;
    assert.ok((await caller.call('analyze', { ...request, documentId: 'n2' })).tokens > 0);
  });

  it('refuses a feature that the SAE does not have', async () => {
    for (const feature of [64, -1, 0.5]) {
      await assert.rejects(caller.call('featureCard', { feature }), failsWith('not-found'));
    }
  });

  it('loads the domains that fit beside the SAE, and names those that do not', async () => {
    const hook = 'blocks.4.hook_resid_post';
    const domain = (name: string) => ({ name, path: join(folder, name) });
    const [a, wrong, b, none] = ['a', 'wrong', 'b', 'none'].map(domain) as Four;
    await writeRandomResidual(a.path, { hook, threshold: 6 });
    await writeRandomResidual(wrong.path, { hook: 'blocks.5.hook_resid_post' });
    await writeRandomResidual(b.path, { hook, threshold: 6, width: 48, seed: 9 });
    const path = fixture('evaluation');
    const alone = await caller.call('loadSae', { path, domains: [] });
    const sae = await caller.call('loadSae', { path, domains: [a, wrong, b, none] });
    assert.equal(sae.hash, alone.hash);
    assert.deepEqual(
      sae.domains.map(({ name, first, features }) => [name, first, features]),
      [
        ['a', 64, 64],
        ['b', 128, 48],
      ],
    );
    assert.equal(new Set([sae.hash, ...sae.domains.map(({ hash }) => hash)]).size, 3);
    assert.deepEqual(
      sae.refused.map(({ name }) => name),
      ['wrong', 'none'],
    );
    assert.match(sae.refused[0]?.message ?? '', /domain wrong.*blocks\.5.*blocks\.4/);
    assert.equal((await caller.call('featureLabels', null)).labels.length, 64 + 64 + 48);
    const parts: AnalysisPart[] = [];
    await caller.call(
      'analyze',
      { ...request, documentId: 'd' },
      { onProgress: p => parts.push(p) },
    );
    for (const { tokenIds, domains, gram } of parts) {
      const t = tokenIds.length;
      assert.deepEqual([domains.length, gram.length], [2, t * 4]);
      domains.forEach(({ k, features, activations, products }, i) => {
        assert.ok(k > 0);
        assert.deepEqual(
          [features.length, activations.length, products.length],
          [t * k, t * k, t * 16],
        );
        const { first = NaN, features: own = NaN } = sae.domains[i] ?? {};
        assert.ok(
          features.every((f, j) => activations[j] === 0 || (f >= first && f < first + own)),
        );
      });
    }
    const card = (feature: number) => caller.call('featureCard', { feature });
    await assert.rejects(card(64 + 3), failsWith('not-found', /feature 3 of the domain a\./));
    await assert.rejects(card(64 + 64 + 48), failsWith('not-found', /0 to 175/));
  });

  it('tells an SAE from the one that was at its path before', async () => {
    const path = join(folder, 'rewritten');
    await writeRandomSae(path);
    const before = await caller.call('loadSae', { path, domains: [] });
    await writeRandomSae(path, 128);
    const after = await caller.call('loadSae', { path, domains: [] });
    assert.notEqual(after.hash, before.hash);
    await caller.call('loadSae', { path: fixture('evaluation'), domains: [] });
  });

  it('refuses a text that is too long, and input of the wrong kind', async () => {
    const long = caller.call('analyze', { ...request, text: 'a '.repeat(2 ** 20) });
    await assert.rejects(long, failsWith('too-large'));
    const wrong = { ...request, text: 7 } as unknown as AnalyzeRequest;
    await assert.rejects(caller.call('analyze', wrong), failsWith('internal'));
    assert.ok((await caller.call('analyze', { ...request, documentId: 'ok' })).tokens > 0);
  });

  it('settles what is pending when it is killed in the middle of a run', async () => {
    const long = { ...request, documentId: 'killed', text: text.repeat(30) };
    const running = caller.call('analyze', long, {
      onProgress: () => engine.child.kill('SIGKILL'),
    });
    await assert.rejects(running, failsWith('stopped'));
    await assert.rejects(caller.call('analyze', request), failsWith('stopped'));
  });

  it('has written nothing to stdout', () => {
    assert.equal(engine.printed(), '');
  });
});

describe("the engine process's life", () => {
  it('ends when its parent lets go of it', async () => {
    const { child, caller } = start();
    await caller.call('hello', { protocol: engineProtocol });
    child.disconnect();
    if (child.exitCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 0);
  });

  it('ends when its parent is killed', async () => {
    const parent = fork(fixture('engineParent.ts'), [program], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    children.push(parent);
    const [pid] = (await once(parent, 'message')) as [number];
    assert.ok(Number.isInteger(pid));
    parent.kill('SIGKILL');
    await untilGone(pid);
  });

  it('says what it is when a person starts it', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', program]);
    children.push(child);
    let [printed, said] = ['', ''];
    child.stdout.on('data', chunk => (printed += String(chunk)));
    child.stderr.on('data', chunk => (said += String(chunk)));
    const [code] = (await once(child, 'close')) as [number];
    assert.deepEqual([code, printed], [2, '']);
    assert.match(said, /engine process/);
  });
});
