import { resolve } from 'node:path';
import type { AnalyzedToken, AnalyzeResult } from '../contracts/commandLine.ts';
import type { AnalysisPart, DomainRequest } from '../contracts/engine.ts';
import {
  baseSource,
  locateFeature,
  sourcesOf,
  type FeatureSource,
} from '../common/featureSources.ts';
import { longestText } from '../engine/analysis/analysis.ts';
import { LoadedSae, readSaes } from '../engine/saes/loadedSae.ts';
import { ModelRunner } from '../engine/model/modelRunner.ts';
import { readDictionary } from '../saes/readDictionary.ts';
import { analysisText } from './analysisText.ts';
import {
  integer,
  deviceOptions,
  loadLog,
  modelRequest,
  onlyPositional,
  saeOptions,
  saePath,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { readText } from './readText.ts';

/** `loupe analyze`: which features of the SAE fire on which token of a file. */
export const analyzeCommand: Command = {
  name: 'analyze',
  usage: 'analyze FILE [--model M] [--sae S] [--boost DIR]... [--k N] [--top N]',
  summary: 'Which features fire on which token of a file, and how surprising each token is.',
  options: {
    ...saeOptions,
    ...deviceOptions,
    boost: { type: 'string', multiple: true },
    k: { type: 'string' },
    top: { type: 'string' },
  },
  run: analyze,
  format: result => analysisText(result as AnalyzeResult, process.stdout.isTTY),
};

async function analyze(input: CommandInput): Promise<AnalyzeResult> {
  const { values, signal } = input;
  const path = onlyPositional(input, 'FILE');
  const k = integer(values, 'k', { min: 1, max: 100_000 });
  const top = integer(values, 'top', { min: 0, max: 100_000 });
  // What is looked at may be a little off; what is trained or measured is in float32 unless float16 is asked for.
  const request = { precision: 'auto' as const, ...modelRequest(values) };
  const saes = { path: saePath(values), domains: await named(texts(values, 'boost')) };
  const text = await readText(path, longestText);
  const model = await ModelRunner.open(request, {
    signal,
    report: loadLog(line => input.log(line)),
    warn: line => input.log(line),
  });
  try {
    const read = await readSaes(saes, model, { signal, report: () => undefined });
    for (const { failure } of read.refused) throw failure;
    const options = { threads: request.threads, keepBytes: 0, ...model.on.sessionOptions };
    const sae = await LoadedSae.open(read, model, options);
    try {
      const { maxK, name } = sae.info;
      if (k !== undefined && k > maxK) {
        throw usage(`--k is to be at most ${maxK}, the largest k of ${name}.`);
      }
      const parts: AnalysisPart[] = [];
      input.log(`Analyzing ${path} ...`);
      await sae.analysis.analyze(
        { documentId: path, text, visible: { start: 0, end: 0 }, predictions: 1 },
        { signal, report: collect(parts, line => input.log(line)) },
      );
      const sources = sourcesOf(sae.info);
      const kept = k ?? maxK;
      const tokens = parts.flatMap(part => tokensOf(part, text, { k: kept, top, sources }));
      const result = { model: model.info.name, sae: name, k: kept, tokens };
      return { ...result, ...labelsOf(tokens, sae, sources) };
    } finally {
      await sae.dispose();
    }
  } finally {
    await model.dispose();
  }
}

/** Residual SAEs by their own names; of equal names the later ones get a number. */
async function named(paths: readonly string[]): Promise<DomainRequest[]> {
  const domains: DomainRequest[] = [];
  for (const path of paths) {
    const { name } = await readDictionary(path);
    const before = domains.filter(domain => domain.name.replace(/ \(\d+\)$/, '') === name).length;
    domains.push({ name: before === 0 ? name : `${name} (${before + 1})`, path: resolve(path) });
  }
  return domains;
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

/** The labels of the features that occur, of the sources whose features have been described. */
function labelsOf(
  tokens: readonly AnalyzedToken[],
  sae: LoadedSae,
  sources: readonly FeatureSource[],
): Pick<AnalyzeResult, 'labels' | 'domainLabels'> {
  const [base, ...domains] = sources.map(({ name }, i) => {
    const cards = sae.cardsOf(i);
    if (!cards) return undefined;
    const features = tokens.flatMap(token => token.features);
    const ids = new Set(features.filter(({ source }) => source === name).map(({ id }) => id));
    const labels = [...ids].map(id => [id, cards.labels.labels[id] ?? ''] as const);
    return [name, Object.fromEntries(labels)] as const;
  });
  const described = domains.filter(domain => domain !== undefined);
  return {
    ...(base && { labels: base[1] }),
    ...(described.length > 0 && { domainLabels: Object.fromEntries(described) }),
  };
}

interface Shown {
  readonly k: number;
  /** Features listed per token; undefined: all. */
  readonly top: number | undefined;
  readonly sources: readonly FeatureSource[];
}

/** The tokens of a part as the command prints them: of the base's `k` strongest and the domains', the first `top`. */
function tokensOf(part: AnalysisPart, text: string, { k, top, sources }: Shown): AnalyzedToken[] {
  return Array.from(part.tokenIds, (_id, row) => {
    const [start, end] = [part.starts[row] ?? 0, part.ends[row] ?? 0];
    const surprisal = part.surprisal[row] ?? NaN;
    const features = [
      ...firing(part, row, Math.min(k, part.k)),
      ...part.domains.flatMap(domain => firing(domain, row, domain.k)),
    ].sort((a, b) => b.activation - a.activation);
    return {
      index: part.firstToken + row,
      text: text.slice(start, end),
      start,
      end,
      surprisal: Number.isNaN(surprisal) ? null : surprisal,
      features: features.slice(0, top).map(({ feature, activation }) => {
        const { source, number } = locateFeature(feature, sources) ?? {};
        return { id: number ?? feature, activation, source: source?.name ?? baseSource };
      }),
    };
  });
}

/** The features of a row that fire, of the first `k`. */
function firing(
  { k: K, features, activations }: Pick<AnalysisPart, 'k' | 'features' | 'activations'>,
  row: number,
  k: number,
): { feature: number; activation: number }[] {
  return Array.from(activations.subarray(row * K, row * K + k), (activation, i) => ({
    feature: features[row * K + i] ?? 0,
    activation,
  })).filter(({ activation }) => activation > 0);
}
