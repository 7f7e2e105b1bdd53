import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import type { LoadProgress, ModelRequest } from '../../src/contracts/engine.ts';
import { RouteRunner } from '../../src/engine/lime/routeRunner.ts';
import type { Routing } from '../../src/engine/lime/routing.ts';
import { rowShares } from '../../src/lime/routeShares.ts';
import { fittedLlama, limeWithText } from '../fixtures/limeWithText.ts';

/** Models whose layers are routed, for the tests of a file. */
export interface RoutedModels {
  /** For what a test writes. */
  readonly folder: string;
  readonly lime: ModelRequest;
  /** An ordinary model, and the same with fitted routers. */
  readonly plain: ModelRequest;
  readonly routed: ModelRequest;
}

/** To be called once, where a file begins; they are there when its tests run. */
export function routedModels(): RoutedModels {
  let models: RoutedModels | undefined;
  const made = (): RoutedModels => models ?? assert.fail('no test runs yet');
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'loupe-layer-maps-'));
    const cacheFolder = join(folder, 'cache');
    models = {
      folder,
      lime: { path: await limeWithText(join(folder, 'lime'), 'gqa4'), cacheFolder, threads: 1 },
      ...(await fittedLlama(join(folder, 'llama'), cacheFolder)),
    };
  });
  after(async () => rm(made().folder, { recursive: true }));
  return {
    get folder() {
      return made().folder;
    },
    get lime() {
      return made().lime;
    },
    get plain() {
      return made().plain;
    },
    get routed() {
      return made().routed;
    },
  };
}

export function context(report?: (progress: LoadProgress) => void) {
  const stop = new AbortController();
  const progress: LoadProgress[] = [];
  return {
    stop,
    progress,
    signal: stop.signal,
    report: (step: LoadProgress) => {
      progress.push(step);
      report?.(step);
    },
  };
}

export function failsWith(code: FailureCode, pattern = /./) {
  return (error: unknown): boolean => {
    assert.ok(Failure.is(error, code), String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

export const words = 'the cat and the other cat went to the market, then home. ';

export function near(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = 1e-6,
): void {
  assert.equal(found.length, expected.length);
  for (let i = 0; i < found.length; i++) {
    assert.ok(Math.abs((found[i] ?? NaN) - (expected[i] ?? NaN)) < tolerance, String(i));
  }
}

/** What heads take of each token, from a runner asked directly: [t] of (H, layer + 1). */
export async function sharesOf(
  routing: Routing,
  ids: Uint32Array,
  layer: number,
): Promise<Float32Array[]> {
  const runner = await RouteRunner.open(routing);
  const norms = (await runner.run(ids)).own.get(layer);
  await runner.dispose();
  assert.ok(norms);
  const shares = rowShares(norms.output, layer + 1);
  const row = shares.length / ids.length;
  return Array.from(ids, (_, t) => shares.subarray(t * row, (t + 1) * row));
}
