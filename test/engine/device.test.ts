import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { DeviceInUse } from '../../src/engine/deviceInUse.ts';
import { probeDevice } from '../../src/engine/deviceProbe.ts';
import { loadModel } from '../../src/engine/loadModel.ts';
import { ModelRunner } from '../../src/engine/modelRunner.ts';
import { RoutedLoss } from '../../src/engine/routedLoss.ts';
import { identityRouters } from '../../src/engine/routerFit.ts';
import { float32Tensor, openSession, Session } from '../../src/engine/session.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { difference } from './difference.ts';
import { fixture } from './model.ts';

// No driver is to be found in this process and those that it forks, whatever this machine has.
process.env['VK_ICD_FILENAMES'] = process.env['VK_DRIVER_FILES'] = '/nowhere';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-device-'));
});
after(() => rm(folder, { recursive: true }));

/** A program in the place of the probe's. */
async function program(name: string, source: string): Promise<string> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, source);
  return path;
}

const forever = 'setInterval(() => undefined, 1000);';
const told = (answer: object) => `process.send(${JSON.stringify(answer)}); ${forever}`;
const good = { difference: 1e-6, milliseconds: 2, cpuMilliseconds: 3 };

describe('a test run of a device', () => {
  const refusals: [string, string, RegExp][] = [
    [
      'crashes',
      "process.kill(process.pid, 'SIGSEGV');",
      /^its test run ended with signal SIGSEGV$/,
    ],
    ['gives up', 'process.exit(3);', /^its test run ended with exit code 3$/],
    ['hangs', forever, /^its test run did not end within 1 s$/],
    [
      'computes nonsense',
      told({ ...good, difference: 0.2 }),
      /different from the CPU's, by 0\.20 of/,
    ],
    [
      'is slow',
      told({ ...good, milliseconds: 400 }),
      /^its test run took 4\.0e\+2 ms, the CPU's 3\.0 ms$/,
    ],
    [
      'fails',
      told({ failure: 'The run failed: VK_ERROR' }),
      /^its test run failed: The run failed: VK_ERROR$/,
    ],
  ];
  for (const [what, source, reason] of refusals) {
    it(
      `that ${what} is a no, with the reason`,
      { skip: process.platform === 'win32' },
      async () => {
        const path = await program(what.replaceAll(' ', ''), source);
        const probe = await probeDevice('webgpu', { program: path, milliseconds: 1000 });
        assert.match(probe.works ? 'it works' : probe.reason, reason);
      },
    );
  }

  it('that goes well is a yes', async () => {
    const path = await program('good', told(good));
    assert.deepEqual(await probeDevice('webgpu', { program: path }), { works: true, ...good });
    const device = await DeviceInUse.choose('auto', { program: path });
    assert.deepEqual([device.device, device.told], ['webgpu', { device: 'WebGPU' }]);
  });

  it('ends when it is cancelled', async () => {
    const stop = new AbortController();
    const path = await program('waits', forever);
    const probe = probeDevice('webgpu', { program: path, signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    await assert.rejects(probe, error => Failure.is(error, 'cancelled'));
  });
});

describe("a model that is to run on 'auto'", () => {
  it(
    'runs on the CPU where there is no adapter, and says why',
    {
      skip: process.platform !== 'linux' && 'elsewhere an adapter cannot be hidden',
    },
    async () => {
      const request = { path: fixture('architectures/llama'), cacheFolder: folder, threads: 1 };
      const warnings: string[] = [];
      const auto = await ModelRunner.open(
        { ...request, device: 'auto' },
        { warn: line => warnings.push(line) },
      );
      const cpu = await ModelRunner.open(request);
      assert.equal(auto.info.device, 'CPU');
      assert.equal(auto.info.deviceNote, 'WebGPU is not used: no graphics adapter was found.');
      assert.deepEqual(warnings, [auto.info.deviceNote]);
      const run = { tokenIds: Uint32Array.of(1, 2, 3), hooks: [], head: 'logits' } as const;
      assert.deepEqual((await auto.run(run)).logits, (await cpu.run(run)).logits);
      await Promise.all([auto.dispose(), cpu.dispose()]);
    },
  );

  it(
    'is refused where WebGPU itself was asked for',
    {
      skip: process.platform !== 'linux' && 'elsewhere an adapter cannot be hidden',
    },
    async () => {
      const model = await ModelRunner.open({
        ...{ path: fixture('architectures/llama'), cacheFolder: folder, threads: 1 },
        device: 'webgpu',
      });
      const run = model.run({ tokenIds: Uint32Array.of(1, 2), hooks: [], head: 'logits' });
      await assert.rejects(run, /Failed to get a WebGPU adapter/);
    },
  );
});

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
    const open = async () => {
      const { InferenceSession } = await import('onnxruntime-node');
      return InferenceSession.create(graph.bytes());
    };
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

  it('leaves a fit of routers to the CPU, with the gradients that it has there', async () => {
    const warnings: string[] = [];
    const path = fixture('architectures/llama');
    const model = await loadModel({ path, cacheFolder: folder, threads: 1 }, {});
    const on = await DeviceInUse.choose('auto', {
      program: await program('fits', told(good)),
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
    const path = await program('works', told(good));
    const device = await DeviceInUse.choose('auto', {
      program: path,
      warn: line => warnings.push(line),
    });
    const { deviceFailed } = device.sessionOptions;
    deviceFailed?.(new Failure('out-of-memory', 'The run failed: no memory.'));
    deviceFailed?.(new Failure('internal', 'The run failed: the device is lost.'));
    assert.deepEqual(device.sessionOptions, { device: 'cpu' });
    const note = 'WebGPU failed, and the CPU goes on: The run failed: no memory.';
    assert.deepEqual(device.told, { device: 'CPU', deviceNote: note });
    assert.deepEqual(warnings, [note]);
  });
});
