import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { devicesToTry } from '../../src/engine/devices/machineDevices.ts';
import { DeviceInUse } from '../../src/engine/devices/deviceInUse.ts';
import { probeDevice } from '../../src/engine/devices/deviceProbe.ts';
import { loadModel } from '../../src/engine/model/loadModel.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { fixture } from './model.ts';
import { forever, good, programIn, told } from './probePrograms.ts';

// No driver is to be found in this process and those that it forks, whatever this machine has.
process.env['VK_ICD_FILENAMES'] = process.env['VK_DRIVER_FILES'] = '/nowhere';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-device-'));
});
after(() => rm(folder, { recursive: true }));

/** A program in the place of the probe's. */
const program = (name: string, source: string): Promise<string> => programIn(folder, name, source);

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
      /different from the CPU's, by 0\.2 of/,
    ],
    ['is slow', told({ ...good, milliseconds: 400 }), /^its test run took 400 ms, the CPU's 3 ms$/],
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
        const limits = { milliseconds: what === 'hangs' ? 1000 : 30_000, slowest: 10 };
        const probe = await probeDevice('webgpu', { program: path, ...limits });
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

  it('takes the first of the devices that works, and says why not the others', async () => {
    const source = `
      const device = process.argv.find(arg => arg.startsWith('--device=')).slice(9);
      if (device === 'cuda') process.send({ failure: 'CUDA failure 100: no CUDA-capable device is detected' }, () => process.exit(0));
      else if (device === 'webgpu') process.send(${JSON.stringify({ ...good, milliseconds: 40 })});
      else process.send(${JSON.stringify({ ...good, placement: { operators: 40, onCpu: 3, kinds: ['Gather', 'TopK'] } })});
      ${forever}`;
    const warnings: string[] = [];
    const device = await DeviceInUse.choose('auto', {
      program: await program('several', source),
      devices: ['cuda', 'webgpu', 'directml', 'coreml'],
      warn: line => warnings.push(line),
    });
    assert.equal(device.device, 'directml');
    assert.deepEqual(warnings, [
      'CUDA is not used: no graphics card with CUDA was found.',
      "WebGPU is not used: its test run took 40 ms, the CPU's 3 ms.",
      "On DirectML, 3 of 40 operators of the test run were the CPU's: Gather, TopK.",
    ]);
    assert.equal(device.told.deviceNote, warnings.join(' '));
    assert.deepEqual(device.state, {
      device: 'directml',
      note: warnings.join(' '),
    });
    device.sessionOptions.deviceFailed?.(new Failure('internal', 'The run failed: it is gone.'));
    assert.equal(
      device.told.deviceNote,
      [
        ...warnings.slice(0, 2),
        'DirectML failed, and the CPU goes on: The run failed: it is gone.',
      ].join(' '),
    );
  });
});

