import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildKernel } from '../../scripts/buildKernel.mjs';
import { Random } from '../../src/common/random.ts';
import type { BoostPhase, BoostRequest } from '../../src/contracts/trainer.ts';
import { tinyBoost } from './tinyBoost.ts';

/** How often the trainer is killed; for a longer trial: LOUPE_KILLS=20 npx tsx --test test/engine/boostKilled.test.ts */
const kills = Number(process.env['LOUPE_KILLS'] ?? 3);
const script = fileURLToPath(new URL('./boostChild.ts', import.meta.url));
const files = [
  ...['sae_weights.safetensors', 'cfg.json', 'features.safetensors', 'report.json', 'report.md'],
  'calibrated/sae_weights.safetensors',
];

let root: string;
let asked: BoostRequest;
before(async () => {
  await buildKernel();
  root = await mkdtemp(join(tmpdir(), 'loupe-killed-'));
  asked = { ...(await tinyBoost(root)), tokens: 64 * 1200 };
});
after(() => rm(root, { recursive: true, force: true }));

/** A moment to be killed at: milliseconds into a phase. */
interface Moment {
  readonly phase: BoostPhase;
  readonly milliseconds: number;
}

interface Ended {
  readonly wasKilled: boolean;
  /** When each phase began, milliseconds. */
  readonly phases: ReadonlyMap<string, number>;
}

/** Runs the trainer until it ends, or until the moment. */
async function train(
  request: BoostRequest,
  checkpointSeconds: number,
  at?: Moment,
): Promise<Ended> {
  const path = join(root, 'request.json');
  await writeFile(path, JSON.stringify(request));
  const args = ['--import', 'tsx', script, path, String(checkpointSeconds)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const phases = new Map<string, number>();
  createInterface(child.stdout).on('line', phase => {
    phases.set(phase, performance.now());
    if (phase === at?.phase) setTimeout(() => child.kill('SIGKILL'), at.milliseconds);
  });
  const [code, signal] = await new Promise<[number | null, string | null]>(resolve => {
    child.once('close', (...ended) => resolve(ended));
  });
  if (signal === null) assert.equal(code, 0);
  return { wasKilled: signal === 'SIGKILL', phases };
}

describe('loupe boost, killed', () => {
  it(`${kills} times at random moments and run again, gives the bytes of an uninterrupted run`, async t => {
    const whole = { ...asked, folder: join(root, 'whole') };
    const { phases } = await train(whole, 30);
    const since = (from: BoostPhase, to: BoostPhase): number =>
      (phases.get(to) ?? NaN) - (phases.get(from) ?? NaN);
    const longest = {
      'computing activations': since('computing activations', 'training'),
      training: since('training', 'calibrating') / 2,
    };
    const random = new Random(1);
    const killed: string[] = [];
    for (let round = 1; killed.length < kills; round++) {
      const request = { ...asked, folder: join(root, `killed ${round}`) };
      for (;;) {
        const phase = random.uniform() < 1 / 3 ? 'computing activations' : 'training';
        const milliseconds = random.uniform() * longest[phase];
        const moment = killed.length < kills ? { phase, milliseconds } : undefined;
        const { wasKilled } = await train(request, 0.05, moment as Moment | undefined);
        if (!wasKilled) break;
        killed.push(`${phase} ${milliseconds.toFixed(0)} ms`);
      }
      for (const file of files) {
        const [one, other] = await Promise.all(
          [whole, request].map(({ folder }) => readFile(join(folder, file))),
        );
        assert.ok(one && other?.equals(one), `${file} of round ${round}; ${killed.join(', ')}`);
      }
    }
    t.diagnostic(`killed: ${killed.join(', ')}`);
  });
});
