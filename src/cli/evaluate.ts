import type { EvaluateResult } from '../contracts/commandLine.ts';
import { evaluate } from '../engine/evaluate.ts';
import { ModelRunner } from '../engine/modelRunner.ts';
import { SaeRunner } from '../engine/saeRunner.ts';
import type { Dictionary } from '../saes/dictionary.ts';
import { readDictionary, requireFit } from '../saes/readDictionary.ts';
import {
  integer,
  loadLog,
  modelRequest,
  saeOptions,
  saePath,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { corpusTokens, progressLog, windowLengthOf } from './corpusOptions.ts';

const defaultTokens = 20_000;
/** Features looked at per token in an SAE whose sparsity is not a top k. */
const maxActive = 1024;

/** `loupe evaluate`: how much of the model an SAE keeps, at several sparsities. */
export const evaluateCommand: Command = {
  name: 'evaluate',
  usage: 'evaluate --sae S --text PATH... [--k 1,2,4,8,...] [--tokens N] [--model M]',
  summary: 'How well an SAE reconstructs, and what it costs the model, at several sparsities.',
  options: {
    ...saeOptions,
    text: { type: 'string', multiple: true },
    k: { type: 'string' },
    tokens: { type: 'string' },
  },
  run: evaluateText,
  format: result => table(result as EvaluateResult),
};

async function evaluateText(input: CommandInput): Promise<EvaluateResult> {
  const { values, positionals, signal } = input;
  const log = (line: string) => input.log(line);
  const paths = [...texts(values, 'text'), ...positionals];
  if (paths.length === 0) throw usage('--text is missing.');
  const limit = integer(values, 'tokens', { min: 3, max: 1e9 }) ?? defaultTokens;
  const request = modelRequest(values);
  const dictionary = await readDictionary(saePath(values));
  const ks = sparsities(text(values, 'k'), dictionary);
  const model = await ModelRunner.open(request, { signal, report: loadLog(log) });
  try {
    requireFit(dictionary, model.info);
    const windowLength = windowLengthOf(dictionary, model.info.contextLength);
    const tokens = await corpusTokens(paths, model.tokenizer, { windowLength, limit, signal, log });
    const sae = await SaeRunner.open(dictionary, { threads: request.threads, maxActive });
    try {
      return await evaluate(model, sae, {
        ...tokens,
        ks,
        signal,
        report: progressLog(log, tokens.windowLength),
      });
    } finally {
      await sae.dispose();
    }
  } finally {
    await model.dispose();
  }
}

/** The values of `--k`, or powers of two up to the SAE's own k. */
function sparsities(list: string | undefined, { rule, width }: Dictionary): number[] {
  const largest = Math.min(rule.kind === 'topk' ? rule.maxK : maxActive, width);
  if (list === undefined) {
    const powers = [4, 8, 16, 32, 64, 128, 256, 512].filter(k => k < largest);
    return rule.kind === 'topk' ? [...powers, largest] : [largest];
  }
  return list.split(',').map(part => {
    const k = Number(part);
    if (/^\d+$/.test(part.trim()) && k >= 1 && k <= largest) return k;
    throw usage(`--k is to list whole numbers from 1 to ${largest}, not '${part}'.`);
  });
}

function table({ tokens, excluded, convention, results }: EvaluateResult): string {
  const head = [
    'k',
    'EV',
    'MSE',
    'cosine',
    'L0',
    'dead',
    'CE clean',
    'CE SAE',
    'CE zero',
    'delta',
    'score',
  ];
  const rows = results.map(({ k, ev, mse, cosine, l0, dead, ce }) => [
    String(k),
    ...[ev, mse, cosine].map(value => value.toFixed(4)),
    l0.toFixed(2),
    `${(100 * dead).toFixed(1)} %`,
    ...[ce.clean, ce.sae, ce.zero, ce.delta, ce.score].map(value => value.toFixed(4)),
  ]);
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  ');
  return [
    line(head),
    ...rows.map(line),
    '',
    `${tokens} tokens, ${excluded} left out.`,
    convention,
  ].join('\n');
}
