import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { DeviceChoice } from '../../src/contracts/engine.ts';
import { loadModel } from '../../src/engine/model/loadModel.ts';
import { RoutedLoss } from '../../src/engine/lime/routedLoss.ts';
import { identityRouters } from '../../src/engine/lime/routerFit.ts';
import { AdamW } from '../../src/training/adamW.ts';
import { FitState } from '../../src/engine/lime/routerFitState.ts';
import { llamaPieces, writePieces } from '../fixtures/llamaFolder.ts';
import { difference } from './difference.ts';
import { fixture } from './model.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const tolerance = 1e-4;
const skip = useSoftwareGpu() ?? false;
const sessions = new RanOn();
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-fit-webgpu-'));
});
after(() => rm(folder, { recursive: true }));

const window = Uint32Array.from({ length: 40 }, (_, i) => (i * i * 13) % 50);

/** Loss and gradients of `steps` steps from the identity, each moving the routers as a fit does. */
async function steps(path: string, device: DeviceChoice, count: number) {
  const model = await loadModel({ path, cacheFolder: folder, threads: 1, device }, {});
  const loss = await RoutedLoss.open(model, { withGradients: true });
  const state = FitState.begin(identityRouters(model.config));
  const optimiser = new AdamW({ weightDecay: 0 });
  const seen: { surprisal: number; gradients: Float32Array; routers: Float32Array }[] = [];
  for (let step = 1; step <= count; step++) {
    const { surprisal, gradients } = await loss.run(window, state.routers);
    for (const [layer, router] of state.routers) {
      const [gradient, moments] = [gradients.get(layer), state.moments.get(layer)];
      assert.ok(gradient && moments);
      optimiser.step(router, Float64Array.from(gradient), moments, { step, learningRate: 1e-2 });
    }
    seen.push({ surprisal, gradients: flat(gradients), routers: flat(state.routers) });
  }
  await loss.dispose();
  assert.equal(model.on.device, device);
  return seen;
}

function flat(parts: ReadonlyMap<number, Float32Array>): Float32Array {
  return Float32Array.from([...parts.values()].flatMap(part => [...part]));
}

describe('Fitting routers on WebGPU', { skip }, () => {
  const wide = () => writePieces(join(folder, 'w12'), llamaPieces(1, 12));
  const models: readonly (readonly [string, () => Promise<string>, number])[] = [
    ['heads 12 wide, ten steps', wide, 10],
    ['heads that are normed', () => Promise.resolve(fixture('architectures/qwen3')), 1],
  ];
  for (const [name, pathOf, count] of models) {
    it(`has the losses and gradients that the CPU has: ${name}`, async t => {
      sessions.are('router fit: loss and gradients');
      const path = await pathOf();
      const [gpu, cpu] = [await steps(path, 'webgpu', count), await steps(path, 'cpu', count)];
      const worst = { loss: 0, gradients: 0, routers: 0 };
      for (const [i, { surprisal, gradients, routers }] of cpu.entries()) {
        const own = gpu[i];
        assert.ok(own);
        worst.loss = Math.max(worst.loss, Math.abs(own.surprisal / surprisal - 1));
        worst.gradients = Math.max(worst.gradients, difference(own.gradients, gradients));
        worst.routers = Math.max(worst.routers, difference(own.routers, routers));
      }
      t.diagnostic(
        JSON.stringify(worst, (_, x) =>
          typeof x === 'number' ? x.toExponential(1) : (x as unknown),
        ),
      );
      assert.ok(Math.max(...Object.values(worst)) < tolerance);
    });
  }
});
