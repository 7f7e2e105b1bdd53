import '@tensorflow/tfjs-backend-cpu';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { goOnOnCpu } from '../../src/cli/goOnOnCpu.ts';
import { tensorflowChoice } from '../../src/cli/trainingBackend.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import type { Tensorflow } from '../../src/engine/training/tensorflow/tensorflow.ts';
import { TensorflowBackend } from '../../src/engine/training/tensorflow/tensorflowBackend.ts';
import { openTensorflow } from '../../src/engine/training/tensorflow/openTensorflow.ts';
import { backendOn, openKernelBackend } from '../../src/engine/training/trainingBackends.ts';
import {
  parameterNames,
  type BackendRequest,
  type OpenBackend,
  type TrainingArrays,
} from '../../src/training/backend.ts';
import type { TrainingSettings } from '../../src/training/settings.ts';
import { Trainer } from '../../src/training/trainer.ts';
import { ToyActivations, toySettings } from '../unit/training/toy.ts';
import { holdToReference } from './backendReference.ts';

tf.enableProdMode(); // or tfjs recommends its other backends
await tf.setBackend('cpu');

const open: OpenBackend = request => Promise.resolve(new TensorflowBackend(tf, request));

holdToReference('TensorFlow', open);

let root: string;
before(async () => {
  await buildKernel();
  root = await mkdtemp(join(tmpdir(), 'loupe-tensorflow-'));
});
after(() => rm(root, { recursive: true, force: true }));

/** Every learned number after a training in one folder, of which each backend takes the steps until its own. */
async function trained(
  settings: TrainingSettings,
  backends: readonly { readonly open: OpenBackend; readonly until: number }[],
): Promise<Float64Array> {
  const folder = await mkdtemp(join(root, 'run-'));
  let arrays: TrainingArrays | undefined;
  for (const { open: openBackend, until } of backends) {
    const trainer = await Trainer.open({
      ...{ settings, folder, openBackend },
      source: new ToyActivations(),
    });
    try {
      const abort = new AbortController();
      const report = ({ step }: { readonly step: number }): void => {
        if (step === until) abort.abort();
      };
      await trainer.run({ signal: abort.signal, report }).catch((error: unknown) => {
        if (!Failure.is(error, 'cancelled')) throw error;
      });
      assert.equal(trainer.step, until);
      ({ arrays } = trainer.backend);
    } finally {
      await trainer.dispose();
    }
  }
  return Float64Array.from(parameterNames.flatMap(name => [...(arrays?.[name]?.value ?? [])]));
}

function furthest(found: Float64Array, expected: Float64Array): number {
  assert.equal(found.length, expected.length);
  return found.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN))),
    0,
  );
}

describe('A training in TensorFlow', () => {
  const steps = 30;
  const settingsOf = (objective: TrainingSettings['objective']): TrainingSettings => ({
    ...{ ...toySettings, objective, tokens: steps * toySettings.batch },
    ...{ learningRate: 1e-3, auxiliaryK: 4, deadTokens: 10 * toySettings.batch },
  });

  for (const objective of ['hierarchical', 'batchtopk', 'jumprelu'] as const) {
    it(`${objective}: goes on from its checkpoint as if it had not been stopped`, async () => {
      const settings = settingsOf(objective);
      const whole = await trained(settings, [{ open, until: steps }]);
      const halves = await trained(settings, [
        { open, until: 13 },
        { open, until: steps },
      ]);
      assert.ok(furthest(halves, whole) <= 1e-6, `off by ${furthest(halves, whole)}`);
    });

    it(`${objective}: takes over from the CPU, and the CPU from it`, async () => {
      const settings = settingsOf(objective);
      const kernel = openKernelBackend;
      const whole = await trained(settings, [{ open: kernel, until: steps }]);
      for (const [first, second] of [
        [kernel, open],
        [open, kernel],
      ] as const) {
        const both = await trained(settings, [
          { open: first, until: 13 },
          { open: second, until: steps },
        ]);
        assert.ok(furthest(both, whole) <= 2e-3, `off by ${furthest(both, whole)}`);
      }
    });
  }
});

const request: BackendRequest = {
  settings: { ...toySettings, batch: 32, auxiliaryK: 4, deadTokens: 1 },
  width: 16,
};
const stepOptions = { ...request.settings, learningRate: 1e-3 };

