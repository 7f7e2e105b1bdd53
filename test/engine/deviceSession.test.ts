import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { InferenceSession } from 'onnxruntime-node';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Failure } from '../../src/common/failure.ts';
import { DeviceInUse } from '../../src/engine/devices/deviceInUse.ts';
import { loadModel } from '../../src/engine/model/loadModel.ts';
import { RoutedLoss } from '../../src/engine/lime/routedLoss.ts';
import { identityRouters } from '../../src/engine/lime/routerFit.ts';
import { openSession, Session } from '../../src/engine/sessions/session.ts';
import { float32Tensor } from '../../src/engine/sessions/tensors.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { difference } from './difference.ts';
import { fixture } from './model.ts';
import { good, programIn, told } from './probePrograms.ts';

// No driver is to be found in this process and those that it forks, whatever this machine has.
process.env['VK_ICD_FILENAMES'] = process.env['VK_DRIVER_FILES'] = '/nowhere';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-session-'));
});
after(() => rm(folder, { recursive: true }));

describe('a session whose device fails', () => {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['T']);
  graph.output(graph.op('Add', [x, x]), 'y', 'float32', ['T']);
  const feeds = { x: float32Tensor(Float32Array.of(1, 2), [2]) };

  /** On a device that is lost with the first run; the CPU's own session takes its place. */
  function lost(message: string, deviceFailed?: (why: Failure) => void): Session {
    const failing: Partial<InferenceSession> = {
      inputNames: ['x'],
      outputNames: ['y'],
      run: () => Promise.reject(new Error(message)),
      release: () => Promise.reject(new Error('nothing is left')),
    };
    const open = () => InferenceSession.create(graph.bytes());
    return new Session(failing as InferenceSession, deviceFailed && { open, deviceFailed });
  }

  for (const [message, code] of [
    ['Device is lost.', 'internal'],
    ['Failed to allocate memory for requested buffer of size 5368709120', 'out-of-memory'],
  ] as const) {
    it(`goes on on the CPU, and says why: ${message}`, async () => {
      const failures: Failure[] = [];
      const session = lost(message, why => failures.push(why));
      const [first, second] = [await session.run(feeds), await session.run(feeds)];
      assert.deepEqual(first['y']?.data, Float32Array.of(2, 4));
      assert.deepEqual(second['y']?.data, Float32Array.of(2, 4));
      assert.deepEqual(
        failures.map(failure => failure.code),
        [code],
      );
      assert.ok(failures[0]?.message.includes(message));
      await session.dispose();
    });
  }

  it('takes all of its runs in progress along, and those that come meanwhile', async () => {
    const failures: Failure[] = [];
    const session = lost('Device is lost.', why => failures.push(why));
    const runs = [1, 2, 3].map(() => session.run(feeds));
    await new Promise(resolve => setImmediate(resolve));
    for (const { y } of await Promise.all([...runs, session.run(feeds)])) {
      assert.deepEqual(y?.data, Float32Array.of(2, 4));
    }
    assert.equal(failures.length, 1);
    await session.dispose();
  });

  it('lets go of the session in its place, where it is disposed of meanwhile', async () => {
    const session = lost('Device is lost.', () => undefined);
    const run = session.run(feeds);
    await new Promise(resolve => setImmediate(resolve));
    await Promise.all([
      session.dispose(),
      assert.rejects(run, error => Failure.is(error, 'stopped')),
    ]);
  });

  it('blames no device for a run of a session that is disposed of meanwhile, and opens no other', async () => {
    const failures: Failure[] = [];
    let opened = 0;
    const inner = await InferenceSession.create(graph.bytes());
    const open = async () => {
      opened++;
      return InferenceSession.create(graph.bytes());
    };
    const session = new Session(inner, { open, deviceFailed: why => failures.push(why) });
    const run = session.run(feeds);
    await Promise.all([
      session.dispose(),
      assert.rejects(run, error => Failure.is(error, 'stopped')),
    ]);
    assert.deepEqual([failures, opened], [[], 0]);
  });

  it('blames no device for what the CPU cannot open either', async () => {
    const failures: Failure[] = [];
    const deviceFailed = (why: Failure): void => void failures.push(why);
    const gone = new Graph();
    const x = gone.input('x', 'float32', ['T']);
    const weight = gone.external('w', {
      ...{ location: 'nowhere/weights.bin', offset: 0, byteLength: 8, shape: [2] },
    });
    gone.output(gone.op('Add', [x, weight]), 'y', 'float32', ['T']);
    const options = { threads: 1, device: 'webgpu', deviceFailed } as const;
    await assert.rejects(openSession(gone.bytes(), options), /weights\.bin/);
    const failing: Partial<InferenceSession> = {
      ...{ inputNames: ['x'], outputNames: ['y'] },
      run: () => Promise.reject(new Error('nowhere/weights.bin is gone')),
      release: () => Promise.resolve(),
    };
    const open = () => InferenceSession.create(gone.bytes());
    const session = new Session(failing as InferenceSession, { open, deviceFailed });
    await assert.rejects(session.run(feeds), /weights\.bin/);
    await session.dispose();
    assert.deepEqual(failures, []);
  });

  it('fails with it where the device itself was asked for', async () => {
    await assert.rejects(lost('Device is lost.').run(feeds), /The run failed: Device is lost\./);
  });

  it(
    'is opened on the CPU where the device cannot open it',
    {
      skip: process.platform !== 'linux' && 'elsewhere an adapter cannot be hidden',
    },
    async () => {
      const failures: Failure[] = [];
      const session = await openSession(graph.bytes(), {
        ...{ threads: 1, device: 'webgpu' },
        deviceFailed: why => failures.push(why),
      });
      assert.deepEqual((await session.run(feeds))['y']?.data, Float32Array.of(2, 4));
      assert.match(failures[0]?.message ?? '', /Failed to get a WebGPU adapter/);
      await session.dispose();
    },
  );

  it('keeps no graph that can be made anew for the CPU', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const made: [device: string, graph: WeakRef<Uint8Array>][] = [];
    const make = (device: string) => {
      const bytes = graph.bytes();
      made.push([device, new WeakRef(bytes)]);
      return bytes;
    };
    const kept = () => made.map(([device, graph]) => [device, graph.deref() !== undefined]);
    const create = InferenceSession.create.bind(InferenceSession);
    let isLost = false;
    Object.assign(InferenceSession, {
      create: async (bytes: Uint8Array, options: InferenceSession.SessionOptions) => {
        const inner = await create(bytes);
        if (!options.executionProviders) return inner;
        const run = (...args: Parameters<InferenceSession['run']>) =>
          isLost ? Promise.reject(new Error('Device is lost.')) : inner.run(...args);
        return Object.assign(Object.create(inner) as InferenceSession, { run });
      },
    });
    try {
      const deviceFailed = (): void => undefined;
      const session = await openSession(make, { threads: 1, device: 'webgpu', deviceFailed });
      await session.run(feeds);
      await new Promise(resolve => setImmediate(resolve));
      collect();
      assert.deepEqual(kept(), [['webgpu', false]]);
      isLost = true;
      assert.deepEqual((await session.run(feeds))['y']?.data, Float32Array.of(2, 4));
      assert.equal(made[1]?.[0], 'cpu');
      await session.dispose();
    } finally {
      Object.assign(InferenceSession, { create });
    }
  });

  it('leaves a fit of routers to the CPU, with the gradients that it has there', async () => {
    const warnings: string[] = [];
    const path = fixture('architectures/llama');
    const model = await loadModel({ path, cacheFolder: folder, threads: 1 }, {});
    const on = await DeviceInUse.choose('auto', {
      program: await programIn(folder, 'fits', told(good)),
      warn: line => warnings.push(line),
    });
    const window = Uint32Array.from({ length: 20 }, (_, i) => 1 + i);
    const routers = identityRouters(model.config);
    const results = [];
    for (const tried of [{ ...model, on }, model]) {
      const loss = await RoutedLoss.open(tried, { withGradients: true });
      results.push(await loss.run(window, routers));
      await loss.dispose();
    }
    const [failed, cpu] = results;
    assert.ok(failed && cpu && Math.abs(failed.surprisal - cpu.surprisal) < 1e-3);
    for (const [layer, gradient] of cpu.gradients) {
      assert.ok(difference(failed.gradients.get(layer), gradient) < 1e-5);
    }
    assert.equal(on.device, 'cpu');
    assert.match(warnings[0] ?? '', /^WebGPU failed, and the CPU goes on: /);
  });

  it('leaves the device to no later session of the model', async () => {
    const warnings: string[] = [];
    const path = await programIn(folder, 'works', told(good));
    const device = await DeviceInUse.choose('auto', {
      program: path,
      warn: line => warnings.push(line),
    });
    const { deviceFailed } = device.sessionOptions;
    deviceFailed?.(new Failure('out-of-memory', 'The run failed: no memory.'));
    deviceFailed?.(new Failure('internal', 'The run failed: the device is lost.'));
    assert.deepEqual(device.sessionOptions, { device: 'cpu' });
    const note = 'WebGPU ran out of memory, and the CPU goes on: The run failed: no memory.';
    assert.deepEqual(device.told, { device: 'CPU', deviceNote: note });
    assert.deepEqual(warnings, [note]);
  });
});
