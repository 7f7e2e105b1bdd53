import { stat } from 'node:fs/promises';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { LoadProgress, ModelRequest } from '../../contracts/engine.ts';
import type {
  DocumentRoutes,
  DocumentRoutesRequest,
  LayerMapContract,
} from '../../contracts/layerMap.ts';
import type { CallContext, Handlers } from '../../messages/calls.ts';
import { asFailure } from '../asFailure.ts';
import { collapseOfText } from './collapseOfText.ts';
import { findCircuits } from './circuits.ts';
import { type RoutedDocument, routeDocument } from './documentRoutes.ts';
import { RouteRunner } from './routeRunner.ts';
import { layerMapOf, readRouting, type Routing } from './routing.ts';

type Context = CallContext<LoadProgress>;

/** Answers about which layers each head reads; holds the routed model while documents are kept. */
export class LayerMaps {
  private readonly documents = new Map<string, KeptDocument>();
  private model: RoutedModel | undefined;
  /** Documents are run one after the other. */
  private turn: Promise<unknown> = Promise.resolve();
  private released = new AbortController();

  readonly handlers: Handlers<LayerMapContract> = {
    layerMap: (request, context) =>
      this.work(context, async options => layerMapOf(await readRouting(request, options))),
    documentRoutes: (request, context) =>
      this.work(context, options => this.documentRoutes(request, options)),
    tokenRoutes: ({ documentId, token }) => {
      const { shares, initial } = this.requireDocument(documentId);
      return { token, shares: shares.ofToken(token), initial: initial.ofToken(token) };
    },
    routeTokens: ({ documentId, route }) => {
      const { shares, initial } = this.requireDocument(documentId);
      return { shares: shares.ofRoute(route), initial: initial.ofRoute(route) };
    },
    forgetRoutes: async ({ documentId }) => {
      this.documents.get(documentId)?.stop.abort(cancelled('the document was closed'));
      this.documents.delete(documentId);
      await this.inTurn(() => this.letGo());
      return null;
    },
    circuits: (request, context) =>
      this.work(context, async options => {
        const routing = await readRouting(request.model, portion(options, 0, 0.1));
        const report = (fraction: number) =>
          options.report({ step: 'Running the text', fraction: 0.1 + 0.9 * fraction });
        return findCircuits(routing, request, { signal: options.signal, report });
      }),
    collapse: (request, context) => this.work(context, options => collapseOfText(request, options)),
  };

  /** Ends all work, and lets go of the model; what is known of documents stays. */
  async release(why: string): Promise<void> {
    this.released.abort(cancelled(why));
    this.released = new AbortController();
    await this.inTurn(() => this.closeModel());
  }

  /** With a signal that `release` aborts too. */
  private async work<T>(context: Context, task: (context: Context) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([context.signal, this.released.signal]);
    try {
      return await task({ ...context, signal });
    } catch (error) {
      throwIfCancelled(signal);
      throw asFailure(error);
    }
  }

  private async documentRoutes(
    request: DocumentRoutesRequest,
    context: Context,
  ): Promise<DocumentRoutes> {
    const { documentId } = request;
    const before = this.documents.get(documentId);
    before?.stop.abort(cancelled('it was asked for again'));
    const stop = new AbortController();
    this.documents.set(documentId, { stop, found: before?.found });
    const signal = AbortSignal.any([context.signal, stop.signal]);
    try {
      const found = await this.inTurn(() => this.run(request, { ...context, signal }));
      throwIfCancelled(signal);
      this.documents.set(documentId, { stop, found });
      return found.routes;
    } catch (error) {
      const kept = this.documents.get(documentId);
      if (kept?.stop === stop && !kept.found) this.documents.delete(documentId);
      await this.inTurn(() => this.letGo());
      throwIfCancelled(signal);
      throw error;
    }
  }

  private async run(request: DocumentRoutesRequest, context: Context): Promise<RoutedDocument> {
    const { signal } = context;
    throwIfCancelled(signal);
    const { routing, runner } = await this.modelFor(request.model, portion(context, 0, 0.3));
    const report = (fraction: number) =>
      context.report({ step: 'Running the document', fraction: 0.3 + 0.7 * fraction });
    return routeDocument(routing, runner, request, { signal, report });
  }

  /** The model that was asked for last, if its files are as they were. */
  private async modelFor(request: ModelRequest, context: Context): Promise<RoutedModel> {
    const key = await keyOf(request);
    if (this.model?.key === key) return this.model;
    await this.closeModel();
    const routing = await readRouting(request, context);
    throwIfCancelled(context.signal);
    const compare = routing.origin === 'trained';
    const runner =
      routing.routers.size > 0 ? await RouteRunner.open(routing, { compare }) : undefined;
    return (this.model = { key, routing, runner });
  }

  /** Closes the model where no document is left. */
  private async letGo(): Promise<void> {
    if (this.documents.size === 0) await this.closeModel();
  }

  private async closeModel(): Promise<void> {
    const { model } = this;
    this.model = undefined;
    await model?.runner?.dispose();
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.turn.then(task);
    this.turn = result.catch(() => undefined);
    return result;
  }

  private requireDocument(documentId: string): RoutedDocument {
    const found = this.documents.get(documentId)?.found;
    if (found) return found;
    throw new Failure('not-ready', 'The routes of this document are not known.', {
      action: 'Run the document first.',
    });
  }
}

interface KeptDocument {
  /** Ends the document's run. */
  readonly stop: AbortController;
  readonly found: RoutedDocument | undefined;
}

interface RoutedModel {
  readonly key: string;
  readonly routing: Routing;
  /** None where there are no routers: nothing is to be run. */
  readonly runner: RouteRunner | undefined;
}

/** Tells requests apart, and the files of a request from later ones at the same paths. */
async function keyOf(request: ModelRequest): Promise<string> {
  const paths = [request.path, ...(request.routers === undefined ? [] : [request.routers])];
  const stamps = await Promise.all(
    paths.map(async path => {
      const status = await stat(path).catch(() => undefined);
      return [status?.mtimeMs, status?.size, status?.ino];
    }),
  );
  return JSON.stringify([request, stamps]);
}

/** The same context, whose progress goes from one fraction to another. */
function portion(context: Context, from: number, to: number): Context {
  return {
    ...context,
    report: ({ step, fraction }) =>
      context.report({ step, fraction: from + fraction * (to - from) }),
  };
}

function cancelled(why: string): Failure {
  return new Failure('cancelled', `The run was cancelled: ${why}.`);
}