describe('TensorflowBackend', () => {
  for (const objective of ['hierarchical', 'batchtopk', 'jumprelu'] as const) {
    it(`${objective}: leaves nothing behind in 50 steps, nor when it is disposed of`, async () => {
      const none = tf.memory().numTensors;
      const backend = await open({ ...request, settings: { ...request.settings, objective } });
      backend.arrays.input.fill(0.5);
      await backend.upload();
      let atFirst = 0;
      for (let step = 1; step <= 50; step++) {
        await backend.step({ ...stepOptions, step }, step % 16 === 0);
        if (step % 10 === 0) {
          await backend.encode();
          await backend.download();
        }
        atFirst ||= tf.memory().numTensors;
        assert.equal(tf.memory().numTensors, atFirst, `step ${step}`);
      }
      await backend.dispose();
      assert.equal(tf.memory().numTensors, none);
    });
  }

  it('takes a step without room again in smaller parts, with the same result', async () => {
    const told: string[] = [];
    let failures = 2;
    const scarce: Tensorflow = {
      ...tf,
      gather: ((...of: Parameters<typeof tf.gather>) => {
        if (failures-- > 0) throw new Error('OOM when allocating tensor with shape [32,3,16]');
        return tf.gather(...of);
      }) as typeof tf.gather,
    };
    const results: Float32Array[] = [];
    for (const core of [tf, scarce]) {
      const backend = new TensorflowBackend(core, request, { warn: line => told.push(line) });
      const { encoder, decoder, input } = backend.arrays;
      for (const array of [encoder.value, decoder.value, input])
        array.forEach((_, i) => (array[i] = Math.sin(i + array.length)));
      await backend.upload();
      for (let step = 1; step <= 3; step++) await backend.step({ ...stepOptions, step }, false);
      await backend.download();
      results.push(decoder.value.slice());
      await backend.dispose();
    }
    const [whole = new Float32Array(), parts = new Float32Array()] = results;
    assert.ok(furthest(Float64Array.from(parts), Float64Array.from(whole)) < 1e-5);
    assert.equal(told.length, 2);
    assert.match(told[1] ?? '', /ran out of memory: batches go through 8 tokens at a time/);
  });

  it('says that the device is lost where a step fails for another reason', async () => {
    const broken: Tensorflow = {
      ...tf,
      topk: () => {
        throw new Error('CUDA_ERROR_LAUNCH_FAILED');
      },
    };
    const backend = new TensorflowBackend(broken, request);
    await backend.upload();
    await assert.rejects(backend.step({ ...stepOptions, step: 1 }, true), error =>
      Failure.is(error, 'device-lost'),
    );
    await backend.dispose();
  });
});