describe('a device that nobody asked for', () => {
  for (const [threads, device, note] of [
    [3, 'webgpu', undefined],
    [7, 'cpu', "WebGPU is not used: its test run took 3 ms, the CPU's 2.9 ms."],
  ] as const) {
    it(`is to be as fast as the CPU with the model's threads: ${threads}`, async () => {
      const source = `
        const cpuMilliseconds = process.argv.includes('--threads=7') ? 2.9 : 3;
        process.send({ difference: 0, milliseconds: 3, cpuMilliseconds, float16: false }); ${forever}`;
      const path = await program('asFast', source);
      const devices = ['webgpu'] as const;
      const use = await DeviceInUse.choose('auto', { program: path, threads, devices });
      assert.deepEqual([use.device, use.state.note], [device, note]);
    });
  }

  it('is tried once by a process if it fails, but again where somebody asks for it', async () => {
    const tries = join(folder, 'tries');
    const path = await program(
      'counted',
      `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(tries)}, '.'); process.exit(3);`,
    );
    const tried: string[] = [];
    const options = {
      program: path,
      devices: ['webgpu'] as const,
      trying: (device: string) => tried.push(device),
    };
    const reasons = [];
    for (const asked of ['auto', 'auto', 'webgpu', 'auto'] as const) {
      reasons.push((await DeviceInUse.choose(asked, options)).state.note);
    }
    assert.deepEqual(
      reasons,
      reasons.map(() => 'WebGPU is not used: its test run ended with exit code 3.'),
    );
    assert.equal(await readFile(tries, 'utf8'), '..');
    assert.deepEqual(tried, ['webgpu', 'webgpu']);
  });

  for (const [code, message, devices] of [
    ['internal', 'The run failed: Device is lost.', ['cpu', 'webgpu', 'webgpu']],
    ['out-of-memory', 'The run failed: no memory.', ['webgpu', 'webgpu', 'webgpu']],
  ] as const) {
    it(`is no longer known to work where it fails after its test run: ${code}`, async () => {
      const path = await program(`later-${code}`, told(good));
      const options = { program: path, devices: ['webgpu'] as const };
      const use = await DeviceInUse.choose('auto', options);
      use.sessionOptions.deviceFailed?.(new Failure(code, message));
      const later = [];
      const tried: string[] = [];
      for (const asked of ['auto', 'webgpu', 'auto'] as const) {
        const trying = (device: string) => tried.push(device);
        later.push(await DeviceInUse.choose(asked, { ...options, trying }));
      }
      assert.deepEqual(
        later.map(({ device }) => device),
        devices,
      );
      assert.deepEqual(tried, ['webgpu']);
      assert.equal(
        later[0]?.state.note,
        code === 'internal' ? 'WebGPU is not used: it was lost in an earlier run.' : undefined,
      );
    });
  }

  it('is a step of the load, where nothing else is waited for', async () => {
    const steps: string[] = [];
    const request = { path: fixture('architectures/llama'), cacheFolder: folder, threads: 5 };
    const report = ({ step }: { step: string }) => steps.push(step);
    await loadModel({ ...request, device: 'auto' }, { report });
    if (devicesToTry().length > 0) assert.match(steps.at(-1) ?? '', /^Trying /);
    const before = steps.length;
    await loadModel({ ...request, device: 'auto' }, { report });
    assert.ok(!steps.slice(before).some(step => step.startsWith('Trying')));
  });

  it('is no longer tried, nor told of, where the load has failed', async t => {
    const program = await programIn(folder, 'endless', forever);
    const choose = DeviceInUse.choose.bind(DeviceInUse);
    const choosing = t.mock.method(
      DeviceInUse,
      'choose',
      (...[asked, options]: Parameters<typeof choose>) => choose(asked, { ...options, program }),
    );
    const warnings: string[] = [];
    const request = { path: join(folder, 'nowhere'), cacheFolder: folder, threads: 9 };
    const load = loadModel({ ...request, device: 'webgpu' }, { warn: line => warnings.push(line) });
    await assert.rejects(load, error => Failure.is(error, 'not-found'));
    const [call] = choosing.mock.calls;
    await assert.rejects(call?.result ?? Promise.resolve(), error =>
      Failure.is(error, 'cancelled'),
    );
    assert.deepEqual(warnings, []);
  });

  it('is compared with the fastest of a few runs on the CPU', async () => {
    const probe = await probeDevice('cpu', { threads: 1 });
    assert.ok(probe.works && probe.difference < 1e-6, JSON.stringify(probe));
    assert.ok(probe.milliseconds > 0 && probe.milliseconds < Infinity);
    assert.ok(probe.cpuMilliseconds > 0 && probe.cpuMilliseconds < Infinity);
  });
});

describe('a model that is to run on one device', () => {
  it('runs on it however slow it is', async () => {
    const path = await program('slow', told({ ...good, milliseconds: 4000 }));
    const device = await DeviceInUse.choose('coreml', { program: path });
    assert.deepEqual(device.told, { device: 'CoreML' });
  });

  it(
    'runs on the CPU where a test run ends with its process, and says so',
    { skip: process.platform === 'win32' },
    async () => {
      const path = await program('aborts', 'process.abort();');
      const device = await DeviceInUse.choose('cuda', { program: path });
      const deviceNote = 'CUDA is not used: its test run ended with signal SIGABRT.';
      assert.deepEqual(device.told, { device: 'CPU', deviceNote });
      assert.deepEqual(device.sessionOptions, { device: 'cpu' });
    },
  );

  it('runs on the CPU where this machine cannot have it, and says what it needs', async () => {
    const [device, reason] =
      process.platform === 'win32'
        ? (['coreml', /^CoreML is not used: it needs macOS, and this is win32-\w+\.$/] as const)
        : ([
            'directml',
            /^DirectML is not used: it needs Windows, and this is \w+-\w+\.$/,
          ] as const);
    const asked = await DeviceInUse.choose(device);
    assert.equal(asked.device, 'cpu');
    assert.match(asked.told.deviceNote ?? '', reason);
  });

  it('runs on the CPU where somebody knows why, without a test run', async () => {
    const instead = 'The engine ended twice on WebGPU: the CPU goes on.';
    const device = await DeviceInUse.choose('webgpu', { program: '/nowhere', instead });
    assert.deepEqual(device.told, { device: 'CPU', deviceNote: instead });
    const cpu = await DeviceInUse.choose('cpu', { instead });
    assert.deepEqual(cpu.told, { device: 'CPU' });
  });
});
