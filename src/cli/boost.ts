import { basename, resolve } from 'node:path';
import type { BoostMeasure, BoostReport } from '../contracts/boostReport.ts';
import type { BoostProgress, BoostRequest } from '../contracts/trainer.ts';
import { Gate } from '../common/gate.ts';
import { boost } from '../engine/boost/boost.ts';
import {
  deviceOptions,
  integer,
  plainModelOptions,
  modelRequest,
  number,
  requiredText,
  saePath,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';
import { goOnOnCpu } from './goOnOnCpu.ts';
import { tensorflowChoice, trainingBackendOptions } from './trainingBackend.ts';

const most = Number.MAX_SAFE_INTEGER;
const gibibyte = 2 ** 30;

interface BoostResult extends BoostReport {
  /** The folder of the residual SAE, for --boost. */
  readonly residual: string;
}

/** `loupe boost`: trains a residual SAE on the error of a frozen one, or goes on with the one in the folder. */
export const boostCommand: Command = {
  name: 'boost',
  usage: 'boost [--base S] --text PATH... [--width 1024] [--k 5] [--tokens N] --out DIR',
  summary: 'Train a residual SAE on the error of a frozen one on domain text (SAE Boost)',
  options: {
    ...plainModelOptions,
    ...deviceOptions,
    ...trainingBackendOptions,
    base: { type: 'string' },
    'base-k': { type: 'string' },
    text: { type: 'string', multiple: true },
    include: { type: 'string', multiple: true },
    exclude: { type: 'string', multiple: true },
    general: { type: 'string', multiple: true },
    'mix-general': { type: 'string' },
    boost: { type: 'string', multiple: true },
    name: { type: 'string' },
    width: { type: 'string' },
    k: { type: 'string' },
    tokens: { type: 'string' },
    seed: { type: 'string' },
    'disk-gb': { type: 'string' },
    out: { type: 'string' },
  },

  async run(input: CommandInput): Promise<BoostResult> {
    const asked = request(input);
    const warn = (text: string): void => input.log(text);
    const options = { signal: input.signal, gate: new Gate(), report: progressLine(warn), warn };
    const report = await goOnOnCpu(asked, again => boost(again, options), warn);
    return { residual: asked.folder, ...report };
  },

  format: result => summary(result as BoostResult),
};

function request({ values, positionals }: CommandInput): BoostRequest {
  const roots = [...texts(values, 'text'), ...positionals].map(path => resolve(path));
  if (roots.length === 0) throw usage('--text is missing.');
  const folder = resolve(requiredText(values, 'out'));
  const baseK = integer(values, 'base-k', { min: 1, max: most });
  const seed = integer(values, 'seed', { min: 0, max: most }) ?? 0;
  const width = integer(values, 'width', { min: 1, max: 2 ** 24 }) ?? 1024;
  const k = integer(values, 'k', { min: 1, max: width }) ?? 5;
  return {
    model: modelRequest(values),
    basePath: saePath(values, 'base'),
    tensorflow: tensorflowChoice(values),
    ...(baseK !== undefined && { baseK }),
    corpus: {
      roots,
      include: texts(values, 'include'),
      exclude: texts(values, 'exclude'),
      useGitIgnore: true,
      seed,
      maxFileBytes: gibibyte,
    },
    generalPaths: texts(values, 'general').map(path => resolve(path)),
    otherDomains: texts(values, 'boost').map(path => resolve(path)),
    folder,
    name: text(values, 'name') ?? basename(folder),
    width,
    k,
    tokens: integer(values, 'tokens', { min: 1, max: most }) ?? 0,
    seed,
    mixGeneral: number(values, 'mix-general', { min: 0, max: 0.9 }) ?? 0,
    diskBytes: (number(values, 'disk-gb', { min: 0, max: 1e6 }) ?? 16) * gibibyte,
    command: ['loupe', ...process.argv.slice(2)].join(' '),
  };
}

/** Logs each phase, and how it stands every ten seconds. */
function progressLine(log: (line: string) => void): (progress: BoostProgress) => void {
  let phase = '';
  let told = 0;
  return progress => {
    const isNew = progress.phase !== phase;
    if (!isNew && performance.now() - told < 10_000 && progress.fraction < 1) return;
    phase = progress.phase;
    told = performance.now();
    const { loss, domainEv, generalEv, secondsLeft, dead, tokensPerSecond, device } = progress;
    const parts = [
      `${phase} ${(100 * progress.fraction).toFixed(0)} %`,
      phase === 'training' && loss !== null && `step ${progress.step}/${progress.steps}`,
      phase === 'training' && loss !== null && `loss ${loss.toFixed(1)}`,
      domainEv !== null && `EV ${domainEv.toFixed(4)} (domain)`,
      generalEv !== null && `${generalEv.toFixed(4)} (general)`,
      dead !== null && phase === 'training' && `dead ${(100 * dead).toFixed(1)} %`,
      tokensPerSecond !== null && phase === 'training' && `${tokensPerSecond.toFixed(0)} tokens/s`,
      device !== undefined && phase === 'training' && `on ${device}`,
      secondsLeft !== null && `about ${Math.ceil(secondsLeft / 60)} min left`,
    ];
    log(parts.filter(part => part !== false).join(', '));
  };
}

function summary({ residual, name, variants, features }: BoostResult): string {
  const lines = variants.flatMap(variant => [
    `${variant.name}${variant.folder === '.' ? ' (in use)' : ''}: ${variant.description}`,
    measureLine('domain ', variant.domain),
    measureLine('general', variant.general),
  ]);
  return [
    `${name}: ${residual}`,
    ...lines,
    `${features.length} features listed in report.json`,
  ].join('\n');
}

function measureLine(title: string, m: BoostMeasure): string {
  const percent = (share: number): string =>
    `${share >= 0 ? '+' : ''}${(100 * share).toFixed(2)} %`;
  return [
    `  ${title} EV ${m.base.ev.toFixed(4)} -> ${m.boosted.ev.toFixed(4)} (${percent(m.evChange)})`,
    `CE ${m.clean.toFixed(4)} clean, ${m.base.ce.toFixed(4)} -> ${m.boosted.ce.toFixed(4)} (delta CE ${percent(m.deltaCeChange)})`,
    `L0 ${m.base.l0.toFixed(1)} + ${m.boosted.residualL0.toFixed(2)}`,
  ].join(', ');
}
