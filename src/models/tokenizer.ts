import { Tokenizer as Merger } from '@huggingface/tokenizers';
import { Failure } from '../common/failure.ts';
import type { GgufFile } from '../weights/gguf.ts';
import { badMetadata, metadataNumbers, metadataText, metadataTexts } from '../weights/ggufMetadata.ts';
import { legible, spelledBytes, spellingOf } from './byteLevel.ts';
import { chunks } from './chunks.ts';
import type { Tokenizer, TokenSpans } from './model.ts';
import { type PreTokenizer, preTokenizers } from './preTokenizers.ts';
import { SpanWriter } from './tokenSpans.ts';

/** ggml's token types whose text is matched as it stands, before any splitting. */
const wholeTypes = { control: 3, userDefined: 4 };

/** A byte-level BPE vocabulary: every token's bytes, the merges' order, and the tokens that are matched whole. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly string[];
  readonly preTokenizer: PreTokenizer;
  readonly wholeIds: readonly number[];
  readonly separator: number;
}

/** Rebuilds the tokenizer from the vocabulary, merges and pre-tokenizer name in a GGUF file. */
export function ggufTokenizer(file: GgufFile): Tokenizer {
  const model = metadataText(file, 'tokenizer.ggml.model');
  if (model !== 'gpt2') throw unsupported(file, 'tokenizer.ggml.model', model, ['gpt2']);
  const name = metadataText(file, 'tokenizer.ggml.pre');
  const preTokenizer = preTokenizers.get(name);
  if (!preTokenizer) throw unsupported(file, 'tokenizer.ggml.pre', name, [...preTokenizers.keys()]);
  const tokens = metadataTexts(file, 'tokenizer.ggml.tokens');
  refuseBrokenTokens(file, tokens);
  const merges = metadataTexts(file, 'tokenizer.ggml.merges');
  const malformed = merges.find(merge => !/^[^ ]+ [^ ]+$/.test(merge));
  if (malformed !== undefined) {
    throw badMetadata(file, 'tokenizer.ggml.merges', 'pairs of tokens separated by one space');
  }
  const types = metadataNumbers(file, 'tokenizer.ggml.token_type');
  if (types.length !== tokens.length) {
    throw badMetadata(file, 'tokenizer.ggml.token_type', `an array of ${tokens.length}, one for each token`);
  }
  const wholeIds = [...types.keys()].filter(id => {
    const type = types[id];
    return (type === wholeTypes.control || type === wholeTypes.userDefined) && tokens[id] !== '';
  });
  return new ByteLevelTokenizer({ tokens, merges, preTokenizer, wholeIds, separator: separatorOf(file, tokens) });
}

function unsupported(file: GgufFile, key: string, found: string, known: readonly string[]): Failure {
  return new Failure(
    'unsupported',
    `${file.path}: metadata "${key}" is "${found}"; Loupe knows ${known.map(name => `"${name}"`).join(', ')}.`,
  );
}

function refuseBrokenTokens(file: GgufFile, tokens: readonly string[]): void {
  if (tokens.length === 0) throw badMetadata(file, 'tokenizer.ggml.tokens', 'at least one token');
  const known = new Set(tokens);
  if (known.size !== tokens.length) {
    throw badMetadata(file, 'tokenizer.ggml.tokens', `tokens of ${tokens.length} different texts`);
  }
}

function separatorOf(file: GgufFile, tokens: readonly string[]): number {
  const named = tokens.indexOf('<|endoftext|>');
  const id = named >= 0 ? named : file.metadata.get('tokenizer.ggml.eos_token_id');
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < tokens.length) return id;
  throw badMetadata(file, 'tokenizer.ggml.eos_token_id', `a token from 0 to ${tokens.length - 1}`);
}

/** A byte-level BPE tokenizer: @huggingface/tokenizers merges, Loupe keeps track of where each token lies. */
export class ByteLevelTokenizer implements Tokenizer {
  readonly vocabulary: number;
  readonly separator: number;
  private readonly merger: Merger;
  private readonly bytes: readonly Uint8Array[];
  private readonly wholeWords: readonly string[];
  /** Bytes for which the vocabulary has no token: they leave no trace in the ids. */
  private readonly missing: ReadonlySet<number>;

  constructor(vocabulary: Vocabulary) {
    const { tokens, wholeIds } = vocabulary;
    this.vocabulary = tokens.length;
    this.separator = vocabulary.separator;
    this.merger = new Merger(tokenizerJson(vocabulary), {});
    this.wholeWords = wholeIds.map(id => tokens[id] ?? '');
    const whole = new Set(wholeIds);
    const utf8 = new TextEncoder();
    this.bytes = tokens.map((token, id) => {
      const spelled = whole.has(id) ? undefined : spelledBytes(token);
      return spelled ?? utf8.encode(token);
    });
    const known = new Set(tokens);
    this.missing = new Set([...Array(256).keys()].filter(byte => !known.has(spellingOf(byte))));
  }

  encode(text: string): TokenSpans {
    const parts: Uint32Array[] = [];
    for (const chunk of chunks(text, this.wholeWords)) {
      const { ids } = this.merger.encode(chunk, { add_special_tokens: false });
      parts.push(Uint32Array.from(ids));
    }
    const ids = joined(parts);
    const spans = new SpanWriter(text, ids.length, this.missing);
    for (const id of ids) spans.add(this.bytes[id]?.length ?? 0);
    return spans.finish(ids);
  }

  tokenText(id: number): string {
    return legible(this.bytes[id] ?? new Uint8Array(0));
  }

  decode(ids: ArrayLike<number>): string {
    const parts = Array.from(ids, id => this.bytes[id] ?? new Uint8Array(0));
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts));
  }
}

function tokenizerJson(vocabulary: Vocabulary): object {
  const { tokens, merges, preTokenizer, wholeIds } = vocabulary;
  return {
    version: '1.0',
    added_tokens: wholeIds.map(id => ({ id, content: tokens[id], special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: preTokenizer.json,
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
      ignore_merges: preTokenizer.ignoreMerges,
    },
  };
}

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
