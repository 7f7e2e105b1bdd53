import { Failure } from '../../common/failure.ts';
import { isRecord } from '../../common/record.ts';

/** One object of a tokenizer.json; `path` names the file in failures, null is as good as absent, as in Rust. */
export class Description {
  readonly path: string;
  private readonly values: Readonly<Record<string, unknown>>;
  private readonly name: string;

  constructor(value: unknown, path: string, name: string) {
    if (!isRecord(value)) throw new Failure('bad-file', `${path}: expected ${name} to be an object, found ${shown(value)}.`);
    this.values = value;
    this.path = path;
    this.name = name;
  }

  get type(): string {
    return this.text('type');
  }

  has(key: string): boolean {
    return (this.values[key] ?? null) !== null;
  }

  value(key: string): unknown {
    return this.values[key] ?? undefined;
  }

  text(key: string, otherwise?: string): string {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'string') return value;
    throw this.bad(key, 'text');
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw this.bad(key, 'true or false');
  }

  list(key: string): readonly unknown[] {
    const value: unknown = this.values[key] ?? [];
    if (Array.isArray(value)) return value;
    throw this.bad(key, 'a list');
  }

  object(key: string): Description {
    return new Description(this.values[key], this.path, `"${key}"`);
  }

  /** One of some texts, whatever their case. */
  choice<T extends string>(key: string, allowed: readonly T[], otherwise: T): T {
    const text = this.text(key, otherwise).toLowerCase();
    const found = allowed.find(each => each.toLowerCase() === text);
    if (found !== undefined) return found;
    throw this.bad(key, `one of ${allowed.join(', ')}`);
  }

  bad(key: string, expected: string): Failure {
    return new Failure(
      'bad-file',
      `${this.path}: "${key}" of ${this.name}: expected ${expected}, found ${shown(this.values[key])}.`,
    );
  }

  unsupported(what: string): Failure {
    return new Failure('unsupported', `${this.path} describes ${what}, which Loupe does not know: ${shown(this.values)}.`, {
      action: 'Loupe knows byte-pair encoding: byte-level as GPT-2, Llama 3 and Qwen have it, or SentencePiece as Llama 2 and Gemma.',
    });
  }
}

/** A value of a file as it is shown in failures. */
export function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 200);
}
