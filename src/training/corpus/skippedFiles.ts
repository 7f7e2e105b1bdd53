import { Failure, type FailureCode } from '../../common/failure.ts';

/** Why a file of a folder is not part of the corpus, in words for people. */
export type SkipReason =
  | 'ignored' // by a .gitignore
  | 'excluded' // by a glob
  | 'not included' // by any glob
  | 'link'
  | 'not text'
  | 'too large'
  | 'unreadable'
  | 'bad encoding'
  | 'encrypted'
  | 'empty'
  | 'duplicate'
  | 'too much text';

export interface SkippedFile {
  readonly reason: SkipReason;
  readonly count: number;
  /** Paths of the first few. */
  readonly examples: readonly string[];
}

const mostExamples = 3;

/** Counts what was left out, by reason. */
export class SkippedFiles {
  private readonly byReason = new Map<SkipReason, { count: number; examples: string[] }>();

  add(reason: SkipReason, path: string): void {
    const entry = this.byReason.get(reason) ?? { count: 0, examples: [] };
    entry.count++;
    if (entry.examples.length < mostExamples) entry.examples.push(path);
    this.byReason.set(reason, entry);
  }

  count(reason: SkipReason): number {
    return this.byReason.get(reason)?.count ?? 0;
  }

  /** In the order in which the reasons first came up. */
  list(): readonly SkippedFile[] {
    return [...this.byReason].map(([reason, entry]) => ({ reason, ...entry }));
  }
}

/** Node's codes for a file that went away or may not be read. */
const fileErrors = new Set(['EACCES', 'EPERM', 'EIO', 'ENOENT', 'ENOTDIR', 'EBUSY', 'ELOOP']);

/** A file that cannot be part of a corpus: fails where it was named, is counted where it lay in a folder. */
export class UnusableFile extends Failure {
  readonly reason: SkipReason;

  constructor(
    reason: SkipReason,
    message: string,
    options: { code?: FailureCode; action?: string; cause?: unknown } = {},
  ) {
    super(options.code ?? 'bad-file', message, options);
    this.reason = reason;
  }
}

/** Why the file that gave `error` is left out; anything that is not the file's fault is thrown on. */
export function skipReason(error: unknown): SkipReason {
  if (error instanceof UnusableFile) return error.reason;
  const cause: unknown = error instanceof Failure ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (typeof code === 'string' && fileErrors.has(code)) return 'unreadable';
  throw error;
}
