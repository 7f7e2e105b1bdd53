import { resolve } from 'node:path';
import type { LayerMapResult, RouteMapResult } from '../contracts/commandLine.ts';
import type { LayerMap, RouteMap } from '../contracts/layerMap.ts';
import { measureContribution } from '../engine/lime/contribution.ts';
import { initialConvention, routeWindowShape } from '../engine/lime/routeWindows.ts';
import { layerMapOf, readRouting, type Routing } from '../engine/lime/routing.ts';
import { integer, loadLog, modelOptions, modelRequest, text, texts } from './arguments.ts';
import { agreementText, mapAgreement } from '../report/mapAgreement.ts';
import type { Command, CommandInput } from './command.ts';
import { corpusTokens, progressLog } from './corpusOptions.ts';

const defaultTokens = 20_000;

/** `loupe layermap`: which layers each head of a LIMe model reads. */
export const layerMapCommand: Command = {
  name: 'layermap',
  usage: 'layermap [--model M] [--routers R] [--against R2] [--text PATH]... [--tokens N]',
  summary: 'Which layers each head reads (LIMe), by the routers and by what they take of a text.',
  options: {
    ...modelOptions,
    against: { type: 'string' },
    text: { type: 'string', multiple: true },
    tokens: { type: 'string' },
  },
  run: layerMap,
  format: result => describe(result as LayerMapResult),
};

async function layerMap(input: CommandInput): Promise<LayerMapResult> {
  const { values, positionals, signal } = input;
  const paths = [...texts(values, 'text'), ...positionals];
  const limit = integer(values, 'tokens', { min: 8, max: 1e9 }) ?? defaultTokens;
  const routing = await readRouting(modelRequest(values), {
    signal,
    report: loadLog(line => input.log(line)),
  });
  const map = layerMapOf(routing);
  const { origin, model, fit, layers, heads } = map;
  const against = text(values, 'against');
  const other = against === undefined ? undefined : await otherMap(input, against);
  const contribution = paths.length > 0 ? await measured(routing, paths, limit, input) : undefined;
  return {
    fitted: origin === 'fitted',
    layers,
    heads,
    ...rows(map.routers, map),
    initial: rows(map.initial, map),
    origin,
    model,
    fit,
    ...(other && { agreement: mapAgreement(map, other) }),
    ...(contribution && { contribution }),
  };
}

/** The map of other routers of the same model. */
async function otherMap({ values, signal }: CommandInput, path: string): Promise<LayerMap> {
  const request = { ...modelRequest(values), routers: resolve(path) };
  return layerMapOf(await readRouting(request, { signal, report: () => undefined }));
}

async function measured(
  routing: Routing,
  paths: readonly string[],
  limit: number,
  input: CommandInput,
): Promise<NonNullable<LayerMapResult['contribution']>> {
  const { signal } = input;
  const log = (line: string) => input.log(line);
  const { length } = routeWindowShape(routing);
  const packed = await corpusTokens(paths, routing.model.tokenizer, {
    windowLength: Math.min(length, limit),
    limit,
    signal,
    log,
  });
  const report = progressLog(log, packed.windowLength);
  const found = await measureContribution(routing, packed, { signal, report });
  const map = layerMapOf(routing);
  return {
    ...rows(found.contribution, map),
    initial: rows(found.initial, map),
    tokens: found.tokens,
    convention: `Shares of the mean |R V| over ${found.tokens} tokens in windows of ${packed.windowLength}, each run by itself; ${initialConvention(routing)}.`,
  };
}

/** The arrays of a map as nested lists. */
function rows(
  { map, perHead }: RouteMap,
  { layers, heads }: Pick<LayerMap, 'layers' | 'heads'>,
): RouteMapResult {
  const row = (values: Float32Array, at: number) => [
    ...values.subarray(at * layers, (at + 1) * layers),
  ];
  const each = <T>(count: number, make: (i: number) => T) =>
    Array.from({ length: count }, (_, i) => make(i));
  return {
    map: each(layers, layer => row(map, layer)),
    perHead: each(layers, layer => each(heads, head => row(perHead, layer * heads + head))),
  };
}

const origins = {
  trained: 'routers trained with the model',
  fitted: 'routers fitted to a frozen model',
  identity: 'no routers: each layer reads itself',
} as const;

function describe(result: LayerMapResult): string {
  const { model, origin, fit, map, agreement, contribution } = result;
  const fitted =
    fit &&
    `${fit.name}: ${fit.tokens} tokens, ${fit.steps} steps; cross-entropy of held-out text ${fit.ceBefore.toFixed(4)} before, ${fit.ceAfter.toFixed(4)} after.`;
  return [
    `${model}: ${origins[origin]}.`,
    ...(fitted ? [fitted] : []),
    ...(agreement ? [agreementText('--against', agreement)] : []),
    '',
    'By |R|, in percent of each row (layer down, buffer across):',
    ...table(map),
    ...(contribution
      ? ['', 'By contribution |R V|:', ...table(contribution.map), contribution.convention]
      : []),
  ].join('\n');
}

/** A triangle of percentages. */
function table(map: RouteMapResult['map']): string[] {
  const line = (title: string, cells: readonly string[]) =>
    [title.padStart(3), ...cells.map(cell => cell.padStart(3))].join(' ');
  const numbers = map.map((_, buffer) => String(buffer));
  return [
    line('', numbers),
    ...map.map((row, layer) =>
      line(
        String(layer),
        row.slice(0, layer + 1).map(share => (100 * share).toFixed(0)),
      ),
    ),
  ];
}
