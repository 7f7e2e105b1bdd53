import type { LoadProgress } from '../../contracts/engine.ts';
import type { BoostPlan, BoostRequest, CorpusPlan, PlanRequest } from '../../contracts/trainer.ts';
import { readWorkspaceCorpus } from '../../training/corpus/corpusPlan.ts';
import { boostPace, type BoostPace, type PaceSettings } from './boostPace.ts';
import type { Stage } from './boostReporter.ts';
import { defaultTokens } from './boostText.ts';
import { measurements } from './boostTrain.ts';
import { measuredWindows } from './boostWindows.ts';
import { openFrozenBase, type FrozenBase } from './frozenBase.ts';

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
    report({ step: 'Timing this machine', fraction: 0 });
    const pace = await boostPace(frozen, paceSettings(request, tokens, corpus), signal);
    const stages = stagesOf(pace, { tokens, corpus, mixGeneral: 0 }, frozen.windowLength);
    return {
      corpus,
      tokens,
      seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0),
      secondsPerToken: pace.training,
      secondsPerTextToken: pace.computing,
    };
  } finally {
    await frozen.dispose();
  }
}

/** What a training still has to go through once its text is read. */
export async function expectedStages(
  frozen: FrozenBase,
  request: BoostRequest,
  { tokens, corpus }: Pick<BoostPlan, 'tokens' | 'corpus'>,
  signal: AbortSignal,
): Promise<readonly Stage[]> {
  const pace = await boostPace(frozen, paceSettings(request, tokens, corpus), signal);
  const { mixGeneral } = request;
  return stagesOf(pace, { tokens, corpus, mixGeneral }, frozen.windowLength);
}

function paceSettings(
  { width, k, model: { threads } }: PlanRequest,
  tokens: number,
  { tokens: textTokens }: CorpusPlan,
): PaceSettings {
  return { width, k, tokens, threads, textTokens };
}

function stagesOf(
  pace: BoostPace,
  { tokens, corpus, mixGeneral }: Pick<BoostPlan, 'tokens' | 'corpus'> & MixShare,
  windowLength: number,
): readonly Stage[] {
  const { live, reported, calibrated } = measuredWindows(tokens);
  const domain = (windows: number): number =>
    Math.min(windows * windowLength, corpus.heldOutTokens);
  const both = (windows: number): number => domain(windows) + windows * windowLength;
  const trainings = mixGeneral > 0 ? 2 : 1;
  const text = corpus.tokens / (1 - mixGeneral) + both(reported) + calibrated * windowLength;
  const watched = (1 + measurements) * both(live);
  return [
    { phase: 'computing activations', seconds: pace.computing * text },
    {
      phase: 'training',
      seconds: trainings * (pace.training * tokens + pace.watching * watched),
    },
    { phase: 'measuring', seconds: pace.measuring * both(reported) },
  ];
}

type MixShare = Pick<BoostRequest, 'mixGeneral'>;
