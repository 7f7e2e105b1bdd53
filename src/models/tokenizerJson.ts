import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';
import type { Tokenizer } from './model.ts';
import { type PreTokenizer, preTokenizers } from './preTokenizers.ts';
import { ByteLevelTokenizer } from './tokenizer.ts';

/**
 * The tokenizer that the text of a tokenizer.json describes: a byte-level BPE whose words are split as one of those that
 * Loupe knows. `path` names the file in failures; the model has `vocabulary` tokens.
 */
export function jsonTokenizer(json: string, path: string, vocabulary: number): Tokenizer {
  const file = record(parsed(json, path));
  const model = record(file['model']);
  const kind = model['type'] ?? 'BPE';
  if (kind !== 'BPE' || record(file['normalizer'])['type'] !== undefined || model['byte_fallback'] === true) {
    throw unsupported(path, 'a tokenizer other than a byte-level BPE without a normalizer');
  }
  const preTokenizer = knownPreTokenizer(file['pre_tokenizer'], path);
  const added = addedTokens(file['added_tokens'], path);
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(record(model['vocab']))) ids.set(token, Number(id));
  for (const { content, id } of added) ids.set(content, id);
  const tokens: string[] = [];
  for (const [token, id] of ids) tokens[id] = token;
  const isWhole = tokens.length === ids.size && tokens.length > 0 && !tokens.includes(undefined as never);
  if (!isWhole || tokens.length > vocabulary) {
    throw new Failure(
      'bad-file',
      `${path}: expected tokens numbered from 0 without gaps, at most the model's ${vocabulary}, found ${ids.size} with ids below ${tokens.length}.`,
    );
  }
  return new ByteLevelTokenizer({
    tokens,
    merges: mergesOf(model['merges'], path),
    preTokenizer: { ...preTokenizer, ignoreMerges: model['ignore_merges'] === true },
    wholeIds: added.map(({ id }) => id),
    separator: separatorOf(tokens, added, path),
  });
}

/** For a model without a tokenizer: runs of token ids work, text is refused. */
export class AbsentTokenizer implements Tokenizer {
  readonly vocabulary: number;
  private readonly expected: string;

  constructor(expectedPath: string, vocabulary: number) {
    this.expected = expectedPath;
    this.vocabulary = vocabulary;
  }

  get separator(): number {
    throw this.failure();
  }

  encode(): never {
    throw this.failure();
  }

  tokenText(id: number): string {
    return `#${id}`;
  }

  decode(): never {
    throw this.failure();
  }

  private failure(): Failure {
    return new Failure('not-found', `The model has no tokenizer: there is no ${this.expected}.`, {
      action: 'Put the tokenizer.json with which the model was trained beside its weights.',
    });
  }
}

function parsed(json: string, path: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new Failure('bad-file', `${path} is not JSON.`, { cause });
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function unsupported(path: string, found: string): Failure {
  return new Failure('unsupported', `${path} describes ${found}.`, {
    action: `Loupe knows byte-level BPE as in ${[...preTokenizers.keys()].join(', ')}.`,
  });
}

/** What decides where words begin, in one spelling: what tokenizer.json may leave out, and trim_offsets, do not. */
function words(json: unknown): unknown {
  const { type, ...rest } = record(json);
  switch (type) {
    case 'Sequence':
      return list(rest['pretokenizers']).map(words);
    case 'ByteLevel':
      return [type, rest['add_prefix_space'] ?? true, rest['use_regex'] ?? true];
    case 'Split':
      return [type, rest['pattern'], rest['behavior'], rest['invert'] ?? false];
    case 'Digits':
      // In the tokenizers library a digit is a character of Unicode's category N.
      return rest['individual_digits'] === true
        ? ['Split', { Regex: '\\p{N}' }, 'Isolated', false]
        : json;
    default:
      return json;
  }
}

function knownPreTokenizer(json: unknown, path: string): PreTokenizer {
  const wanted = JSON.stringify(words(json));
  const known = [...preTokenizers.values()].find(each => JSON.stringify(words(each.json)) === wanted);
  if (known) return known;
  throw unsupported(path, `a pre-tokenizer that Loupe does not know, ${JSON.stringify(json ?? null).slice(0, 200)}`);
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
}

function addedTokens(value: unknown, path: string): AddedToken[] {
  return list(value).map(each => {
    const { id, content, single_word: single, lstrip, rstrip } = record(each);
    if (typeof content !== 'string' || typeof id !== 'number' || content === '') {
      throw new Failure('bad-file', `${path}: expected an added token with id and content, found ${JSON.stringify(each)}.`);
    }
    if (single === true || lstrip === true || rstrip === true) {
      throw unsupported(path, `the added token ${JSON.stringify(content)}, which takes in what is around it`);
    }
    return { id, content };
  });
}

/** Merges are pairs, or as before tokenizers 0.20 texts with a space between. */
function mergesOf(value: unknown, path: string): string[] {
  return list(value).map(each => {
    const merge = Array.isArray(each) ? each.join(' ') : each;
    if (typeof merge === 'string' && /^[^ ]+ [^ ]+$/.test(merge)) return merge;
    throw new Failure('bad-file', `${path}: expected a merge of two tokens, found ${JSON.stringify(each)}.`);
  });
}

/** GPT-2's and SmolLM's separator by its name, or else the first token that is matched whole. */
function separatorOf(tokens: readonly string[], added: readonly AddedToken[], path: string): number {
  const named = ['<|endoftext|>', '<|end_of_text|>', '</s>'].map(name => tokens.indexOf(name));
  const id = named.find(index => index >= 0) ?? added[0]?.id;
  if (id !== undefined) return id;
  throw new Failure('bad-file', `${path}: expected a token that separates documents, as <|endoftext|>, found none.`);
}
