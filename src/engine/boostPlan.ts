import type { BoostPlan, BoostRequest, PlanRequest } from '../contracts/trainer.ts';
import type { LoadProgress } from '../contracts/engine.ts';
import { readWorkspaceCorpus } from '../training/corpusPlan.ts';
import { computed } from './boostSource.ts';
import { defaultTokens, type BoostText } from './boostText.ts';
import type { PhaseSeconds } from './boostReporter.ts';
import { openFrozenBase, type FrozenBase } from './frozenBase.ts';

/** Training steps per activation computed, in time: measured where the model is 135 M wide; larger models make it less. */
const trainingShare = 0.12;
/** Runs of the model per token of the report: clean and zero, and one for the base and each variant. */
const reportRuns = 3.5;
const reportTokens = 2 * 32 * 256;

/** Reads and counts the text of a training, and says how long it will take on this machine. */
export async function planBoost(
  request: PlanRequest,
  options: { readonly signal: AbortSignal; readonly report: (progress: LoadProgress) => void },
): Promise<BoostPlan> {
  const { signal, report } = options;
  report({ step: 'Loading the model', fraction: 0 });
  const frozen = await openFrozenBase(request, signal);
  try {
    const { plan: corpus } = await readWorkspaceCorpus(request.corpus, {
      tokenizer: frozen.model.tokenizer,
      signal,
      report: (step, fraction) =>
        report({ step: step === 'reading text' ? 'Reading text' : 'Counting tokens', fraction }),
    });
    const tokens = request.tokens || defaultTokens(corpus.tokens);
    const perToken = await secondsPerToken(frozen, signal);
    const expected = Object.values(phases(perToken, { tokens, unique: corpus.tokens }));
    const seconds = expected.reduce((sum, phase) => sum + phase, 0);
    return { corpus, tokens, seconds, secondsPerToken: perToken * trainingShare };
  } finally {
    await frozen.dispose();
  }
}

/** Seconds that the phases of a training are likely to take. */
export async function expectedSeconds(
  frozen: FrozenBase,
  { plan }: Pick<BoostText, 'plan'>,
  { tokens, mixGeneral }: Pick<BoostRequest, 'tokens' | 'mixGeneral'>,
  signal: AbortSignal,
): Promise<PhaseSeconds> {
  const unique = plan.tokens / (1 - mixGeneral);
  const trainings = mixGeneral > 0 ? 2 : 1;
  return phases(await secondsPerToken(frozen, signal), { tokens: trainings * tokens, unique });
}

function phases(
  perToken: number,
  { tokens, unique }: { readonly tokens: number; readonly unique: number },
): Record<'computing activations' | 'training' | 'measuring', number> {
  return {
    'computing activations': perToken * (unique + 2 * reportTokens),
    training: perToken * trainingShare * tokens,
    measuring: perToken * reportRuns * reportTokens,
  };
}

/** Of the model up to the hook and the base, on a window of any tokens; the first run warms up. */
async function secondsPerToken(frozen: FrozenBase, signal: AbortSignal): Promise<number> {
  const { windowLength } = frozen;
  const tokenIds = Uint32Array.from({ length: 2 * windowLength }, (_, i) => 100 + (i % 1000));
  const source = computed(frozen, tokenIds, windowLength);
  await source.read(0, 1, signal);
  const began = performance.now();
  await source.read(1, 1, signal);
  return (performance.now() - began) / 1000 / windowLength;
}
