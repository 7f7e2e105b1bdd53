import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { Circuits, CircuitsRequest, CircuitToken } from '../../contracts/layerMap.ts';
import { requireRoute, rowShares } from '../../lime/routeShares.ts';
import type { TokenSpans } from '../../models/model.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import type { CorpusDocument } from '../../training/corpus/extract/document.ts';
import { NearDuplicates } from '../../training/corpus/nearDuplicates.ts';
import { pieces } from '../../training/corpus/packTokens.ts';
import { pause } from '../pause.ts';
import { RouteRunner } from './routeRunner.ts';
import { routeWindowShape, windowsConvention } from './routeWindows.ts';
import type { Routing } from './routing.ts';
import { Strongest } from './strongest.ts';
import { windowsOf } from '../analysis/windows.ts';

/** Files of folders that are larger are no text that somebody writes. */
const maxFileBytes = 32 * 2 ** 20;
/** Tokens of context on either side. */
const around = 12;
/** Texts are counted among so much of the tokens that were run, the strongest, and among so many at most. */
const counted = { share: 0.01, most: 1000 };

/**
 * The tokens of a corpus on which one route matters most, by its share in its head's output: the "depthwise circuits"
 * of Gerasimov et al. 2025, arXiv 2502.09245 v1, table 2, for routers that are the same for every token.
 */
export async function findCircuits(
  routing: Routing,
  request: Omit<CircuitsRequest, 'model'>,
  context: SearchContext,
): Promise<Circuits> {
  requireReading(routing, request);
  const runner = await RouteRunner.open(routing, { layers: [request.route.layer] });
  try {
    return await search(routing, runner, request, context);
  } finally {
    await runner.dispose();
  }
}

interface SearchContext {
  readonly signal: AbortSignal;
  readonly report: (fraction: number) => void;
  /** Told of files that are left out. */
  readonly log?: (line: string) => void;
}

async function search(
  routing: Routing,
  runner: RouteRunner,
  request: Omit<CircuitsRequest, 'model'>,
  { signal, report, log }: SearchContext,
): Promise<Circuits> {
  const { tokenizer, config } = routing.model;
  const { layer, head, buffer } = request.route;
  const { include, exclude, useGitIgnore } = request;
  const selection = { include, exclude, useGitIgnore, maxFileBytes };
  const strongest = new Strongest<CircuitToken>(Math.max(request.count, counted.most));
  const duplicates = new NearDuplicates(0);
  let tokens = 0;
  for await (const document of readCorpus(request.roots, signal, log, selection)) {
    if (duplicates.add(document.text)) continue;
    let offset = 0;
    for (const text of pieces(document.text)) {
      throwIfCancelled(signal);
      const spans = tokenizer.encode(text);
      const count = Math.min(spans.ids.length, request.tokens - tokens);
      for (const { start, ownStart, end } of windowsOf(count, routeWindowShape(routing))) {
        await pause(signal);
        const { own } = await runner.ofText(spans.ids.subarray(start, end));
        const shares = rowShares(own.get(layer)?.output ?? new Float32Array(), layer + 1); // (T, H, layer + 1)
        for (let t = ownStart; t < end; t++) {
          const share = shares[((t - start) * config.heads + head) * (layer + 1) + buffer] ?? 0;
          strongest.offer(share, () => ({
            text: tokenizer.tokenText(spans.ids[t] ?? 0),
            share,
            ...placeOf({ document, text, offset, spans }, t),
          }));
        }
        tokens += end - ownStart;
        report(tokens / request.tokens);
      }
      offset += text.length;
      if (tokens >= request.tokens) break;
    }
    if (tokens >= request.tokens) break;
  }
  if (tokens === 0) throw nothingRead(request.roots);
  report(1);
  const list = strongest.list();
  const found = list.slice(0, request.count);
  const few = Math.min(counted.most, Math.ceil(counted.share * tokens));
  const among = list.slice(0, Math.max(found.length, few));
  return {
    tokens,
    found,
    byText: countTexts(among),
    convention: `${windowsConvention(routing)}; texts are counted among the ${among.length} strongest of ${tokens} tokens.`,
  };
}

/** Refuses routes that say nothing: of a model without routers, and of its first layer. */
function requireReading(routing: Routing, { route }: Pick<CircuitsRequest, 'route'>): void {
  requireRoute(route, routing.model.config);
  if (routing.origin === 'identity') {
    throw new Failure('usage', `${routing.model.info.name} has no routers to look at.`, {
      action: 'Choose a LIMe model, or fit routers to this one.',
    });
  }
  if (route.layer === 0) {
    throw new Failure('usage', 'The first layer reads nothing but its own keys and values.', {
      action: 'Choose a later layer.',
    });
  }
}

interface Piece {
  readonly document: CorpusDocument;
  readonly text: string;
  /** UTF-16 units of the document before it. */
  readonly offset: number;
  readonly spans: TokenSpans;
}

function placeOf(
  { document, text, offset, spans }: Piece,
  token: number,
): Omit<CircuitToken, 'text' | 'share'> {
  const { starts, ends } = spans;
  const [start = 0, end = 0] = [starts[token], ends[token]];
  const at = document.verbatim ? document.start + offset : -Infinity;
  return {
    before: text.slice(starts[Math.max(0, token - around)], start),
    after: text.slice(end, ends[Math.min(ends.length - 1, token + around)]),
    path: document.path,
    start: Math.max(0, at + start),
    end: Math.max(0, at + end),
    verbatim: document.verbatim,
  };
}

function countTexts(tokens: readonly CircuitToken[]): Circuits['byText'] {
  const sums = new Map<string, { count: number; sum: number }>();
  for (const { text, share } of tokens) {
    const entry = sums.get(text) ?? { count: 0, sum: 0 };
    sums.set(text, { count: entry.count + 1, sum: entry.sum + share });
  }
  return [...sums]
    .map(([text, { count, sum }]) => ({ text, count, mean: sum / count }))
    .sort((a, b) => b.count - a.count || b.mean - a.mean);
}

function nothingRead(roots: readonly string[]): Failure {
  return new Failure('empty', `There is no text to run in ${roots.join(', ')}.`, {
    action: 'Choose other files, or change the globs that choose them.',
  });
}
