import type { EvaluateResult, SaeLensFigures } from '../contracts/commandLine.ts';
import { evaluate } from '../engine/analysis/evaluate.ts';
import { ModelRunner } from '../engine/model/modelRunner.ts';
import { requireModelFit } from '../engine/saes/requireModelFit.ts';
import { SaeRunner } from '../engine/saes/saeRunner.ts';
import { largestK, type Dictionary } from '../saes/dictionary.ts';
import { readDictionary } from '../saes/readDictionary.ts';
import { windowLengthOf } from '../saes/windowLength.ts';
import {
  integer,
  deviceOptions,
  loadLog,
  modelRequest,
  readResiduals,
  saeOptions,
  saePath,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { corpusTokens, progressLog } from './corpusOptions.ts';

const defaultTokens = 20_000;
/** Features looked at per token in an SAE whose sparsity is not a top k. */
const maxActive = 1024;

/** `loupe evaluate`: how much of the model an SAE keeps, at several sparsities. */
export const evaluateCommand: Command = {
  name: 'evaluate',
  usage:
    'evaluate --sae S [--boost R]... --text PATH... [--k 1,2,4,8,...] [--tokens N] [--model M]',
  summary: 'How well an SAE reconstructs, and what it costs the model, at several sparsities.',
  options: {
    ...saeOptions,
    ...deviceOptions,
    boost: { type: 'string', multiple: true },
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
  const boosts = await readResiduals(texts(values, 'boost'), dictionary);
  const ks = sparsities(text(values, 'k'), dictionary);
  const model = await ModelRunner.open(request, { signal, report: loadLog(log), warn: log });
  try {
    requireModelFit(dictionary, model);
    const windowLength = windowLengthOf(dictionary, model.info.contextLength);
    const tokens = await corpusTokens(paths, model.tokenizer, { windowLength, limit, signal, log });
    const open = (opened: Dictionary): Promise<SaeRunner> =>
      SaeRunner.open(opened, {
        threads: request.threads,
        maxActive,
        ...model.on.sessionOptions,
      });
    const sae = await open(dictionary);
    const residuals: SaeRunner[] = [];
    try {
      for (const residual of boosts) residuals.push(await open(residual));
      return await evaluate(model, sae, {
        ...tokens,
        ks,
        residuals,
        saelens: { layers: model.config.layers },
        subsets: residuals.length === 0 ? [[]] : [residuals.map((_, i) => i), []],
        signal,
        report: progressLog(log, tokens.windowLength),
      });
    } finally {
      for (const runner of [sae, ...residuals]) await runner.dispose();
    }
  } finally {
    await model.dispose();
  }
}

/** The values of `--k`, or powers of two up to the SAE's own k. */
function sparsities(list: string | undefined, { rule, width }: Dictionary): number[] {
  const largest = Math.min(largestK(rule) ?? maxActive, width);
  if (list === undefined) {
    const powers = [4, 8, 16, 32, 64, 128, 256, 512].filter(k => k < largest);
    return largestK(rule) !== undefined ? [...powers, largest] : [largest];
  }
  return list.split(',').map(part => {
    const k = Number(part);
    if (/^\d+$/.test(part.trim()) && k >= 1 && k <= largest) return k;
    throw usage(`--k is to list whole numbers from 1 to ${largest}, not '${part}'.`);
  });
}

/** What SAELens' evaluation says of the same tokens. */
function saeLensLine(k: number, figures: SaeLensFigures): string {
  const { ev, mse, cosine, l2Ratio, l0, ceScore, klScore } = figures;
  const said = { EV: ev, MSE: mse, cosine, 'L2 ratio': l2Ratio, L0: l0, 'CE score': ceScore };
  const list = Object.entries({ ...said, 'KL score': klScore })
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join(', ');
  return `By SAELens' convention (all tokens counted and replaced), k ${k}: ${list}.`;
}

function table({ tokens, excluded, convention, results }: EvaluateResult): string {
  const head = [
    'SAEs',
    'k',
    'EV',
    'MSE',
    'cosine',
    'L0',
    'L0 res',
    'dead',
    'CE clean',
    'CE SAE',
    'CE zero',
    'delta',
    'score',
  ];
  const rows = results.map(({ k, residuals, ev, mse, cosine, l0, residualL0, dead, ce }) => [
    ['base', ...residuals].join(' + '),
    String(k),
    ...[ev, mse, cosine].map(value => value.toFixed(4)),
    l0.toFixed(2),
    residualL0.toFixed(2),
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
    ...results.flatMap(({ k, saelens }) => (saelens ? ['', saeLensLine(k, saelens)] : [])),
  ].join('\n');
}
