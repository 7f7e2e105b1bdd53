import { throwIfCancelled } from '../../common/cancelled.ts';
import type { LoadProgress } from '../../contracts/engine.ts';
import type { RouterFitPlan, RouterFitPlanRequest } from '../../contracts/routerFit.ts';
import { readWorkspaceCorpus } from '../../training/corpus/corpusPlan.ts';
import { defaultFitTokens, fitWindow, identityRouters, loadFitted } from './routerFit.ts';
import { RoutedLoss } from './routedLoss.ts';

/** Reads and counts the text of a fit; runs one gradient to say how long and in how much memory it will go. */
export async function planRouterFit(
  request: RouterFitPlanRequest,
  options: {
    readonly signal: AbortSignal;
    readonly report: (progress: LoadProgress) => void;
    readonly warn?: (message: string) => void;
  },
): Promise<RouterFitPlan> {
  const { signal, report } = options;
  report({ step: 'Loading the model', fraction: 0 });
  const model = await loadFitted(request, options);
  const { plan: corpus } = await readWorkspaceCorpus(request.corpus, {
    tokenizer: model.tokenizer,
    signal,
    report: (step, fraction) =>
      report({ step: step === 'reading text' ? 'Reading text' : 'Counting tokens', fraction }),
  });
  report({ step: 'Measuring one step', fraction: 0 });
  const length = Math.min(fitWindow, model.config.contextLength);
  const { vocabulary } = model.config;
  const tokenIds = Uint32Array.from({ length }, (_, i) => (100 + i) % vocabulary);
  const routers = identityRouters(model.config);
  const loss = await RoutedLoss.open(model, { withGradients: true });
  try {
    // The first run sets up onnxruntime's memory.
    await loss.run(tokenIds, routers);
    throwIfCancelled(signal);
    const began = performance.now();
    await loss.run(tokenIds, routers);
    const secondsPerToken = (performance.now() - began) / 1000 / length;
    const tokens = request.tokens || defaultFitTokens(corpus.tokens);
    return {
      corpus,
      tokens,
      seconds: tokens * secondsPerToken,
      secondsPerToken,
      bytes: process.memoryUsage.rss(),
    };
  } finally {
    await loss.dispose();
  }
}
