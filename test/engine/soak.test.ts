import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { formatBytes } from '../../src/common/numbers.ts';
import type { Device } from '../../src/contracts/engine.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { readSaeLens } from '../../src/saes/formats/saelens.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

/*
 * The memory of a process that runs a model and an SAE over and over. LOUPE_SOAK_RUNS=10000 runs as often on WebGPU too, which
 * takes minutes on a software GPU; otherwise as often as fits into a while.
 */

const runs = 10_000;
const gpuRuns = Number(process.env['LOUPE_SOAK_RUNS'] ?? Infinity);
const gpuMilliseconds = process.env['LOUPE_SOAK_RUNS'] === undefined ? 10_000 : Infinity;
const openings = 30;
/** Bytes that a process may be larger at the end than once it had warmed up: far less than one run allocates, ten thousand times. */
const ceiling = 24e6;
const hook: Hook = 'blocks.0.hook_resid_post';
const tokenIds = Uint32Array.from({ length: 6 }, (_, i) => i + 3);
const withoutGpu = useSoftwareGpu();

let folder = '';
let dictionary: Dictionary;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-soak-'));
  await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  await writeRandomSae(join(folder, 'sae'), 96, 64);
  dictionary = await readSaeLens(join(folder, 'sae'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function open(device: Device) {
  const warn = (line: string): never => assert.fail(line);
  const path = join(folder, 'tiny.gguf');
  const cacheFolder = join(folder, 'cache');
  const model = await ModelRunner.open({ path, cacheFolder, threads: 1, device }, { warn });
  const sae = await SaeRunner.open(dictionary, { threads: 1, ...model.on.sessionOptions });
  return {
    device: model.on.device,
    run: async () => {
      const { hooks } = await model.run({ tokenIds, hooks: [hook], head: 'none' });
      const encoding = await sae.encode(hooks.get(hook) ?? assert.fail());
      assert.ok((encoding.activations[0] ?? 0) > 0);
    },
    dispose: async () => {
      await sae.dispose();
      await model.dispose();
    },
  };
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory of the process, without what JavaScript has not yet cleared away. */
function resident(): number {
  collect();
  return process.memoryUsage.rss();
}

interface Soak {
  readonly act: () => Promise<void>;
  readonly times: number;
  readonly warmUp: number;
  readonly milliseconds?: number;
  /** Bytes in place of `ceiling`. */
  readonly most?: number;
}

/** Acts over and over; fails where the process has grown beyond the ceiling since the warm-up. */
async function soak(
  t: TestContext,
  { act, times, warmUp, milliseconds = Infinity, most = ceiling }: Soak,
) {
  for (let i = 0; i < warmUp; i++) await act();
  const before = resident();
  const start = performance.now();
  let done = 0;
  for (; done < times && performance.now() - start < milliseconds; done++) await act();
  const grown = resident() - before;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  t.diagnostic(
    `${done} times in ${seconds} s: ${formatBytes(before)} before, ${formatBytes(before + grown)} after, ${(grown / done).toFixed(0)} bytes each`,
  );
  assert.ok(grown < most, `grew by ${formatBytes(Math.max(grown, 0))} in ${done} times`);
  return done;
}

describe('memory on the CPU', () => {
  it(`does not grow in ${runs} runs of a model and an SAE`, async t => {
    const { run, dispose } = await open('cpu');
    assert.equal(await soak(t, { act: run, times: runs, warmUp: 3000 }), runs);
    await dispose();
  });

  it(`does not grow when sessions are opened and closed ${openings} times`, async t => {
    const act = async (): Promise<void> => {
      const { run, dispose } = await open('cpu');
      await run();
      await dispose();
    };
    await soak(t, { act, times: openings, warmUp: 10 });
  });
});

describe('memory on WebGPU', { skip: withoutGpu ?? false }, () => {
  it('does not grow in runs of a model and an SAE', async t => {
    const { run, dispose, device } = await open('webgpu');
    assert.equal(device, 'webgpu');
    const limits = { times: gpuRuns, milliseconds: gpuMilliseconds };
    const done = await soak(t, { act: run, warmUp: 10, ...limits });
    assert.ok(done >= 10, String(done));
    await dispose();
  });

  it(`does not grow when sessions are opened and closed ${openings} times`, async t => {
    // The last session to be closed would take the software GPU with it, whose memory comes and goes by 100 MB.
    const held = await open('webgpu');
    const act = async (): Promise<void> => {
      const { run, dispose } = await open('webgpu');
      await run();
      await dispose();
    };
    await soak(t, { act, times: openings, warmUp: 3, milliseconds: gpuMilliseconds, most: 60e6 });
    await held.run();
    await held.dispose();
  });
});
