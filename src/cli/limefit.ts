import { basename, resolve } from 'node:path';
import { Gate } from '../common/gate.ts';
import type { RouterFitReport, RouterFitRequest } from '../contracts/routerFit.ts';
import type { RouterFitProgress } from '../contracts/trainer.ts';
import { fitRouters } from '../engine/lime/routerFit.ts';
import { planRouterFit } from '../engine/lime/routerFitPlan.ts';
import {
  deviceOptions,
  integer,
  plainModelOptions,
  modelRequest,
  requiredText,
  text,
  texts,
  usage,
} from './arguments.ts';
import type { Command, CommandInput } from './command.ts';

const most = Number.MAX_SAFE_INTEGER;

interface LimeFitResult extends RouterFitReport {
  /** The folder of the routers, for --routers. */
  readonly folder: string;
}

/** `loupe limefit`: fits LIMe routers to a frozen model, or goes on with the fit in the folder. */
export const limefitCommand: Command = {
  name: 'limefit',
  usage: 'limefit --text PATH... [--tokens N] --out DIR [--model M]',
  summary: 'Fit LIMe routers to an ordinary Llama: which layers does each head want to read?',
  options: {
    ...plainModelOptions,
    ...deviceOptions,
    text: { type: 'string', multiple: true },
    include: { type: 'string', multiple: true },
    exclude: { type: 'string', multiple: true },
    name: { type: 'string' },
    tokens: { type: 'string' },
    seed: { type: 'string' },
    out: { type: 'string' },
  },

  async run(input: CommandInput): Promise<LimeFitResult> {
    const { signal } = input;
    const log = (line: string): void => input.log(line);
    const asked = request(input);
    const plan = await planRouterFit(asked, { signal, report: () => undefined, warn: log });
    log(
      `${plan.tokens} tokens, about ${Math.ceil(plan.seconds / 60)} min; ${(plan.bytes / 2 ** 30).toFixed(1)} GB of memory, however long the text is`,
    );
    const report = progressLine(log);
    const result = await fitRouters(asked, { signal, gate: new Gate(), report, warn: log });
    return { folder: asked.folder, ...result };
  },

  format: result => summary(result as LimeFitResult),
};

function summary({ folder, fit, device }: LimeFitResult): string {
  const { ceBefore, ceAfter, heldOutTokens, tokens, steps } = fit;
  const change = (100 * (ceAfter - ceBefore)) / ceBefore;
  return [
    `Routers in ${folder}: ${tokens} tokens, ${steps} steps, on ${device === 'CPU' ? 'the CPU' : device}`,
    `held-out CE ${ceBefore.toFixed(4)} -> ${ceAfter.toFixed(4)} nats (${change >= 0 ? '+' : ''}${change.toFixed(2)} %), ${heldOutTokens} tokens`,
    ...(ceAfter < ceBefore ? [] : ['The fit did not lower it: give more text.']),
  ].join('\n');
}

function request({ values, positionals }: CommandInput): RouterFitRequest {
  const roots = [...texts(values, 'text'), ...positionals].map(path => resolve(path));
  if (roots.length === 0) throw usage('--text is missing.');
  const folder = resolve(requiredText(values, 'out'));
  const seed = integer(values, 'seed', { min: 0, max: most }) ?? 0;
  return {
    model: modelRequest(values),
    corpus: {
      roots,
      include: texts(values, 'include'),
      exclude: texts(values, 'exclude'),
      useGitIgnore: true,
      // The same text is held out whatever the seed: fits with different seeds are compared on it.
      seed: 0,
      maxFileBytes: 2 ** 30,
    },
    folder,
    name: text(values, 'name') ?? basename(folder),
    tokens: integer(values, 'tokens', { min: 1, max: most }) ?? 0,
    seed,
  };
}

/** Logs each phase, and how it stands every ten seconds. */
function progressLine(log: (line: string) => void): (progress: RouterFitProgress) => void {
  let phase = '';
  let told = 0;
  return progress => {
    const isNew = progress.phase !== phase;
    if (!isNew && performance.now() - told < 10_000) return;
    phase = progress.phase;
    told = performance.now();
    const { step, steps, loss, tokensPerSecond, secondsLeft } = progress;
    const parts = [
      `${phase} ${(100 * progress.fraction).toFixed(0)} %`,
      phase === 'fitting' && `step ${step}/${steps}`,
      phase === 'fitting' && loss !== null && `CE ${loss.toFixed(4)}`,
      phase === 'fitting' && tokensPerSecond !== null && `${tokensPerSecond.toFixed(0)} tokens/s`,
      secondsLeft !== null && `about ${Math.ceil(secondsLeft / 60)} min left`,
    ];
    log(parts.filter(part => part !== false).join(', '));
  };
}
