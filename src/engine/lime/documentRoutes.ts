import { Failure } from '../../common/failure.ts';
import type { DocumentRoutes, DocumentRoutesRequest } from '../../contracts/layerMap.ts';
import { MeanNorms } from '../../lime/meanNorms.ts';
import {
  bytesPerToken,
  IdentityShares,
  type RouteShares,
  TriangularShares,
} from '../../lime/routeShares.ts';
import type { TokenSpans } from '../../models/model.ts';
import { requireAnalyzable } from '../analysis/analysis.ts';
import { pause } from '../pause.ts';
import type { LayerNorms, RouteRunner } from './routeRunner.ts';
import { routesConvention, routeWindowShape } from './routeWindows.ts';
import { initialMapOf, type Routing } from './routing.ts';
import { windowsOf } from '../analysis/windows.ts';

/** A document that was run: the answer, and what later questions are answered from. */
export interface RoutedDocument {
  readonly routes: DocumentRoutes;
  readonly shares: RouteShares;
  readonly initial: RouteShares;
}

/** Bytes of shares kept of one document. */
const mostBytes = 64 * 2 ** 20;

export interface RoutingContext {
  readonly signal: AbortSignal;
  report(fraction: number): void;
  /** Default `mostBytes`. */
  readonly mostBytes?: number;
}

/** Runs a document, or the part around what is visible where it is too long; `runner` as `Routing` needs it. */
export async function routeDocument(
  routing: Routing,
  runner: RouteRunner | undefined,
  { text, visible }: Pick<DocumentRoutesRequest, 'text' | 'visible'>,
  context: RoutingContext,
): Promise<RoutedDocument> {
  requireAnalyzable(text);
  const { tokenizer, config } = routing.model;
  const tokens = tokenizer.encode(text);
  if (tokens.ids.length === 0) throw new Failure('empty', 'There are no tokens to run.');
  const own = new MeanNorms(config);
  if (!runner) {
    const shares = new IdentityShares(tokens.ids.length, config);
    const contribution = initialMapOf(routing);
    const { starts, ends } = tokens;
    const facts = { starts, ends, isPart: false, convention: routesConvention(routing) };
    return { routes: { ...facts, contribution, initial: contribution }, shares, initial: shares };
  }
  const kinds = routing.origin === 'trained' ? 2 : 1;
  const most = Math.floor((context.mostBytes ?? mostBytes) / (kinds * bytesPerToken(config)));
  const part = partAround(tokens, visible, Math.max(1, most));
  const count = part.ids.length;
  const shares = new TriangularShares(count, config);
  const drawn = routing.origin === 'trained' ? new TriangularShares(count, config) : undefined;
  const drawnNorms = new MeanNorms(config);
  for (const { start, ownStart, end } of windowsOf(count, routeWindowShape(routing))) {
    await pause(context.signal);
    const norms = await runner.ofText(part.ids.subarray(start, end));
    const take = (
      found: ReadonlyMap<number, LayerNorms>,
      into: TriangularShares,
      sums: MeanNorms,
    ): void => {
      for (const [layer, { memory, output }] of found) {
        const { keyValueHeads, heads } = config;
        const skipped = (ownStart - start) * (layer + 1);
        sums.add(layer, memory.subarray(skipped * keyValueHeads));
        into.set(layer, ownStart, output.subarray(skipped * heads));
      }
    };
    take(norms.own, shares, own);
    if (norms.initial && drawn) take(norms.initial, drawn, drawnNorms);
    context.report(end / count);
  }
  return {
    routes: {
      starts: part.starts,
      ends: part.ends,
      contribution: own.map(),
      initial: drawn ? drawnNorms.map() : initialMapOf(routing),
      isPart: count < tokens.ids.length,
      convention: routesConvention(routing),
    },
    shares,
    initial: drawn ?? new IdentityShares(count, config),
  };
}

/** The `most` consecutive tokens around the middle of what is visible. */
function partAround(
  tokens: TokenSpans,
  visible: DocumentRoutesRequest['visible'],
  most: number,
): TokenSpans {
  const { length } = tokens.ids;
  if (length <= most) return tokens;
  const offset = (visible.start + visible.end) / 2;
  const found = tokens.ends.findIndex(end => end > offset);
  const middle = found < 0 ? length - 1 : found;
  const first = Math.max(0, Math.min(middle - Math.floor(most / 2), length - most));
  const cut = (all: Uint32Array) => all.slice(first, first + most);
  return { ids: cut(tokens.ids), starts: cut(tokens.starts), ends: cut(tokens.ends) };
}
