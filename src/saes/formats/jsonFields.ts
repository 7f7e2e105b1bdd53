import { readFile, stat } from 'node:fs/promises';
import { Failure } from '../../common/failure.ts';
import { isRecord, parseRecord } from '../../common/record.ts';

export type Json = Readonly<Record<string, unknown>>;

const maxConfigLength = 16_000_000;

/** The text of a configuration; fails with `not-found`, `too-large` or `bad-file`. */
export async function readConfigText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxConfigLength)
      throw new Failure(
        'too-large',
        `${path} has ${String(size)} bytes; that is no SAE's configuration.`,
      );
    return await readFile(path, 'utf8');
  } catch (error) {
    const failure = Failure.from(error);
    if (failure.code === 'not-found')
      throw new Failure('not-found', `There is no ${path}.`, { cause: error });
    throw failure.code === 'internal'
      ? new Failure('bad-file', `${path} cannot be read.`, { cause: error })
      : failure;
  }
}

/** The fields of a configuration file, of which most are not known beforehand. */
export async function readFields(path: string): Promise<Fields> {
  return new Fields(parseRecord(await readConfigText(path), path), path);
}

/** Checked access to the fields of a JSON object. Null counts as absent: Python writes its None so. */
export class Fields {
  readonly json: Json;
  readonly file: string;

  constructor(json: Json, file: string) {
    this.json = json;
    this.file = file;
  }

  bad(key: string, expected: string): Failure {
    const found = (JSON.stringify(this.json[key]) as string | undefined) ?? 'nothing';
    return new Failure(
      'bad-file',
      `${this.file} has "${key}": ${found.slice(0, 80)}, expected ${expected}.`,
    );
  }

  size(key: string, missing?: number): number {
    const value = this.json[key] ?? missing;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < 2 ** 31)
      return value;
    throw this.bad(key, 'a whole number above 0');
  }

  positive(key: string): number {
    const value = this.json[key];
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.bad(key, 'a number above 0');
  }

  flag(key: string, missing: boolean): boolean {
    const value = this.json[key] ?? missing;
    if (typeof value === 'boolean') return value;
    throw this.bad(key, 'true or false');
  }

  text(key: string): string {
    const value = this.json[key];
    if (typeof value === 'string') return value;
    throw this.bad(key, 'text');
  }

  /** The text of a field that need not be there. */
  optionalText(key: string): string | undefined {
    const value = this.json[key];
    return typeof value === 'string' ? value : undefined;
  }

  oneOf<const T extends string>(key: string, allowed: readonly T[], missing: T): T {
    const value = this.json[key] ?? missing;
    const found = allowed.find(name => name === value);
    if (found !== undefined) return found;
    const failure = this.bad(key, allowed.map(name => `"${name}"`).join(' or '));
    throw typeof value === 'string' ? new Failure('unsupported', failure.message) : failure;
  }

  /** The fields of the object at `key`; none where there is none. */
  inner(key: string): Fields {
    const value = this.json[key];
    return new Fields(isRecord(value) ? value : {}, this.file);
  }
}
