import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';
import type { ModelConfig } from './model.ts';

/** What a Llama's config.json says; whether an embedding is tied or layers are routed, the tensors say. */
export type LlamaFolderConfig = Omit<ModelConfig, 'architecture'>;

/**
 * Reads the text of a config.json as transformers' LlamaConfig writes it, and refuses what the graph does not do;
 * `path` names it in failures, `name` becomes the model's.
 */
export function parseLlamaConfig(json: string, path: string, name: string): LlamaFolderConfig {
  const fields = new Fields(parsed(json, path), path);
  for (const [key, ...allowed] of fixed) fields.require(key, allowed);
  const width = fields.length('hidden_size');
  const heads = fields.length('num_attention_heads');
  const keyValueHeads = fields.length('num_key_value_heads', heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.bad('num_key_value_heads', `a divisor of the ${heads} heads`);
  }
  const headWidth = fields.length('head_dim', Math.max(1, Math.floor(width / heads)));
  if (headWidth % 2 !== 0) {
    throw new Failure('unsupported', `${path}: heads of ${headWidth} values; Loupe runs even numbers.`);
  }
  return {
    name,
    layers: fields.length('num_hidden_layers', undefined, 1024),
    width,
    feedForward: fields.length('intermediate_size'),
    heads,
    keyValueHeads,
    headWidth,
    vocabulary: fields.length('vocab_size'),
    contextLength: fields.length('max_position_embeddings'),
    ropeTheta: fields.rotary().positive('rope_theta', 10000),
    normEpsilon: fields.positive('rms_norm_eps', 1e-6),
    tiedEmbedding: fields.flag('tie_word_embeddings', false),
  };
}

/** Keys that change what is computed, with the values that Loupe runs; null: the key may be absent. */
const fixed: readonly (readonly [key: string, ...allowed: unknown[]])[] = [
  ['model_type', 'llama'],
  ['hidden_act', 'silu', null],
  ['attention_bias', false, null],
  ['mlp_bias', false, null],
  ['partial_rotary_factor', 1, null],
  ['quantization_config', null],
];

function parsed(json: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new Failure('bad-file', `${path} is not JSON.`, { cause });
  }
  if (isRecord(value)) return value;
  throw new Failure('bad-file', `${path} is not a JSON object.`);
}

/** The keys of an object of the configuration; null is as good as absent, as in Python. */
class Fields {
  private readonly values: Readonly<Record<string, unknown>>;
  private readonly path: string;

  constructor(values: Readonly<Record<string, unknown>>, path: string) {
    this.values = values;
    this.path = path;
  }

  length(key: string, otherwise?: number, most = 1 << 20): number {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw this.bad(key, `an integer from 1 to ${most}`);
  }

  positive(key: string, otherwise: number): number {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'number' && value > 0 && value < Infinity) return value;
    throw this.bad(key, 'a positive number');
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.values[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw this.bad(key, 'true or false');
  }

  require(key: string, allowed: readonly unknown[]): void {
    const value = this.values[key] ?? null;
    if (allowed.includes(value)) return;
    const known = allowed.filter(each => each !== null).map(each => JSON.stringify(each));
    throw new Failure(
      'unsupported',
      `${this.path}: "${key}" is ${described(value)}; Loupe runs ${known.join(', ') || 'models without it'}.`,
    );
  }

  /** Where the rotation is described: transformers 5 gathers it under `rope_parameters`. Scaled ones are refused. */
  rotary(): Fields {
    const parameters = this.values['rope_parameters'] ?? this.values['rope_scaling'] ?? {};
    if (!isRecord(parameters)) throw this.bad('rope_parameters', 'an object');
    const inner = new Fields(parameters, this.path);
    inner.require('rope_type', ['default', null]);
    inner.require('type', ['default', null]);
    return 'rope_theta' in parameters ? inner : this;
  }

  bad(key: string, expected: string): Failure {
    const found = described(this.values[key]);
    return new Failure('bad-file', `${this.path}: "${key}": expected ${expected}, found ${found}.`);
  }
}

function described(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
