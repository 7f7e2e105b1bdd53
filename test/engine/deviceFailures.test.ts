import assert from 'node:assert/strict';
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Failure } from '../../src/common/failure.ts';
import type { AnalyzeResult } from '../../src/contracts/commandLine.ts';
import type { DeviceState } from '../../src/contracts/devices.ts';
import type { AnalysisPart, EngineContract, ModelRequest } from '../../src/contracts/engine.ts';
import { createCaller } from '../../src/messages/calls.ts';
import { connectChild } from '../../src/messages/childProcess.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { failingRuntime, type DeviceScript } from '../fixtures/failingRuntime.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';

/*
 * Devices that fail as scripted, in a real engine process: whatever happens, the analysis is that of the CPU, and what the
 * engine tells says why.
 */

const program = fileURLToPath(new URL('../../src/engine/main.ts', import.meta.url));
const text = 'hello, hello: the quick brown fox. '.repeat(20);
const children: ChildProcess[] = [];
let folder = '';
let sae = '';
let onCpu: Float32Array;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-failing-'));
  await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  await writeFile(join(folder, 'text.txt'), text);
  sae = join(folder, 'sae');
  await writeRandomSae(sae, 96, 64);
  const hook = 'blocks.0.hook_resid_post';
  await writeSaeLens({ ...(await readSaeLens(sae)), hook }, sae);
  const { caller } = start({});
  await caller.call('loadModel', request('cpu'));
  await caller.call('loadSae', { path: sae, domains: [] });
  onCpu = await surprisal(caller);
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

function start(environment: Readonly<Record<string, string>>) {
  const child = fork(program, {
    serialization: 'advanced',
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...noAdapter, ...environment },
  });
  children.push(child);
  let said = '';
  child.stderr?.on('data', chunk => (said += String(chunk)));
  const caller = createCaller<EngineContract>(connectChild(child));
  const states: DeviceState[] = [];
  caller
    .call('watchDevice', null, { onProgress: state => states.push(state) })
    .catch(() => undefined);
  return { child, caller, states, said: () => said };
}

/** No driver is to be found, whatever this machine has. */
const noAdapter = { VK_ICD_FILENAMES: '/nowhere', VK_DRIVER_FILES: '/nowhere' };

function request(
  device: 'cpu' | 'webgpu' | 'auto',
  more: Partial<ModelRequest> = {},
): ModelRequest {
  const path = join(folder, 'tiny.gguf');
  return {
    path,
    cacheFolder: join(folder, 'cache'),
    threads: 1,
    device,
    precision: 'float32',
    ...more,
  };
}

async function surprisal(caller: ReturnType<typeof start>['caller']): Promise<Float32Array> {
  const parts: AnalysisPart[] = [];
  await caller.call(
    'analyze',
    { documentId: 'a', text, visible: { start: 0, end: 10 }, predictions: 1 },
    { onProgress: part => parts.push(part) },
  );
  const tokens = Math.max(...parts.map(part => part.firstToken + part.starts.length));
  const all = new Float32Array(tokens).fill(-1);
  for (const part of parts) all.set(part.surprisal, part.firstToken);
  return all;
}

function requireSame(found: Float32Array): void {
  assert.equal(found.length, onCpu.length);
  // The first token has none; float32 in another order makes 1e-6 of it.
  const apart = found.slice(1).map((value, i) => Math.abs(value - (onCpu[i + 1] ?? NaN)));
  assert.ok(Math.max(...apart) < 1e-4, String(Math.max(...apart)));
}

describe(
  'no adapter',
  { skip: process.platform !== 'linux' && 'elsewhere it cannot be hidden' },
  () => {
    for (const device of ['auto', 'webgpu'] as const) {
      it(`ends in a working session on the CPU: ${device}`, async () => {
        const { caller, states, said } = start({});
        const info = await caller.call('loadModel', request(device));
        const note = 'WebGPU is not used: no graphics adapter was found.';
        assert.deepEqual([info.device, info.deviceNote], ['CPU', note]);
        await caller.call('loadSae', { path: sae, domains: [] });
        assert.deepEqual(await surprisal(caller), onCpu);
        const { weightBytes = 0, residentBytes = 0, ...last } = states.at(-1) ?? {};
        const precision = 'float32, decoded from Q8_0, F32';
        assert.deepEqual(last, { device: 'cpu', note, precision });
        assert.ok(weightBytes > 96 * 64 * 4 && weightBytes < 10_000_000, String(weightBytes));
        assert.ok(residentBytes > 20_000_000, String(residentBytes));
        assert.ok(said().includes(note));
      });
    }
  },
);

describe('the precision of a model whose request names none', () => {
  it('is float32, on a device with arithmetic of float16 too', async () => {
    const environment = await failingRuntime(await mkdtemp(join(folder, 'runtime-')), {
      after: 1e9,
    });
    const { caller, said, states } = start(environment);
    const { path, cacheFolder, threads, device = 'webgpu' } = request('webgpu');
    const plain = { path, cacheFolder, threads, device };
    const info = await caller.call('loadModel', plain);
    assert.equal(info.device, 'WebGPU', said());
    assert.match(info.precision, /^float32[^()]*$/);
    const weights = () => states.at(-1)?.weightBytes ?? NaN;
    const model = weights();
    await caller.call('loadSae', { path: sae, domains: [] });
    // The decoder is on the device too.
    assert.equal(weights(), model + 2 * 96 * 64 * 4);
    const auto = await caller.call('loadModel', { ...plain, precision: 'auto' });
    assert.match(auto.precision, /float16: /, said());
    assert.ok(weights() < 0.75 * model, `${weights()} of ${model}`);
  });
});

