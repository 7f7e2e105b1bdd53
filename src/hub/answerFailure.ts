import { Failure } from '../common/failure.ts';

/** Seconds that servers asked to wait, by the failure that says so. */
const retryAfter = new WeakMap<Failure, number>();

/** Seconds to wait at least before the same is asked again; undefined where that is of no use. */
export function isWorthRetrying(error: unknown): number | undefined {
  if (!Failure.is(error, 'unreachable')) return undefined;
  return retryAfter.get(error) ?? 0;
}

/** What an answer that is no success says, in words and with something to do about it. */
export async function answerFailure(
  response: Response,
  what: string,
  endpoint: URL,
): Promise<Failure> {
  await response.body?.cancel();
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  if (status === 404 || code === 'RepoNotFound' || code === 'EntryNotFound') {
    const orPrivate = status === 404 ? '' : ', or it is private';
    return new Failure('not-found', `${endpoint.host} has no ${what}${orPrivate}.`, {
      action:
        status === 404
          ? 'Check its name.'
          : 'Check its name; for a private one, set HF_TOKEN or log in with `hf auth login`.',
    });
  }
  if (code === 'GatedRepo' || status === 403) {
    const page = `on its page at ${endpoint.host}`;
    return new Failure('no-access', `You have no access to ${what}: its authors ask for consent.`, {
      action: `Ask for access ${page}, then set HF_TOKEN or log in with \`hf auth login\`.`,
    });
  }
  if (status === 401) {
    return new Failure('no-access', `${endpoint.host} does not show ${what} to you.`, {
      action: 'Set HF_TOKEN or log in with `hf auth login`, with a token that may read it.',
    });
  }
  if (status === 429 || status === 408 || status >= 500) return passing(response, what, endpoint);
  return new Failure('internal', `${endpoint.host} answered ${what} with status ${status}.`);
}

function passing({ status, headers }: Response, what: string, { host }: URL): Failure {
  const [message, action] =
    status === 429
      ? [`${host} asks to be left alone for a while.`, 'Try again later: what has arrived is kept.']
      : [`${host} answered ${what} with status ${status}.`, 'Try again later.'];
  const failure = new Failure('unreachable', message, { action });
  const seconds = Number(headers.get('retry-after') ?? 0);
  retryAfter.set(failure, Number.isFinite(seconds) ? Math.max(seconds, 0) : 0);
  return failure;
}
