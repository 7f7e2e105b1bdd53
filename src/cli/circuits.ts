import type { CircuitsResult } from '../contracts/commandLine.ts';
import { findCircuits } from '../engine/lime/circuits.ts';
import { readRouting } from '../engine/lime/routing.ts';
import { integer, loadLog, modelOptions, modelRequest, texts, usage } from './arguments.ts';
import type { Command, CommandInput } from './command.ts';

const defaults = { tokens: 100_000, top: 20 };

/** `loupe circuits`: the tokens of a text on which one head reads one buffer most. */
export const circuitsCommand: Command = {
  name: 'circuits',
  usage:
    'circuits --layer L --head H --buffer J --text PATH... [--tokens N] [--top N] [--model M] [--routers R]',
  summary: 'The tokens of a text for which a head takes most of its output from one layer (LIMe).',
  options: {
    ...modelOptions,
    layer: { type: 'string' },
    head: { type: 'string' },
    buffer: { type: 'string' },
    text: { type: 'string', multiple: true },
    include: { type: 'string', multiple: true },
    exclude: { type: 'string', multiple: true },
    tokens: { type: 'string' },
    top: { type: 'string' },
  },
  run: circuits,
  format: result => describe(result as CircuitsResult),
};

async function circuits(input: CommandInput): Promise<CircuitsResult> {
  const { values, positionals, signal } = input;
  const log = (line: string) => input.log(line);
  const roots = [...texts(values, 'text'), ...positionals];
  if (roots.length === 0) throw usage('--text is missing.');
  const place = (name: string): number => {
    const value = integer(values, name, { min: 0, max: 1e4 });
    if (value === undefined) throw usage(`--${name} is missing.`);
    return value;
  };
  const route = { layer: place('layer'), head: place('head'), buffer: place('buffer') };
  const request = {
    roots,
    include: texts(values, 'include'),
    exclude: texts(values, 'exclude'),
    useGitIgnore: true,
    route,
    tokens: integer(values, 'tokens', { min: 1, max: 1e9 }) ?? defaults.tokens,
    count: integer(values, 'top', { min: 1, max: 1e5 }) ?? defaults.top,
  };
  const routing = await readRouting(modelRequest(values), { signal, report: loadLog(log) });
  let reported = performance.now();
  const report = (fraction: number): void => {
    if (performance.now() - reported < 5000) return;
    reported = performance.now();
    log(`${(100 * fraction).toFixed(0)} % of ${request.tokens} tokens`);
  };
  const found = await findCircuits(routing, request, { signal, report, log });
  return { model: routing.model.info.name, route, ...found };
}

/** Texts listed for people. */
const listed = 20;

function describe({ model, route, found, byText, convention }: CircuitsResult): string {
  const { layer, head, buffer } = route;
  const line = (text: string) => JSON.stringify(text).slice(1, -1);
  return [
    `${model}: layer ${layer}, head ${head}, buffer ${buffer}.`,
    '',
    ...found.map(
      ({ share, before, text, after, path, start }) =>
        `${(100 * share).toFixed(1).padStart(5)} %  ${line(before)}[${line(text)}]${line(after)}  ${path}:${start}`,
    ),
    '',
    'Most among the strongest:',
    ...byText
      .slice(0, listed)
      .map(
        ({ text, count, mean }) =>
          `${String(count).padStart(5)}  ${(100 * mean).toFixed(1).padStart(5)} %  ${line(text)}`,
      ),
    convention,
  ].join('\n');
}
