import type { BoostPlan, BoostProgress } from '../../src/contracts/trainer.ts';
import type {
  CurvePoint,
  JobState,
  PlanState,
  TrainingState,
} from '../../src/contracts/trainingPanel.ts';

export function progress(change: Partial<BoostProgress> = {}): BoostProgress {
  return {
    phase: 'training',
    fraction: 0.62,
    step: 298,
    steps: 480,
    tokens: 1_220_608,
    loss: 214.8,
    domainEv: 0.8312,
    domainEvBase: 0.7803,
    generalEv: 0.8562,
    generalEvBase: 0.857,
    alive: 903,
    device: 'WebGPU',
    dead: 0.118,
    tokensPerSecond: 21_437.2,
    secondsLeft: 74,
    ...change,
  };
}

/** 60 points of a loss that falls, with EV measured at every fifth. */
export const curve: readonly CurvePoint[] = Array.from({ length: 60 }, (_, i) => ({
  step: 5 * i + 3,
  loss: 210 + 640 * Math.exp(-i / 9) + 9 * Math.sin(i * 1.7),
  domainEv: i % 5 === 4 ? 0.8315 - 0.05 * Math.exp(-i / 14) : null,
  generalEv: i % 5 === 4 ? 0.857 - 0.0008 * (1 - Math.exp(-i / 20)) : null,
}));

export function job(change: Partial<JobState> = {}): JobState {
  return {
    id: 'a1',
    kind: 'residual',
    name: 'chemistry',
    status: 'running',
    fraction: 0.63,
    progress: progress(),
    curve,
    width: 1_024,
    failure: null,
    notice: null,
    ...change,
  };
}

export function state(change: Partial<TrainingState> = {}): TrainingState {
  return { plan: null, jobs: [], reports: [], shown: null, obstacle: null, ...change };
}

export const boostPlan: BoostPlan = {
  corpus: {
    files: 142,
    documents: 168,
    bytes: 2_934_112,
    tokens: 655_360,
    heldOutFiles: 14,
    heldOutTokens: 41_216,
    skipped: [
      { reason: 'not text', count: 31, examples: ['figures/nmr-04.png', 'figures/cell.svg'] },
      { reason: 'larger than 32 MB', count: 1, examples: ['data/spectra.csv'] },
      { reason: 'named by .gitignore', count: 6, examples: ['build/notes.html'] },
    ],
    duplicates: 3,
    split: 'files',
    formats: { Markdown: 120, PDF: 17, LaTeX: 5 },
    warnings: [
      {
        code: 'little-text',
        message:
          'There are 655,360 tokens of text. Below 100 million the paper saw general text suffer; the report will say by how much, and mixing in general text helps.',
      },
    ],
  },
  tokens: 1_966_080,
  seconds: 268,
  secondsPerToken: 90 / 1_966_080,
  secondsPerTextToken: 150 / 655_360,
};

export function readyPlan(
  change: Partial<Extract<PlanState, { kind: 'ready' }>> = {},
): Extract<PlanState, { kind: 'ready' }> {
  return {
    kind: 'ready',
    name: 'chemistry',
    folders: ['notes'],
    plan: boostPlan,
    width: 1_024,
    k: 5,
    choice: { tokens: 1_966_080, mixGeneral: 0 },
    ...change,
  };
}

const queued = job({
  id: 'b2',
  name: 'russian',
  status: 'queued',
  fraction: 0,
  progress: null,
  curve: [],
});

/** Every state that the panel can be in, by name. */
export const trainingStates: Readonly<Record<string, TrainingState>> = {
  empty: state(),
  obstacle: state({
    obstacle: 'Open a folder first: a training reads the files of a workspace folder.',
  }),
  reading: state({
    plan: { kind: 'reading', name: 'chemistry', step: 'Reading 142 files', fraction: 0.4 },
  }),
  plan: state({ plan: readyPlan(), jobs: [job({ id: 'c3', name: 'speeches' })] }),
  planFailed: state({
    plan: {
      kind: 'failed',
      name: 'chemistry',
      message:
        'The workspace holds 812 tokens of text; a training needs at least 20,000. Add text.',
    },
  }),
  starting: state({ jobs: [job({ progress: null, fraction: 0, curve: [] })] }),
  running: state({
    jobs: [
      job({ id: '00', name: 'speeches', status: 'done', fraction: 1 }),
      job({ notice: 'The trainer stopped (signal SIGKILL) and went on from its checkpoint.' }),
      queued,
      job({ id: 'd4', name: 'law', status: 'cancelled', curve: [], progress: null }),
    ],
    reports: ['speeches'],
  }),
  paused: state({ jobs: [job({ status: 'paused' }), queued] }),
  failed: state({
    jobs: [
      job({
        status: 'failed',
        failure:
          'The disk is full: the activations need 3.1 GB and 0.4 GB are free. Free some space, or lower loupe.training.diskBudget.',
      }),
    ],
  }),
  report: state({
    jobs: [
      job({ status: 'done', fraction: 1 }),
      job({ id: 'b2', name: 'russian', fraction: 0.21 }),
    ],
    reports: ['chemistry', 'speeches'],
    shown: { domain: 'chemistry', stamp: 1 },
  }),
};
