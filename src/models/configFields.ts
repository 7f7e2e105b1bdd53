import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';

/** The keys of an object of a configuration, checked as they are read; null is as good as absent, as in Python. */
export class ConfigFields {
  readonly path: string;
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>, path: string) {
    this.values = values;
    this.path = path;
  }

  /** The same with values for keys that are not there, as transformers' class has them: it saves only what differs. */
  withDefaults(defaults: Readonly<Record<string, unknown>>): ConfigFields {
    return new ConfigFields({ ...defaults, ...this.values }, this.path);
  }

  /** The same with another object under a key. */
  replacing(key: string, fields: ConfigFields): ConfigFields {
    return new ConfigFields({ ...this.values, [key]: fields.values }, this.path);
  }

  has(key: string): boolean {
    return (this.values[key] ?? null) !== null;
  }

  length(key: string, otherwise?: number, most = 1 << 20): number {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw this.bad(key, `an integer from 1 to ${most}`);
  }

  /** As `length`, or 0. */
  count(key: string, otherwise: number): number {
    return (this.values[key] ?? otherwise) === 0 ? 0 : this.length(key, otherwise);
  }

  positive(key: string, otherwise?: number): number {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'number' && value > 0 && value < Infinity) return value;
    throw this.bad(key, 'a positive number');
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw this.bad(key, 'true or false');
  }

  numbers(key: string, length: number): readonly number[] {
    const value = this.values[key];
    const isNumber = (each: unknown) => typeof each === 'number' && each > 0 && each < Infinity;
    if (Array.isArray(value) && value.length === length && value.every(isNumber)) {
      return value as readonly number[];
    }
    throw this.bad(key, `${length} positive numbers`);
  }

  /** One text for each layer, each of those that are known. */
  texts<const T extends string>(key: string, known: readonly T[], length: number): readonly T[] {
    const value = this.values[key];
    const isKnown = (each: unknown): each is T => known.some(one => one === each);
    if (Array.isArray(value) && value.length === length && value.every(isKnown)) return value;
    throw this.bad(key, `${length} of ${known.join(', ')}`);
  }

  /** One of the texts that are known, or a refusal that names them. */
  oneOf<const T extends string>(key: string, known: readonly T[], otherwise?: T): T {
    const value = this.values[key] ?? otherwise;
    const found = known.find(one => one === value);
    if (found !== undefined) return found;
    this.require(key, known);
    throw this.bad(key, known.join(', '));
  }

  /** Refuses a key with other values than these; null among them: the key may be absent. */
  require(key: string, allowed: readonly unknown[]): void {
    const value = this.values[key] ?? null;
    if (allowed.includes(value)) return;
    const known = allowed.filter(each => each !== null).map(each => JSON.stringify(each));
    throw new Failure(
      'unsupported',
      `${this.path}: "${key}" is ${described(value)}; Loupe runs ${known.join(', ') || 'models without it'}.`,
    );
  }

  /** An object within; empty where it is absent. */
  object(key: string): ConfigFields {
    const value = this.values[key] ?? {};
    if (isRecord(value)) return new ConfigFields(value, this.path);
    throw this.bad(key, 'an object');
  }

  bad(key: string, expected: string): Failure {
    const found = described(this.values[key]);
    return new Failure('bad-file', `${this.path}: "${key}": expected ${expected}, found ${found}.`);
  }
}

function described(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
