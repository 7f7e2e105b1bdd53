import { Failure } from '../../common/failure.ts';
import { isRecord } from '../../common/record.ts';
import type { AddedToken } from './addedTokens.ts';
import { bosOf } from './bos.ts';
import { Description, shown } from './description.ts';
import { readNormalizer } from './normalizers.ts';
import { readPreTokenizer } from './preTokenizers.ts';
import { namedSeparator } from './separator.ts';
import { TextTokenizer, type TokenizerParts } from './textTokenizer.ts';
import { tokenName } from './tokenName.ts';

/**
 * The tokenizer that the text of a tokenizer.json describes, if it is a byte-pair encoding. `path` names the file in
 * failures; the model has `vocabulary` tokens; `config` is the text of the tokenizer_config.json beside it, if there is one.
 */
export function jsonTokenizer(json: string, path: string, vocabulary: number, config?: string): TextTokenizer {
  const file = new Description(parsed(json, path), path, 'the file');
  const parts = readParts(file, vocabulary);
  const settings = config === undefined ? {} : parsed(config, path.replace('tokenizer.json', 'tokenizer_config.json'));
  const role = {
    vocabulary,
    separator: separatorOf(parts, settings, path),
    bos: bosOf(parts, file.value('post_processor'), settings),
  };
  return new TextTokenizer(parts, role, path);
}

function parsed(json: string, path: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new Failure('bad-file', `${path} is not JSON.`, { cause });
  }
}

function readParts(file: Description, most: number): TokenizerParts {
  const model = file.object('model');
  const { path } = file;
  if (model.text('type', 'BPE') !== 'BPE') throw model.unsupported('a tokenizer other than byte-pair encoding');
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model.text(key, '') !== '') throw model.unsupported(`"${key}"`);
  }
  if (model.has('dropout') && model.value('dropout') !== 0) throw model.unsupported('merges that are dropped by chance');
  const own = readVocabulary(model.value('vocab'), path, most);
  // Some files name tokens for which the model has no embedding, as Gemma 3's for images: no text becomes those.
  const added = readAdded(file.list('added_tokens'), path).filter(({ id }) => id < most);
  const unknown = model.has('unk_token') ? own.get(model.text('unk_token')) : undefined;
  const parts: TokenizerParts = {
    vocabulary: own,
    merges: mergesOf(model.list('merges'), path),
    ignoreMerges: model.flag('ignore_merges', false),
    byteFallback: model.flag('byte_fallback', false),
    ...(unknown !== undefined && { unknown }),
    fuseUnknown: model.flag('fuse_unk', false),
    normalizer: readNormalizer(file.value('normalizer'), path),
    preTokenizer: readPreTokenizer(file.value('pre_tokenizer'), path),
    added,
  };
  requireOwnIds(parts, path);
  return parts;
}

function readVocabulary(value: unknown, path: string, most: number): Map<string, number> {
  if (!isRecord(value)) throw new Failure('bad-file', `${path}: expected a vocabulary, found ${shown(value)}.`);
  const ids = new Map<string, number>();
  for (const [token, id] of Object.entries(value)) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= most) {
      throw new Failure(
        'bad-file',
        `${path}: expected tokens numbered from 0, at most the model's ${most}, found ${shown(token)} with the number ${shown(id)}.`,
      );
    }
    ids.set(token, id);
  }
  if (ids.size > 0) return ids;
  throw new Failure('bad-file', `${path}: expected at least one token, found none.`);
}

/** Two tokens never share a number, unless an added one is also in the vocabulary. */
function requireOwnIds({ vocabulary, added }: TokenizerParts, path: string): void {
  const texts = new Map<number, string>();
  for (const [text, id] of [...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]) {
    const other = texts.get(id) ?? text;
    if (other !== text || (vocabulary.get(text) ?? id) !== id) {
      throw new Failure('bad-file', `${path}: expected each token to have a number of its own, found ${id} for ${shown(other)} and ${shown(text)}.`);
    }
    texts.set(id, text);
  }
}

function readAdded(list: readonly unknown[], path: string): AddedToken[] {
  return list.map(each => {
    const token = new Description(each, path, 'an added token');
    const [content, id] = [token.text('content'), token.value('id')];
    if (content === '' || typeof id !== 'number' || !Number.isInteger(id) || id < 0) {
      throw new Failure('bad-file', `${path}: expected an added token with id and content, found ${shown(each)}.`);
    }
    return {
      id,
      content,
      singleWord: token.flag('single_word', false),
      takesLeft: token.flag('lstrip', false),
      takesRight: token.flag('rstrip', false),
      normalized: token.flag('normalized', !token.flag('special', false)),
    };
  });
}

/** Merges are pairs, or as before tokenizers 0.20 texts with a space between. */
function mergesOf(list: readonly unknown[], path: string): (readonly [string, string])[] {
  return list.map(each => {
    const [left, right, ...more] = typeof each === 'string' ? each.split(' ') : Array.isArray(each) ? (each as unknown[]) : [];
    if (typeof left === 'string' && typeof right === 'string' && left !== '' && right !== '' && more.length === 0) {
      return [left, right];
    }
    throw new Failure('bad-file', `${path}: expected a merge of two tokens, found ${shown(each)}.`);
  });
}

/** The token between documents by its name, or the one that tokenizer_config.json says ends a text, or the first added. */
function separatorOf({ vocabulary, added }: TokenizerParts, settings: unknown, path: string): number {
  const ids = new Map([...vocabulary, ...added.map(({ content, id }) => [content, id] as const)]);
  const end = tokenName(isRecord(settings) ? settings['eos_token'] : undefined) ?? '</s>';
  const id = namedSeparator(name => ids.get(name)) ?? ids.get(end) ?? added[0]?.id;
  if (id !== undefined) return id;
  throw new Failure('bad-file', `${path}: expected a token that separates documents, as <|endoftext|>, found none.`);
}
