import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import { deviceTrouble } from '../../src/engine/devices/deviceTrouble.ts';
import { devicesToTry, obstacle } from '../../src/engine/devices/machineDevices.ts';
import { hasFloat16 } from '../../src/engine/devices/probeRole.ts';
import { profiledPlacement } from '../../src/engine/sessions/profiledPlacement.ts';
import { openSession } from '../../src/engine/sessions/session.ts';
import { float32Tensor } from '../../src/engine/sessions/tensors.ts';
import { Graph } from '../../src/onnx/graph.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-machine-'));
});
after(() => rm(folder, { recursive: true }));

describe('the devices of a machine', () => {
  const machines: [string, readonly string[]][] = [
    ['linux-x64', ['webgpu']],
    ['linux-arm64', []],
    ['win32-x64', ['webgpu', 'directml']],
    ['win32-arm64', ['webgpu', 'directml']],
    ['darwin-arm64', ['webgpu', 'coreml']],
  ];
  for (const [machine, devices] of machines) {
    it(`are tried in this order: ${machine}`, () => {
      assert.deepEqual(devicesToTry(machine, false), devices);
      for (const device of ['webgpu', 'directml', 'coreml'] as const) {
        assert.equal(obstacle(device, machine) === undefined, devices.includes(device), device);
      }
    });
  }

  it('are CUDA first, where its libraries are there', () => {
    assert.deepEqual(devicesToTry('linux-x64', true), ['cuda', 'webgpu']);
    assert.equal(obstacle('cuda', 'linux-x64', true), undefined);
    assert.match(
      obstacle('cuda', 'linux-x64', false) ?? '',
      /^its libraries are not there; .*`loupe cuda`/,
    );
    assert.match(obstacle('cuda', 'win32-x64', true) ?? '', /^it needs Linux on x64/);
  });
});

describe('what is said of a test run that failed', () => {
  const cases: [string, string][] = [
    [
      'Failed to load library /a/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file or directory',
      'libcublasLt.so.13 was not found: CUDA 13 and cuDNN are to be installed where the system finds libraries (or LD_LIBRARY_PATH names them)',
    ],
    [
      'Failed to load library /a/b.so with error: libcuda.so.1: cannot open shared object file',
      "NVIDIA's driver (libcuda.so.1) was not found",
    ],
    [
      '/a/libonnxruntime_providers_cuda.so: file too short',
      'its library libonnxruntime_providers_cuda.so is broken',
    ],
    [
      '/a/libonnxruntime_providers_shared.so: cannot open shared object file',
      "onnxruntime's library libonnxruntime_providers_shared.so is not beside it",
    ],
    ['CUBLAS_STATUS_ALLOC_FAILED', 'CUDA has too little free memory'],
    ['something else', 'its test run failed: Failed to load shared library'],
  ];
  for (const [said, reason] of cases) {
    it(reason, () => {
      assert.equal(deviceTrouble('cuda', 'Failed to load shared library\nmore', said), reason);
    });
  }
});

describe('where the operators of a graph ran', () => {
  it("is where float16 is, or is not: the CPU's float32 in a device's place is none", async () => {
    assert.equal(await hasFloat16('cpu'), false);
    // Where the CPU takes the place of a device that has nothing of its own.
    const create = InferenceSession.create.bind(InferenceSession);
    const names: unknown[] = [];
    const onCpu = async (
      graph: Uint8Array,
      { executionProviders, ...options }: InferenceSession.SessionOptions,
    ) => {
      names.push(executionProviders?.[0]);
      return create(graph, options);
    };
    Object.assign(InferenceSession, { create: onCpu });
    try {
      assert.equal(await hasFloat16('coreml'), false);
    } finally {
      Object.assign(InferenceSession, { create });
    }
    assert.deepEqual(names, ['coreml']);
  });

  it('is read from the profile of a run', async () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['T', 2]);
    const sum = graph.op('MatMul', [x, graph.float32(Float32Array.of(1, 2, 3, 4), [2, 2])]);
    graph.output(graph.op('Softmax', [sum]), 'y', 'float32', ['T', 2]);
    const profileAt = join(folder, 'profile');
    const session = await openSession(graph.bytes(), { threads: 1, profileAt });
    await session.run({ x: float32Tensor(Float32Array.of(1, 2), [1, 2]) });
    session.profile();
    await session.dispose();
    const placement = await profiledPlacement(profileAt);
    assert.ok(placement);
    assert.ok(placement.kinds.includes('MatMul'));
    assert.equal(placement.onCpu, placement.operators);
  });

  it('is of no note where none ran on the CPU', async () => {
    const run = (name: string, op_name: string, provider: string) => ({
      ...{ cat: 'Node', name: `${name}_kernel_time`, args: { op_name, provider } },
    });
    const profileAt = join(folder, 'made');
    const [a, b, copy] = [
      run('a', 'MatMul', 'CUDAExecutionProvider'),
      run('b', 'Gather', 'CPUExecutionProvider'),
      run('c', 'MemcpyToHost', 'CPUExecutionProvider'),
    ];
    await writeFile(`${profileAt}_1.json`, JSON.stringify([a, a, copy, { cat: 'Session' }, null]));
    assert.equal(await profiledPlacement(profileAt), undefined);
    await writeFile(`${profileAt}_1.json`, JSON.stringify([a, b, b, copy]));
    assert.deepEqual(await profiledPlacement(profileAt), {
      operators: 2,
      onCpu: 1,
      kinds: ['Gather'],
    });
  });
});
