import type { AnalyzedToken, AnalyzeResult } from '../contracts/commandLine.ts';
import type { AnalysisPart } from '../contracts/engine.ts';
import { Analysis, longestText } from '../engine/analysis.ts';
import { ModelRunner } from '../engine/modelRunner.ts';
import { SaeRunner } from '../engine/saeRunner.ts';
import { readFeatureCards, type FeatureCards } from '../saes/featureCards.ts';
import { readDictionary, requireFit } from '../saes/readDictionary.ts';
import { analysisText } from './analysisText.ts';
import {
  integer,
  loadLog,
  modelRequest,
  onlyPositional,
  saeOptions,
  saePath,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { readText } from './readText.ts';

/** `loupe analyze`: which features of the SAE fire on which token of a file. */
export const analyzeCommand: Command = {
  name: 'analyze',
  usage: 'analyze FILE [--model M] [--sae S] [--k N] [--top N]',
  summary: 'Which features fire on which token of a file, and how surprising each token is.',
  options: { ...saeOptions, k: { type: 'string' }, top: { type: 'string' } },
  run: analyze,
  format: result => analysisText(result as AnalyzeResult, process.stdout.isTTY),
};

async function analyze(input: CommandInput): Promise<AnalyzeResult> {
  const { values, signal } = input;
  const path = onlyPositional(input, 'FILE');
  const k = integer(values, 'k', { min: 1, max: 100_000 });
  const top = integer(values, 'top', { min: 0, max: 100_000 });
  const request = modelRequest(values);
  const dictionaryPath = saePath(values);
  const text = await readText(path, longestText);
  const dictionary = await readDictionary(dictionaryPath);
  const model = await ModelRunner.open(request, {
    signal,
    report: loadLog(line => input.log(line)),
  });
  requireFit(dictionary, model.info);
  const sae = await SaeRunner.open(dictionary, { threads: request.threads });
  try {
    if (k !== undefined && k > sae.maxK) {
      throw usage(`--k is to be at most ${sae.maxK}, the largest k of ${dictionary.name}.`);
    }
    const cards = await readFeatureCards(dictionaryPath, dictionary.width, model.tokenizer);
    const parts: AnalysisPart[] = [];
    input.log(`Analysing ${path} ...`);
    await new Analysis(model, sae, { keepBytes: 0 }).analyze(
      { documentId: path, text, visible: { start: 0, end: 0 }, predictions: 1 },
      { signal, report: collect(parts, line => input.log(line)) },
    );
    const kept = k ?? sae.maxK;
    const tokens = parts.flatMap(part => tokensOf(part, text, kept, top ?? kept));
    const result = { model: model.info.name, sae: dictionary.name, k: kept, tokens };
    return cards ? { ...result, labels: labelsOf(tokens, cards) } : result;
  } finally {
    await sae.dispose();
    await model.dispose();
  }
}

/** Takes parts in, and logs at most every five seconds how many tokens they have come to. */
function collect(parts: AnalysisPart[], log: (line: string) => void): (part: AnalysisPart) => void {
  let [tokens, last] = [0, performance.now()];
  return part => {
    parts.push(part);
    tokens += part.tokenIds.length;
    if (performance.now() - last < 5000) return;
    last = performance.now();
    log(`${tokens} tokens`);
  };
}

/** The labels of the features that occur. */
function labelsOf(tokens: readonly AnalyzedToken[], cards: FeatureCards): Record<number, string> {
  const labels: Record<number, string> = {};
  for (const { features } of tokens) {
    for (const { id } of features) labels[id] ??= cards.labels.labels[id] ?? '';
  }
  return labels;
}

/** The tokens of a part as the command prints them: the first `top` of the `k` strongest features of each. */
function tokensOf(part: AnalysisPart, text: string, k: number, top: number): AnalyzedToken[] {
  return Array.from(part.tokenIds, (_id, row) => {
    const [start, end] = [part.starts[row] ?? 0, part.ends[row] ?? 0];
    const surprisal = part.surprisal[row] ?? NaN;
    const first = row * part.k;
    const active = part.activations.subarray(first, first + Math.min(k, top, part.k));
    return {
      index: part.firstToken + row,
      text: text.slice(start, end),
      start,
      end,
      surprisal: Number.isNaN(surprisal) ? null : surprisal,
      features: [...active]
        .filter(activation => activation > 0)
        .map((activation, i) => ({
          id: part.features[first + i] ?? 0,
          activation,
          source: 'base',
        })),
    };
  });
}