describe("The user's tfjs-node-gpu", () => {
  /** A folder with something in the place of the package. */
  async function installed(version: string, main: string): Promise<string> {
    const folder = await mkdtemp(join(root, 'user-'));
    const place = join(folder, 'node_modules/@tensorflow/tfjs-node-gpu');
    await mkdir(place, { recursive: true });
    const description = { name: '@tensorflow/tfjs-node-gpu', version, main: 'main.js' };
    await writeFile(join(place, 'package.json'), JSON.stringify(description));
    await writeFile(join(place, 'main.js'), main);
    return folder;
  }

  async function refused(path: string, code: FailureCode, message: RegExp): Promise<void> {
    await assert.rejects(openTensorflow(request, { path }), error => {
      assert.ok(Failure.is(error, code), String(error));
      assert.match(error.message, message);
      assert.ok(error.action);
      return true;
    });
  }

  it('is not installed', () =>
    refused(root, 'not-found', /tfjs-node-gpu is not installed in .*loupe-tensorflow-/));

  it('is not looked for in the folders above', async () => {
    const folder = await installed('4.22.0', 'throw new Error("was run")');
    await refused(join(folder, 'below'), 'not-found', /is not installed in .*below/);
  });

  it('is not looked for relative to anything', () =>
    assert.rejects(
      openTensorflow(request, { path: 'node_modules' }),
      error =>
        Failure.is(error, 'usage') && error.message.includes('absolute path, not node_modules'),
    ));

  it('is too old', async () =>
    refused(await installed('3.21.0', ''), 'mismatch', /is 3\.21\.0; Loupe needs 4\.22/));

  it('was built for another Node.js', async () => {
    const main =
      "throw new Error(`The module 'tfjs_binding.node'\\nwas compiled against a different Node.js version using\\nNODE_MODULE_VERSION 93.`)";
    const folder = await installed('4.22.0', main);
    await refused(folder, 'unsupported', /built for another version of Node\.js than v\d+/);
  });

  it('has no native part, since its download failed', async () => {
    const main =
      "throw new Error('The Node.js native addon module (tfjs_binding.node) can not be found at path: x. \\nPlease run')";
    const folder = await installed('4.22.0', main);
    await refused(folder, 'unsupported', /has no native part/);
  });

  it('lacks a library', async () => {
    const main =
      "throw new Error('libcudart.so.11.0: cannot open shared object file: No such file or directory')";
    const folder = await installed('4.22.0', main);
    await refused(folder, 'unsupported', /does not load: libcudart\.so\.11\.0/);
  });

  it('finds no GPU', async () => {
    const main = 'exports.backend = () => ({ isUsingGpuDevice: false })';
    const folder = await installed('4.22.0', main);
    await refused(folder, 'unsupported', /finds no GPU/);
  });

  it('is not what computes', async () => {
    const main = 'exports.backend = () => ({ isUsingGpuDevice: true })';
    const folder = await installed('4.22.0', main);
    await refused(folder, 'unsupported', /on its backend 'cpu' where 'tensorflow' is wanted/);
  });

  it('takes the steps where it works, and says so; otherwise the CPU does, and says why', async () => {
    const told: string[] = [];
    const warn = (line: string): void => void told.push(line);
    const cpu = await backendOn({ device: 'cpu' }, warn, { path: root })(request);
    assert.equal(cpu.device, 'CPU');
    assert.match(
      told.join(),
      /^TensorFlow cannot take .* the CPU does: .* not installed in .*npm install/,
    );
    await cpu.dispose();
    // tfjs' own CPU kernels in the GPU's place: what matters here is who is asked.
    tf.registerBackend('tensorflow', () => tf.findBackend('cpu'));
    for (const kernel of tf.getKernelsForBackend('cpu'))
      tf.registerKernel({ ...kernel, backendName: 'tensorflow' });
    const main = 'exports.backend = () => ({ isUsingGpuDevice: true })';
    const path = await installed('4.22.0', main);
    await tf.setBackend('tensorflow');
    const backend = await backendOn({ device: 'cpu' }, warn, { path })(request);
    assert.equal(backend.device, 'TensorFlow');
    assert.match(told[1] ?? '', /taken in TensorFlow 4\.22\.0 on tfjs-node-gpu/);
    await backend.step({ ...stepOptions, step: 1 }, true);
    await backend.dispose();
  });
});

describe('The command line', () => {
  it('asks for TensorFlow, and for nothing that it does not know', () => {
    assert.equal(tensorflowChoice({}), undefined);
    assert.deepEqual(tensorflowChoice({ backend: 'tensorflow' }), {});
    const given = tensorflowChoice({ backend: 'tensorflow', tensorflow: 'here' });
    assert.deepEqual(given, { path: join(process.cwd(), 'here') });
    assert.throws(() => tensorflowChoice({ backend: 'torch' }), /loupe or tensorflow, not torch/);
    assert.throws(() => tensorflowChoice({ tensorflow: 'here' }), /goes with --backend tensorflow/);
  });

  it('leaves TensorFlow for the CPU where it fails in the midst of a training', async () => {
    const request: Parameters<typeof goOnOnCpu>[0] = {
      model: { path: 'm', cacheFolder: 'c', threads: 1 },
      tensorflow: {},
    };
    const tried: unknown[] = [];
    const log: string[] = [];
    await goOnOnCpu(
      request,
      asked => {
        tried.push([asked.model.device, asked.tensorflow]);
        if (asked.tensorflow === undefined) return Promise.resolve();
        return Promise.reject(new Failure('device-lost', 'TensorFlow failed: no more.'));
      },
      line => log.push(line),
    );
    assert.deepEqual(tried, [
      [undefined, {}],
      ['cpu', undefined],
    ]);
    assert.match(log.join(), /TensorFlow failed: no more\. The CPU goes on/);
  });
});
