import { Failure } from '../common/failure.ts';
import { readFloat32 } from '../weights/ggufTensor.ts';
import type { GgufFile, MetadataValue } from '../weights/gguf.ts';
import {
  badMetadata,
  describedMetadata,
  metadataInteger,
  metadataPositive,
  metadataText,
  metadataTexts,
} from '../weights/ggufMetadata.ts';
import type { Departures, ModelConfig, Rotation } from './model.ts';
import { plainRotation } from './rotary.ts';
import { slowed, slowedEach } from './rotaryScaling.ts';

/** The metadata of one architecture in a GGUF file, checked as it is read. */
export class GgufFields {
  readonly file: GgufFile;
  readonly architecture: string;

  constructor(file: GgufFile) {
    this.file = file;
    this.architecture = metadataText(file, 'general.architecture');
  }

  /** The same with values for keys that are not there. */
  withDefaults(defaults: Readonly<Record<string, MetadataValue>>): GgufFields {
    const values = Object.entries(defaults).map(([key, value]) => [this.key(key), value] as const);
    return new GgufFields({ ...this.file, metadata: new Map([...values, ...this.file.metadata]) });
  }

  /** The same as if a key were not there. */
  without(key: string): GgufFields {
    const others = [...this.file.metadata].filter(([name]) => name !== this.key(key));
    return new GgufFields({ ...this.file, metadata: new Map(others) });
  }

  has(key: string): boolean {
    return this.file.metadata.has(this.key(key));
  }

  length(key: string, otherwise?: number, most = 1 << 20): number {
    return metadataInteger(this.file, this.key(key), { least: 1, most, ...(otherwise !== undefined && { otherwise }) });
  }

  /** 0 where it is absent. */
  count(key: string): number {
    return metadataInteger(this.file, this.key(key), { least: 0, most: 1 << 20, otherwise: 0 });
  }

  positive(key: string, otherwise?: number): number {
    return metadataPositive(this.file, this.key(key), otherwise);
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.file.metadata.get(this.key(key)) ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw badMetadata(this.file, this.key(key), 'true or false');
  }

  /**
   * Layers that see the last `attention.sliding_window` tokens only: those that the file names, or else those that
   * `isLocal` says. Nothing where no window is set.
   */
  window(layers: number, isLocal: (layer: number) => boolean): Pick<Departures, 'window'> {
    const tokens = this.count('attention.sliding_window');
    if (tokens === 0) return {};
    const key = 'attention.sliding_window_pattern';
    const named = this.file.metadata.get(this.key(key));
    if (typeof named === 'object') {
      const local = named.filter(each => typeof each === 'boolean');
      if (local.length === layers && named.length === layers) return { window: { tokens, layers: local } };
      throw badMetadata(this.file, this.key(key), `true or false for each of ${layers} layers`);
    }
    const every = named === undefined ? undefined : this.length(key);
    const isWindowed = every === undefined ? isLocal : (layer: number) => (layer + 1) % every !== 0;
    return { window: { tokens, layers: Array.from({ length: layers }, (_, n) => isWindowed(n)) } };
  }

  /** Refuses a key with another value than this, which is that of files without it. */
  require(key: string, value: number | string): void {
    const found = this.file.metadata.get(this.key(key)) ?? value;
    if (found === value) return;
    throw new Failure(
      'unsupported',
      `${this.file.path}: metadata "${this.key(key)}" is ${describedMetadata(found)}; Loupe runs ${describedMetadata(value)}.`,
    );
  }

  /** The shape that all architectures say under the same keys. `epsilon`: the key of the norms' constant. */
  shape(epsilon = 'attention.layer_norm_rms_epsilon'): Omit<ModelConfig, 'architecture'> {
    const { file } = this;
    const width = this.length('embedding_length');
    const heads = this.length('attention.head_count');
    const keyValueHeads = this.length('attention.head_count_kv', heads);
    if (heads % keyValueHeads !== 0) {
      throw badMetadata(file, this.key('attention.head_count_kv'), `a divisor of the ${heads} heads`);
    }
    const headWidth = this.length('attention.key_length', Math.max(1, Math.floor(width / heads)));
    if (headWidth % 2 !== 0) {
      throw new Failure('unsupported', `${file.path}: heads of ${headWidth} values; Loupe runs even numbers.`);
    }
    this.require('attention.value_length', headWidth);
    this.require('expert_count', 0);
    return {
      name: metadataText(file, 'general.name', this.architecture),
      layers: this.length('block_count', undefined, 1024),
      width,
      feedForward: this.length('feed_forward_length'),
      heads,
      keyValueHeads,
      headWidth,
      vocabulary: file.tensors.get('token_embd.weight')?.shape[0] ?? metadataTexts(file, 'tokenizer.ggml.tokens').length,
      contextLength: this.length('context_length', undefined, 1 << 24),
      ropeTheta: this.positive('rope.freq_base', 10000),
      normEpsilon: this.positive(epsilon),
      tiedEmbedding: !file.tensors.has('output.weight'),
    };
  }

  /**
   * How queries and keys turn. Llama 3's factors lie in a tensor, one for each pair. A factor without a type is one of all
   * pairs, and LongRoPE's lie where phi3.ts looks. Source: llama.cpp, llama-model.cpp.
   */
  rotation({ headWidth, ropeTheta }: Pick<ModelConfig, 'headWidth' | 'ropeTheta'>): Rotation {
    const width = this.length('rope.dimension_count', headWidth);
    if (width % 2 !== 0 || width > headWidth) {
      throw badMetadata(this.file, this.key('rope.dimension_count'), `an even number up to ${headWidth}`);
    }
    const plain = plainRotation(width, ropeTheta);
    const factors = this.file.tensors.get('rope_freqs.weight');
    const rotation = factors ? slowedEach(plain, readFloat32(this.file, factors)) : plain;
    const type = this.file.metadata.get(this.key('rope.scaling.type'));
    if (type === 'none' || type === 'longrope') return rotation;
    this.require('rope.scaling.type', 'linear');
    const key = this.has('rope.scaling.factor') ? 'rope.scaling.factor' : 'rope.scale_linear';
    // 0: none, as llama.cpp has it.
    const isSlowed = this.has(key) && this.file.metadata.get(this.key(key)) !== 0;
    return isSlowed ? slowed(rotation, this.positive(key)) : rotation;
  }

  private key(key: string): string {
    return `${this.architecture}.${key}`;
  }
}

/** Departures but for a rotation that is a Llama's own. */
export function withRotation(
  rotation: Rotation,
  { headWidth, ropeTheta }: Pick<ModelConfig, 'headWidth' | 'ropeTheta'>,
  others: Departures = {},
): { departures?: Departures } {
  const plain = plainRotation(headWidth, ropeTheta);
  const isPlain = JSON.stringify(rotation) === JSON.stringify(plain);
  const departures = isPlain ? others : { ...others, rotations: [rotation] as const };
  return Object.keys(departures).length > 0 ? { departures } : {};
}
