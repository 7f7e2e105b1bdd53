import { setTimeout as sleep } from 'node:timers/promises';
import { throwIfCancelled } from '../common/cancelled.ts';
import { Failure } from '../common/failure.ts';
import { answerFailure, isWorthRetrying } from './answerFailure.ts';
import type { HubSettings } from './hubSettings.ts';

export interface HubClientOptions {
  /** Milliseconds without an answer or a byte after which a request counts as dead. */
  readonly stall?: number;
  /** Times that a request is sent again. */
  readonly retries?: number;
  /** Milliseconds before the first of them; each next one waits twice as long. */
  readonly backoff?: number;
}

const maxRedirects = 5;
/** Seconds that a server may ask to be left alone for before it counts as not answering. */
const maxRetryAfter = 60;
/** Bytes; the longest answer of the Hub's API. */
const maxJson = 64_000_000;

/** Asks the Hub over https as its own tools do; nothing is asked unless a method is called. */
export class HubClient {
  readonly endpoint: URL;
  readonly stall: number;
  readonly retries: number;
  private readonly token: string | undefined;
  private readonly backoff: number;

  constructor({ endpoint, token }: HubSettings, options: HubClientOptions = {}) {
    this.endpoint = endpoint;
    this.token = token;
    this.stall = options.stall ?? 30_000;
    this.retries = options.retries ?? 4;
    this.backoff = options.backoff ?? 1000;
  }

  /** The address of a path below the endpoint, whose segments are already encoded. */
  address(path: string): URL {
    return new URL(`${this.endpoint.href.replace(/\/+$/, '')}/${path}`);
  }

  /** A JSON answer; `what` names what was asked for in failures. */
  async json(url: URL, what: string, signal: AbortSignal): Promise<unknown> {
    return await this.retrying(signal, async () => {
      const { response, alive, done } = await this.send(url, {}, signal);
      try {
        if (!response.ok) throw await answerFailure(response, what, this.endpoint);
        const text = await boundedText(response, alive);
        return JSON.parse(text) as unknown;
      } catch (error) {
        if (error instanceof SyntaxError) {
          throw new Failure('unreachable', `${this.endpoint.host} answered ${what} with no JSON.`, {
            action: 'Check the setting loupe.hub.endpoint and your proxy.',
            cause: error,
          });
        }
        throw error;
      } finally {
        done();
      }
    });
  }

  /**
   * Runs `attempt` again, after a while, where its failure may pass by itself; `arrived` counts what it brought: an
   * attempt that brought something is followed by the full number of others.
   */
  async retrying<T>(
    signal: AbortSignal,
    attempt: () => Promise<T>,
    arrived: () => number = () => 0,
  ): Promise<T> {
    let most = arrived();
    for (let turn = 0; ; turn++) {
      try {
        return await attempt();
      } catch (error) {
        throwIfCancelled(signal);
        const wait = isWorthRetrying(error);
        if (arrived() > most) [most, turn] = [arrived(), 0];
        if (wait === undefined || wait > maxRetryAfter || turn >= this.retries) throw error;
        await sleep(Math.max(wait * 1000, this.backoff * 2 ** turn), undefined, { signal });
      }
    }
  }

  /**
   * The answer to a GET, redirects followed; the token goes to the endpoint's own host alone. Reading the body is to
   * call `alive` with every chunk, and `done` at the end: a body that stalls aborts with a failure.
   */
  async send(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Sent> {
    const watch = new StallWatch(this.stall, signal);
    try {
      let target = url;
      for (let hop = 0; hop <= maxRedirects; hop++) {
        watch.alive();
        const response = await fetch(target, {
          headers: { ...headers, 'user-agent': 'loupe', ...this.authorization(target) },
          redirect: 'manual',
          signal: watch.signal,
        });
        const location = response.headers.get('location');
        if (response.status < 300 || response.status >= 400 || location === null) {
          return { response, alive: () => watch.alive(), done: () => watch.done() };
        }
        await response.body?.cancel();
        target = this.redirected(target, location);
      }
      throw new Failure('unreachable', `${url.host} redirects in a circle.`);
    } catch (error) {
      watch.done();
      throw signal.aborted ? Failure.from(signal.reason) : connectionFailure(error, url);
    }
  }

  private redirected(from: URL, location: string): URL {
    const to = new URL(location, from);
    const isSafe =
      to.protocol === 'https:' || (to.protocol === 'http:' && from.protocol === 'http:');
    if (isSafe) return to;
    throw new Failure('unreachable', `${from.host} redirects to ${to.protocol}, expected https.`);
  }

  private authorization({ origin }: URL): Readonly<Record<string, string>> {
    if (this.token === undefined || origin !== this.endpoint.origin) return {};
    return { authorization: `Bearer ${this.token}` };
  }
}

/** An answer whose body is still to be read. */
export interface Sent {
  readonly response: Response;
  readonly alive: () => void;
  readonly done: () => void;
}

/** Aborts what it watches when nothing happened for a while. */
class StallWatch {
  private readonly stalled = new AbortController();
  private readonly milliseconds: number;
  private timer: NodeJS.Timeout | undefined;
  readonly signal: AbortSignal;

  constructor(milliseconds: number, signal: AbortSignal) {
    this.milliseconds = milliseconds;
    this.signal = AbortSignal.any([signal, this.stalled.signal]);
  }

  alive(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const seconds = this.milliseconds / 1000;
      this.stalled.abort(
        new Failure('unreachable', `Nothing came from the server for ${seconds} seconds.`, {
          action: 'Try again: what has arrived is kept.',
        }),
      );
    }, this.milliseconds);
  }

  done(): void {
    clearTimeout(this.timer);
  }
}

/** The bytes of an answer as they arrive. */
export function chunksOf({ body }: Response): AsyncIterable<Uint8Array> | readonly Uint8Array[] {
  return (body as AsyncIterable<Uint8Array> | null) ?? [];
}

async function boundedText(response: Response, alive: () => void): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunksOf(response)) {
    alive();
    bytes += chunk.length;
    if (bytes > maxJson) throw new Failure('too-large', 'The Hub’s answer is over 64 MB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What became of a request or a body that was not answered at all. */
export function connectionFailure(error: unknown, url: URL): Failure {
  if (Failure.is(error)) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Failure('unreachable', `${url.host} cannot be reached: ${why || 'no answer'}.`, {
    action: 'Check the connection, the proxy settings and the setting loupe.hub.endpoint.',
    cause: error,
  });
}
