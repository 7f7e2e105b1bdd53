import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { describeFeatures, type DescribedText } from '../engine/saes/describe.ts';
import { ModelRunner } from '../engine/model/modelRunner.ts';
import { requireModelFit } from '../engine/saes/requireModelFit.ts';
import { SaeRunner } from '../engine/saes/saeRunner.ts';
import { exampleCount, featureTableFile, writeFeatureTable } from '../saes/featureTable.ts';
import { readDictionary } from '../saes/readDictionary.ts';
import { windowLengthOf } from '../saes/windowLength.ts';
import {
  integer,
  deviceOptions,
  loadLog,
  modelRequest,
  saeOptions,
  saePath,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { corpusTokens, progressLog } from './corpusOptions.ts';

/** Tokens taken of each path. */
const defaultTokens = 100_000;

interface DescribeResult {
  readonly file: string;
  readonly features: number;
  readonly active: number;
  readonly withExamples: number;
  readonly sources: readonly {
    readonly name: string;
    readonly tokens: number;
    readonly quoted: boolean;
  }[];
  readonly convention: string;
}

/** `loupe describe`: what the features of an SAE stand for, kept beside it for hovers and panels. */
export const describeCommand: Command = {
  name: 'describe',
  usage:
    'describe --sae S --text PATH... [--examples [NAME=]PATH]... [--tokens N] [--out DIR] [--model M]',
  summary:
    'Measure every feature on N tokens of each path; writes features.safetensors beside the SAE',
  options: {
    ...saeOptions,
    ...deviceOptions,
    text: { type: 'string', multiple: true },
    examples: { type: 'string', multiple: true },
    tokens: { type: 'string' },
    out: { type: 'string' },
  },
  run: describeText,
  format: result => summary(result as DescribeResult),
};

async function describeText(input: CommandInput): Promise<DescribeResult> {
  const { values, positionals, signal } = input;
  const log = (line: string) => input.log(line);
  const statisticsOnly = [...texts(values, 'text'), ...positionals].map(path => ({
    ...named(path),
    quotable: false,
  }));
  const quotable = texts(values, 'examples').map(path => ({ ...named(path), quotable: true }));
  const sources = [...statisticsOnly, ...quotable];
  if (sources.length === 0)
    throw usage('--text is missing (statistics only), or --examples (may be quoted).');
  const limit = integer(values, 'tokens', { min: 3, max: 1e9 }) ?? defaultTokens;
  const request = modelRequest(values);
  const path = saePath(values);
  const dictionary = await readDictionary(path);
  const folder = text(values, 'out') ?? ((await stat(path)).isDirectory() ? path : dirname(path));
  const model = await ModelRunner.open(request, { signal, report: loadLog(log), warn: log });
  try {
    requireModelFit(dictionary, model);
    const windowLength = windowLengthOf(dictionary, model.info.contextLength);
    const described: DescribedText[] = [];
    for (const source of sources) {
      const tokens = await corpusTokens([source.path], model.tokenizer, {
        windowLength,
        limit,
        signal,
        log,
      });
      if (tokens.windowLength !== windowLength) {
        throw new Failure(
          'empty',
          `${source.path} does not fill one window of ${windowLength} tokens.`,
        );
      }
      described.push({ ...source, tokenIds: tokens.tokenIds });
    }
    const sae = await SaeRunner.open(dictionary, {
      threads: request.threads,
      ...model.on.sessionOptions,
    });
    try {
      const report = progressLog(log, windowLength);
      const table = await describeFeatures(model, sae, {
        texts: described,
        windowLength,
        signal,
        report,
      });
      await writeFeatureTable(folder, table);
      return {
        file: join(folder, featureTableFile),
        features: dictionary.width,
        active: table.density.filter(density => density > 0).length,
        withExamples: table.exampleLengths.filter(
          (length, i) => i % exampleCount === 0 && length > 0,
        ).length,
        sources: described.map(({ name, tokenIds, quotable }) => ({
          name,
          tokens: tokenIds.length,
          quoted: quotable,
        })),
        convention: table.about.convention,
      };
    } finally {
      await sae.dispose();
    }
  } finally {
    await model.dispose();
  }
}

/** `NAME=PATH`, or a path that is named by its file. */
function named(argument: string): { name: string; path: string } {
  const [, name, path] = /^([^=/\\]+)=(.+)$/.exec(argument) ?? [];
  if (name !== undefined && path !== undefined) return { name, path };
  return {
    name: basename(argument).replace(/(\.jsonl|\.txt|\.md)?(\.xz|\.gz)?$/, ''),
    path: argument,
  };
}

function summary({
  file,
  features,
  active,
  withExamples,
  sources,
  convention,
}: DescribeResult): string {
  const lines = sources.map(
    ({ name, tokens, quoted }) =>
      `  ${name}: ${tokens} tokens${quoted ? ', quoted' : ', statistics only'}`,
  );
  return [
    `${file}: ${active} of ${features} features fired, ${withExamples} with examples.`,
    ...lines,
    convention,
  ].join('\n');
}
