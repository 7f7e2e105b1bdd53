import { ConnectionError, ErrorCodes, ResponseError } from 'vscode-jsonrpc';
import { Failure, type FailureCode } from '../common/failure.ts';

/** What of a Failure crosses a process boundary. */
interface WireFailure {
  readonly code: FailureCode;
  readonly action: string | undefined;
  readonly stack: string | undefined;
}

/** The JSON-RPC error that carries a failure. */
export function toWire(error: unknown): ResponseError<WireFailure> {
  const failure = Failure.from(error);
  const { code, action, stack } = failure;
  return new ResponseError(ErrorCodes.InternalError, failure.message, { code, action, stack });
}

/** The failure that a JSON-RPC error carries, or one that says what became of the call. */
export function fromWire(error: unknown, method: string): Failure {
  if (error instanceof ConnectionError) return stopped(method, error);
  if (!(error instanceof ResponseError)) return Failure.from(error);
  const data: unknown = error.data;
  if (isWireFailure(data)) {
    const failure = new Failure(data.code, error.message, {
      ...(data.action === undefined ? {} : { action: data.action }),
      cause: error,
    });
    failure.stack = `${data.stack ?? error.message}\n    in the answering process`;
    return failure;
  }
  if (error.code === ErrorCodes.PendingResponseRejected) return stopped(method, error);
  return new Failure('internal', `The call '${method}' failed: ${error.message}`, { cause: error });
}

export function cancelled(method?: string): Failure {
  const what = method === undefined ? 'The call' : `The call '${method}'`;
  return new Failure('cancelled', `${what} was cancelled.`);
}

function stopped(method: string, cause: unknown): Failure {
  return new Failure('stopped', `The process that was to answer '${method}' has ended.`, { cause });
}

function isWireFailure(data: unknown): data is WireFailure {
  return (
    typeof data === 'object' && data !== null && 'code' in data && typeof data.code === 'string'
  );
}
