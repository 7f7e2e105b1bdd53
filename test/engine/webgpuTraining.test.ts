import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, mock } from 'node:test';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { trainCommand } from '../../src/cli/train.ts';
import { Failure } from '../../src/common/failure.ts';
import type { TrainResult } from '../../src/contracts/commandLine.ts';
import { GraphBackend } from '../../src/engine/training/graphBackend.ts';
import { Session } from '../../src/engine/sessions/session.ts';
import { holdToReference } from './backendReference.ts';
import { modelRequest } from './model.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const skip = useSoftwareGpu() ?? false;
if (skip === false) {
  const sessions = new RanOn();
  sessions.are('training: steps of every objective, candidates, downloads');
  holdToReference('The graph on WebGPU', request =>
    GraphBackend.open(request, { device: 'webgpu' }),
  );
}

describe('loupe train --device webgpu', { skip }, () => {
  let folder: string;
  before(async () => {
    await buildKernel();
    folder = await mkdtemp(join(tmpdir(), 'loupe-webgpu-training-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function run(out: string, device: string, text?: string) {
    const said: string[] = [];
    const values = {
      ...{ cache: modelRequest().cacheFolder, threads: '2', dtype: 'float32' },
      ...{ layer: '1', width: '96', k: '8', tokens: '512', batch: '64', window: '32', lr: '3e-3' },
      ...{ activations: join(folder, 'activations'), out: join(folder, out), device },
      ...(text !== undefined && { text: [text] }),
    };
    const log = (line: string) => void said.push(line);
    const { signal } = new AbortController();
    const result = await trainCommand.run({ values, positionals: [], signal, log });
    return { ...(result as TrainResult), said: said.join('\n') };
  }

  it('gives what the CPU gives, also where the device is lost midway', async () => {
    const text = join(folder, 'text.txt');
    await writeFile(text, 'The old fox saw three houses, and a river between them. '.repeat(120));
    const expected = await run('cpu', 'cpu', text);
    assert.equal(expected.device, 'CPU');
    const whole = await run('whole', 'webgpu');
    assert.equal(whole.device, 'WebGPU');
    assert.ok(Math.abs(whole.ev - expected.ev) < 1e-4, `${whole.ev}, expected ${expected.ev}`);
    assert.ok(Math.abs(whole.loss / expected.loss - 1) < 1e-4);

    const taken = mock.method(Session.prototype, 'run', failAtStep(5));
    try {
      const halved = await run('lost', 'webgpu');
      assert.equal(halved.device, 'CPU');
      assert.match(halved.said, /WebGPU failed: .*lost.* The CPU goes on from the last checkpoint/);
      assert.ok(Math.abs(halved.ev - expected.ev) < 1e-4);
    } finally {
      taken.mock.restore();
    }
  });
});

/** Fails the given step of a training, as onnxruntime does once a device is lost. */
function failAtStep(step: number): Session['run'] {
  const run = Object.getOwnPropertyDescriptor(Session.prototype, 'run')?.value as Session['run'];
  let steps = 0;
  return function (this: Session, ...given) {
    if (given[0]['rate'] !== undefined && ++steps === step)
      return Promise.reject(new Failure('internal', 'webgpu: Device is lost.'));
    return run.apply(this, given);
  };
}
