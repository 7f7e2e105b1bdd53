import type { CollapseRequest, CollapseResult, CollapseText } from '../../contracts/collapse.ts';
import type { LoadProgress } from '../../contracts/engine.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import { wholeWindows } from '../../training/corpus/wholeWindows.ts';
import { measureCollapse } from './collapse.ts';
import { ModelRunner } from '../model/modelRunner.ts';

/** Tokens of a window, where the model reads as many. */
const usualWindow = 256;
/** Files of folders that are larger are no text that somebody writes. */
const maxFileBytes = 32 * 2 ** 20;

/** Runs a model of its own over a document or files, and measures whether its layers tell tokens apart. */
export async function collapseOfText(
  request: CollapseRequest,
  context: { readonly signal: AbortSignal; report(progress: LoadProgress): void },
): Promise<CollapseResult> {
  const { signal } = context;
  const model = await ModelRunner.open({ ...request.model, device: 'cpu' }, context);
  try {
    const { layers, contextLength } = model.config;
    const text = await wholeWindows(() => documents(request.text, signal), model.tokenizer, {
      windowLength: Math.min(usualWindow, contextLength),
      limit: request.tokens,
      signal,
    });
    return await measureCollapse(model, {
      ...request,
      ...text,
      projected: evenlySpread(request.projected, layers).map(layer => layers - 1 - layer),
      signal,
      report: (step, fraction) => context.report({ step, fraction }),
    });
  } finally {
    await model.dispose();
  }
}

async function* documents(
  text: CollapseText,
  signal: AbortSignal,
): AsyncGenerator<{ readonly text: string }> {
  if (text.kind === 'document') {
    yield text;
    return;
  }
  const { include, exclude, useGitIgnore } = text;
  const selection = { include, exclude, useGitIgnore, maxFileBytes };
  yield* readCorpus(text.roots, signal, undefined, selection);
}
