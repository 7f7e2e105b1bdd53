import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeText } from '../report.ts';
import { ratio, takeTurns, timed, type Contestant, type Ratio } from '../../parts/contestants.ts';
import { startPeer } from '../../parts/peer.ts';
import { armNamed, configOf, type Settings } from './cell.ts';
import { newState } from './checkpoint.ts';
import { LossGraph } from './lossGraph.ts';
import { takeStep } from './step.ts';
import { windowOf, type Windows } from './text.ts';

export interface SpeedResult {
  readonly pytorch: string;
  readonly rounds: number;
  readonly rows: readonly SpeedRow[];
  /** The time of LIMe's step over LLaMA's, both windows one by one. */
  readonly limeOverLlama: { readonly loupe: Ratio; readonly pytorch: Ratio };
}

export interface SpeedRow {
  readonly architecture: Architecture;
  /** PyTorch's time of a step over ours, above 1 where we are faster; windows one by one, and in one batch. */
  readonly one: Ratio;
  readonly batch: Ratio;
}

/** As each training has it: two trainings of one thread are faster than one of two. */
const threads = 1;

const architectures = ['llama', 'lime'] as const;
type Architecture = (typeof architectures)[number];

interface SpeedRequest {
  readonly settings: Settings;
  readonly train: Windows;
  readonly rounds: number;
}

/** What was measured before, in the folder of the experiment. */
export async function keptSpeed(out: string): Promise<SpeedResult | undefined> {
  const kept = await readFile(keptAt(out), 'utf8').catch(() => undefined);
  return kept === undefined ? undefined : (JSON.parse(kept) as SpeedResult);
}

/** Steps of training by turns with PyTorch, once; not where `LOUPE_PYTHON` names no Python, or of no rounds. */
export async function measuredSpeed(
  out: string,
  { settings, train, rounds }: SpeedRequest,
): Promise<SpeedResult | undefined> {
  const python = process.env['LOUPE_PYTHON'];
  const kept = await keptSpeed(out);
  if (kept || python === undefined || rounds === 0) return kept;
  const peer = await startLimePeer(python, settings);
  const contestants: Contestant[] = [];
  for (const one of architectures) {
    contestants.push(await own(one, settings, train));
    contestants.push(peer.step(one), peer.step(`batch:${one}`));
  }
  const times = await takeTurns(contestants, { rounds, warmUp: 3 });
  const rows = architectures.map(architecture => {
    const against = (name: string): Ratio =>
      ratio(times, `PyTorch ${name}`, `Loupe ${architecture}`);
    return { architecture, one: against(architecture), batch: against(`batch:${architecture}`) };
  });
  const routing = (of: string): Ratio => ratio(times, `${of} lime`, `${of} llama`);
  const limeOverLlama = { loupe: routing('Loupe'), pytorch: routing('PyTorch') };
  const result = { pytorch: peer.version, rounds, rows, limeOverLlama };
  await writeText(keptAt(out), JSON.stringify(result));
  return result;
}

function keptAt(out: string): string {
  return join(out, 'speed.json');
}

async function own(
  architecture: Architecture,
  settings: Settings,
  train: Windows,
): Promise<Contestant> {
  const arm = armNamed(architecture);
  const graph = await LossGraph.open(configOf(settings, arm), threads);
  const state = newState(graph.parameters, arm, 0);
  const trainee = { ...state, gradient: new Float32Array(state.weights.length) };
  const batch = Array.from({ length: settings.windows }, (_, i) => windowOf(train, i));
  let step = 0;
  return {
    name: `Loupe ${architecture}`,
    run: () => timed(() => takeStep(graph, trainee, batch, { arm, step: ++step, rate: 1 })),
    dispose: () => graph.dispose(),
  };
}

async function startLimePeer(python: string, settings: Settings) {
  const script = fileURLToPath(new URL('../../peers/limeTraining.py', import.meta.url));
  const peer = await startPeer(python, [script, JSON.stringify(settings), String(threads)]);
  return {
    version: peer.version,
    step: (name: string): Contestant => peer.contestant(`PyTorch ${name}`, name),
  };
}
