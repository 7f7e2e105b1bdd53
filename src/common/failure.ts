/** Every way in which Loupe says no; programs branch on these, people read the message. */
export type FailureCode =
  | 'bad-file' // a file's bytes are not what its format demands
  | 'unsupported' // a well-formed file asks for something Loupe does not do
  | 'mismatch' // two things that were to be used together do not fit
  | 'not-found'
  | 'no-access' // a server wants to know who asks, or does not let them
  | 'unreachable' // a server does not answer, or not as it should
  | 'too-large'
  | 'empty'
  | 'no-space' // the disk is full
  | 'out-of-memory'
  | 'device-lost' // what ran the work stopped doing so; another device, or the same one in a new process, may
  | 'not-ready' // no model or no SAE is loaded
  | 'cancelled'
  | 'stopped' // the process that was to answer has ended
  | 'usage' // wrong arguments
  | 'internal';

/** A failure that a person can act on: `message` names what was expected and found, `action` what to do. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;
  readonly action: string | undefined;

  constructor(
    code: FailureCode,
    message: string,
    options: { action?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.action = options.action;
  }

  /** Another bundle of Loupe has a class of its own; its failures are failures all the same. */
  static override [Symbol.hasInstance](error: unknown): boolean {
    return error instanceof Error && error.name === 'Failure' && 'code' in error;
  }

  /** Whether `error` is a failure, and of that code if one is named. */
  static is(error: unknown, code?: FailureCode): error is Failure {
    return error instanceof Failure && (code === undefined || error.code === code);
  }

  /** Wraps anything thrown; a Node error for a full disk or a missing file gets its own code. */
  static from(error: unknown): Failure {
    if (error instanceof Failure) return error;
    const code = systemCodes[errorCode(error) ?? ''] ?? 'internal';
    return new Failure(code, error instanceof Error ? error.message : String(error), {
      cause: error,
    });
  }
}

const systemCodes: Partial<Record<string, FailureCode>> = {
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
};

function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