const lost = 'webgpu: Device is lost.';
const memory = 'Failed to allocate memory for requested buffer of size 5368709120';
const scripts: [string, DeviceScript, RegExp][] = [
  [
    'an adapter that is lost in the middle of an analysis',
    { after: 3, run: lost },
    /^WebGPU was lost, and the CPU goes on: The run failed: webgpu: Device is lost\. Restart Engine tries it again\.$/,
  ],
  [
    'an adapter that is lost at once',
    { run: lost },
    /^WebGPU was lost, and the CPU goes on: The run failed: webgpu: Device is lost\. Restart Engine tries it again\.$/,
  ],
  [
    'too little memory for the weights',
    { open: memory },
    /^WebGPU ran out of memory, and the CPU goes on: onnxruntime refused the graph: Failed to allocate memory for requested buffer of size 5368709120\. Restart Engine tries it again\.$/,
  ],
  [
    'too little memory for a run',
    { after: 2, run: memory },
    /^WebGPU ran out of memory, and the CPU goes on: The run failed: Failed to allocate memory/,
  ],
];

describe('a device that fails', () => {
  for (const [what, script, why] of scripts) {
    it(`ends in a working session on the CPU: ${what}`, async () => {
      const environment = await failingRuntime(await mkdtemp(join(folder, 'runtime-')), script);
      const { caller, states, said } = start(environment);
      const info = await caller.call('loadModel', request('webgpu'));
      assert.deepEqual([info.device, info.deviceNote], ['WebGPU', undefined], said());
      await caller.call('loadSae', { path: sae, domains: [] });
      requireSame(await surprisal(caller));
      assert.equal(states[0]?.device, 'webgpu');
      assert.equal(states[0].note, undefined);
      const last = states.at(-1);
      assert.equal(last?.device, 'cpu');
      assert.equal(last.failed, true);
      assert.match(last.note ?? '', why);
      // Into the log goes what happened alone.
      const [happened = '-'] = (last.note ?? '-').split(' Restart Engine');
      assert.ok(said().includes(happened), said());
      assert.ok(!said().includes('Restart Engine'), said());
      // All that is opened from here on is the CPU's.
      await caller.call('loadSae', { path: sae, domains: [] });
      requireSame(await surprisal(caller));
      assert.equal(states.at(-1)?.note, last.note);
    });
  }

  it('is told of by the command line, which goes on', async () => {
    const environment = await failingRuntime(await mkdtemp(join(folder, 'runtime-')), {
      ...{ after: 2, run: lost },
    });
    const analyze = (...device: string[]) =>
      promisify(execFile)(
        process.execPath,
        [
          ...['--import', 'tsx', fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))],
          ...['analyze', join(folder, 'text.txt'), '--json', '--sae', sae, '--threads', '1'],
          ...['--model', join(folder, 'tiny.gguf'), '--cache', join(folder, 'cache'), ...device],
        ],
        { env: { ...process.env, ...noAdapter, ...environment }, maxBuffer: 2 ** 26 },
      );
    const [failed, cpu] = await Promise.all([analyze('--device', 'webgpu'), analyze()]);
    assert.match(
      failed.stderr,
      /^WebGPU was lost, and the CPU goes on: The run failed: webgpu: Device is lost\.$/m,
    );
    assert.doesNotMatch(cpu.stderr, /WebGPU/);
    const [found, expected] = [failed, cpu].map(
      ({ stdout }) => (JSON.parse(stdout) as AnalyzeResult).tokens,
    );
    assert.equal(found?.length, expected?.length);
    requireSame(Float32Array.from(found ?? [], ({ surprisal }) => surprisal ?? NaN));
  });

  it(
    'may end the process: what is pending fails, and the next one is told to leave the device',
    { skip: process.platform === 'win32' },
    async () => {
      const environment = await failingRuntime(await mkdtemp(join(folder, 'runtime-')), {
        ...{ after: 2, signal: 'SIGABRT' },
      });
      const first = start(environment);
      await first.caller.call('loadModel', request('webgpu'));
      await first.caller.call('loadSae', { path: sae, domains: [] });
      const ended = once(first.child, 'exit');
      await assert.rejects(surprisal(first.caller), error => Failure.is(error, 'stopped'));
      assert.deepEqual(await ended, [null, 'SIGABRT']);
      assert.equal(first.states.at(-1)?.device, 'webgpu');
      const insteadOfDevice =
        'The engine stopped twice on WebGPU (signal SIGABRT), and the CPU goes on.';
      const next = start(environment);
      const info = await next.caller.call('loadModel', request('webgpu', { insteadOfDevice }));
      assert.deepEqual([info.device, info.deviceNote], ['CPU', insteadOfDevice]);
      await next.caller.call('loadSae', { path: sae, domains: [] });
      assert.deepEqual(await surprisal(next.caller), onCpu);
    },
  );
});
