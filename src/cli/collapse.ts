import { Failure } from '../common/failure.ts';
import {
  type CollapsePlace,
  collapsePlaces,
  type CollapseResult,
  type MeanAndDeviation,
} from '../contracts/collapse.ts';
import type { CollapseCommandResult } from '../contracts/commandLine.ts';
import { authorsWords } from '../engine/lime/closeWords.ts';
import { measureCollapse } from '../engine/lime/collapse.ts';
import { ModelRunner } from '../engine/model/modelRunner.ts';
import {
  integer,
  loadLog,
  modelOptions,
  modelRequest,
  number,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { corpusTokens } from './corpusOptions.ts';

/** `loupe collapse`: how far a model's layers tell tokens apart, for one model or two side by side. */
export const collapseCommand: Command = {
  name: 'collapse',
  usage:
    'collapse --text PATH... [--model M] [--against M2] [--words is,are,was,were] [--alpha 0.5] [--tokens N]',
  summary:
    "Matrix entropy and separability of close words, by layer, of a model's values and states.",
  options: {
    ...modelOptions,
    text: { type: 'string', multiple: true },
    against: { type: 'string' },
    tokens: { type: 'string' },
    window: { type: 'string' },
    samples: { type: 'string' },
    words: { type: 'string' },
    alpha: { type: 'string' },
    epochs: { type: 'string' },
    seed: { type: 'string' },
    project: { type: 'string' },
    points: { type: 'string' },
  },
  run: collapse,
  format: result => tables(result as CollapseCommandResult),
};

async function collapse(input: CommandInput): Promise<CollapseCommandResult> {
  const { values } = input;
  const request = modelRequest(values);
  const against = text(values, 'against');
  const settings = settingsOf(input);
  const results = [await measured(input, request, settings)];
  if (against !== undefined) {
    const other = modelRequest({ ...values, model: against });
    results.push(await measured(input, other, settings));
  }
  return { results: results.map(writable) };
}

type Settings = ReturnType<typeof settingsOf>;

function settingsOf({ values, positionals }: CommandInput) {
  const paths = [...texts(values, 'text'), ...positionals];
  if (paths.length === 0) throw usage('--text is missing.');
  const epochs = integer(values, 'epochs', { min: 1, max: 1e4 });
  return {
    paths,
    limit: integer(values, 'tokens', { min: 2, max: 1e9 }) ?? 20_000,
    windowLength: integer(values, 'window', { min: 2, max: 1e5 }) ?? 256,
    options: {
      words: wordList(text(values, 'words')),
      alpha: number(values, 'alpha', { min: 1e-3, max: 100 }) ?? 0.5,
      samples: integer(values, 'samples', { min: 1, max: 1e6 }) ?? 32,
      seed: integer(values, 'seed', { min: 0, max: 2 ** 32 - 1 }) ?? 42,
      projected: listed(text(values, 'project'))?.map(layerNumber) ?? [],
      points: integer(values, 'points', { min: 2, max: 1000 }) ?? 400,
      ...(epochs !== undefined && { epochs }),
    },
  };
}

/** Words that are to be told apart; `none` is no word. */
function wordList(value: string | undefined): readonly string[] {
  return value === 'none' ? [] : (listed(value) ?? authorsWords);
}

function listed(value: string | undefined): string[] | undefined {
  return value?.split(',').map(part => part.trim());
}

function layerNumber(part: string): number {
  if (/^\d{1,5}$/.test(part)) return Number(part);
  throw usage(`--project is to list layers, not '${part}'.`);
}

async function measured(
  input: CommandInput,
  request: ReturnType<typeof modelRequest>,
  { paths, limit, windowLength, options }: Settings,
): Promise<CollapseResult> {
  const { signal } = input;
  const log = (line: string) => input.log(line);
  const model = await ModelRunner.open(request, { signal, report: loadLog(log) });
  try {
    const { contextLength } = model.config;
    if (windowLength > contextLength && input.values['window'] !== undefined) {
      throw new Failure(
        'usage',
        `--window is ${windowLength}; ${model.info.name} reads at most ${contextLength} tokens.`,
      );
    }
    const tokens = await corpusTokens(paths, model.tokenizer, {
      windowLength: Math.min(windowLength, contextLength),
      limit,
      signal,
      log,
    });
    return await measureCollapse(model, {
      ...tokens,
      ...options,
      signal,
      report: stepLog(log, model.info.name),
    });
  } finally {
    await model.dispose();
  }
}

/** Logs each step's progress, at most every five seconds. */
function stepLog(log: (line: string) => void, name: string) {
  let last = performance.now();
  return (step: string, fraction: number): void => {
    const now = performance.now();
    if (now - last < 5000) return;
    last = now;
    log(`${name}: ${step}, ${(100 * fraction).toFixed(0)} %`);
  };
}

/** Typed arrays as JSON has them: lists. */
function writable(result: CollapseResult): CollapseCommandResult['results'][number] {
  const projections = result.projections.map(({ points, words, ...rest }) => ({
    ...rest,
    points: Array.from(words, (word, n) => ({
      word: result.words[word]?.word ?? '',
      x: points[2 * n] ?? NaN,
      y: points[2 * n + 1] ?? NaN,
    })),
  }));
  return { ...result, projections };
}

type Written = CollapseCommandResult['results'];

function tables({ results }: CollapseCommandResult): string {
  const named = results.map(
    ({ model, architecture, words, perWord }, i) =>
      `${letter(results, i)}${model} (${architecture}): ${words.map(({ word, count }) => `${word} ${count}`).join(', ')}; ${perWord} of each`,
  );
  return [
    ...named,
    '',
    'Matrix entropy, nats',
    table(results, ({ entropy }) => entropy),
    '',
    ...separability(results),
    ...results.map(({ convention }, i) => `${letter(results, i)}${convention}`),
  ].join('\n');
}

function separability(results: Written): string[] {
  const isMeasured = results.some(({ layers }) => layers.some(({ values }) => values.separability));
  if (!isMeasured) return [];
  const chance = results[0]?.chance ?? NaN;
  return [
    `Linear separability, accuracy (guessing: ${chance.toFixed(2)})`,
    table(results, measured => measured.separability),
    '',
  ];
}

/** Which of two models a column is of. */
function letter(results: Written, index: number): string {
  return results.length > 1 ? `${index === 0 ? 'A' : 'B'} ` : '';
}

const titles: Readonly<Record<CollapsePlace, string>> = {
  values: 'values',
  hiddenStates: 'hidden states',
};

function table(
  results: Written,
  of: (measured: CollapseResult['layers'][number][CollapsePlace]) => MeanAndDeviation | null,
): string {
  const columns = collapsePlaces.flatMap(place =>
    results.map((result, i) => ({ title: `${letter(results, i)}${titles[place]}`, place, result })),
  );
  const layers = Math.max(...results.map(({ layers }) => layers.length));
  const rows = Array.from({ length: layers }, (_, layer) => [
    String(layer),
    ...columns.map(({ place, result }) => {
      const row = result.layers[layer];
      const measured = row ? of(row[place]) : null;
      return measured ? `${measured.mean.toFixed(3)} ± ${measured.deviation.toFixed(3)}` : '–';
    }),
  ]);
  const head = ['layer', ...columns.map(({ title }) => title)];
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ');
  return [line(head), ...rows.map(line)].join('\n');
}
