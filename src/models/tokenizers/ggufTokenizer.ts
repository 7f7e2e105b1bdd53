import { Failure } from '../../common/failure.ts';
import type { GgufFile } from '../../weights/gguf.ts';
import { badMetadata, metadataNumbers, metadataText, metadataTexts } from '../../weights/ggufMetadata.ts';
import type { AddedToken } from './addedTokens.ts';
import { byteToken } from './bytePairs.ts';
import { ggufPreTokenizers } from './ggufPreTokenizers.ts';
import { type NormalizerStep, readNormalizer } from './normalizers.ts';
import { readPreTokenizer } from './preTokenizers.ts';
import { scoredMerges } from './scoredMerges.ts';
import { namedSeparator } from './separator.ts';
import { TextTokenizer, type TokenizerParts } from './textTokenizer.ts';

/** ggml's token types; the text of the first three is matched as it stands, before any splitting. */
const types = { unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/** Source: llama.cpp, llama-vocab.cpp: what a SentencePiece vocabulary has where its file does not say. */
const sentencePieceIds = { bos: 1, eos: 2 };

interface GgufParts {
  readonly parts: TokenizerParts;
  /** Whether a text begins with BOS where the file does not say. */
  readonly addBos: boolean;
}

/** Rebuilds the tokenizer from the vocabulary in a GGUF file: byte-level (gpt2) or SentencePiece (llama). */
export function ggufTokenizer(file: GgufFile): TextTokenizer {
  const model = metadataText(file, 'tokenizer.ggml.model');
  if (model !== 'gpt2' && model !== 'llama') throw unsupported(file, 'tokenizer.ggml.model', model, ['gpt2', 'llama']);
  const tokens = metadataTexts(file, 'tokenizer.ggml.tokens');
  refuseBrokenTokens(file, tokens);
  const { parts, addBos } = model === 'gpt2' ? byteLevel(file, tokens) : sentencePiece(file, tokens);
  // Ollama's Gemma 3 lists tokens, of pictures, of which the embedding has no rows: no text may become them.
  const rows = file.tensors.get('token_embd.weight')?.shape[0] ?? tokens.length;
  const added = parts.added.filter(({ id }) => id < rows);
  const role = { vocabulary: tokens.length, separator: separatorOf(file, tokens), bos: bosOf(file, tokens, addBos) };
  return new TextTokenizer({ ...parts, added }, role, file.path);
}

function byteLevel(file: GgufFile, tokens: readonly string[]): GgufParts {
  const name = metadataText(file, 'tokenizer.ggml.pre');
  const pre = ggufPreTokenizers.get(name);
  if (!pre) throw unsupported(file, 'tokenizer.ggml.pre', name, [...ggufPreTokenizers.keys()]);
  const merges = metadataTexts(file, 'tokenizer.ggml.merges').map(merge => {
    const [left, right, ...more] = merge.split(' ');
    if (left && right && more.length === 0) return [left, right] as const;
    throw badMetadata(file, 'tokenizer.ggml.merges', 'pairs of tokens separated by one space');
  });
  const vocabulary = numbered(tokens);
  const known = ([left, right]: readonly [string, string]) =>
    [left, right, left + right].every(token => vocabulary.has(token));
  const parts: TokenizerParts = {
    vocabulary,
    // Of tokens that the file leaves out, there is nothing to merge.
    merges: merges.filter(known),
    ignoreMerges: pre.ignoreMerges ?? false,
    byteFallback: false,
    fuseUnknown: false,
    normalizer: readNormalizer(pre.normalizer, file.path),
    preTokenizer: readPreTokenizer(pre.json, file.path),
    added: wholeTokens(file, tokens, [types.control, types.userDefined]),
  };
  return { parts, addBos: pre.addBos ?? false };
}

/**
 * A SentencePiece vocabulary of byte pairs, as Llama 2, Mistral, Gemma and Phi-3 have: a space is ▁, and one comes before
 * the first word unless the file says no.
 */
function sentencePiece(file: GgufFile, tokens: readonly string[]): GgufParts {
  const scores = metadataNumbers(file, 'tokenizer.ggml.scores');
  if (scores.length !== tokens.length) {
    throw badMetadata(file, 'tokenizer.ggml.scores', `an array of ${tokens.length}, one for each token`);
  }
  const tokenTypes = typesOf(file, tokens);
  const whole = [types.unknown, types.control, types.userDefined];
  const unmerged = new Set([types.unknown, types.control, types.unused, types.byte]);
  const vocabulary = numbered(tokens);
  const unknown = tokenTypes.indexOf(types.unknown);
  const space: NormalizerStep = { replace: { String: ' ' }, by: '▁' };
  const hasPrefix = flag(file, 'tokenizer.ggml.add_space_prefix', true);
  // Runs of spaces, which llama.cpp's converter writes as such, are to be found where a space has become ▁.
  const isPhi3 = file.metadata.get('general.architecture') === 'phi3';
  const added = wholeTokens(file, tokens, whole).map(token => ({
    ...token,
    // Phi-3's own tokenizer.json says so, of which the metadata have no word; llama.cpp goes by the name as well.
    takesRight: isPhi3 && !['<unk>', '<s>', '<|endoftext|>'].includes(token.content),
    normalized: !hasPrefix && token.content.includes(' '),
  }));
  const parts: TokenizerParts = {
    vocabulary,
    merges: scoredMerges(vocabulary, id => (unmerged.has(tokenTypes[id] ?? 0) ? undefined : scores[id])),
    ignoreMerges: false,
    byteFallback: vocabulary.has(byteToken(0)),
    ...(unknown >= 0 && { unknown }),
    fuseUnknown: true,
    normalizer: hasPrefix ? [{ prepend: '▁' }, space] : [space],
    preTokenizer: [],
    added,
  };
  return { parts, addBos: true };
}

function unsupported(file: GgufFile, key: string, found: string, known: readonly string[]): Failure {
  return new Failure(
    'unsupported',
    `${file.path}: metadata "${key}" is "${found}"; Loupe knows ${known.map(name => `"${name}"`).join(', ')}.`,
  );
}

function refuseBrokenTokens(file: GgufFile, tokens: readonly string[]): void {
  if (tokens.length === 0) throw badMetadata(file, 'tokenizer.ggml.tokens', 'at least one token');
  if (new Set(tokens).size !== tokens.length) {
    throw badMetadata(file, 'tokenizer.ggml.tokens', `tokens of ${tokens.length} different texts`);
  }
}

function numbered(tokens: readonly string[]): Map<string, number> {
  return new Map(tokens.map((token, id) => [token, id]));
}

function typesOf(file: GgufFile, tokens: readonly string[]): readonly number[] {
  const found = metadataNumbers(file, 'tokenizer.ggml.token_type');
  if (found.length === tokens.length) return found;
  throw badMetadata(file, 'tokenizer.ggml.token_type', `an array of ${tokens.length}, one for each token`);
}

function wholeTokens(file: GgufFile, tokens: readonly string[], whole: readonly number[]): AddedToken[] {
  const added: AddedToken[] = [];
  for (const [id, type] of typesOf(file, tokens).entries()) {
    const content = tokens[id] ?? '';
    if (!whole.includes(type) || content === '') continue;
    added.push({ id, content, singleWord: false, takesLeft: false, takesRight: false, normalized: false });
  }
  return added;
}

function flag(file: GgufFile, key: string, otherwise: boolean): boolean {
  const value = file.metadata.get(key) ?? otherwise;
  if (typeof value === 'boolean') return value;
  throw badMetadata(file, key, 'true or false');
}

function bosOf(file: GgufFile, tokens: readonly string[], addBos: boolean): number | undefined {
  if (!flag(file, 'tokenizer.ggml.add_bos_token', addBos)) return undefined;
  return namedToken(file, 'tokenizer.ggml.bos_token_id', tokens, sentencePieceIds.bos);
}

function separatorOf(file: GgufFile, tokens: readonly string[]): number {
  const ids = numbered(tokens);
  const named = namedSeparator(name => ids.get(name));
  return named ?? namedToken(file, 'tokenizer.ggml.eos_token_id', tokens, sentencePieceIds.eos);
}

/** The token under a key; SentencePiece's files may leave it out. */
function namedToken(file: GgufFile, key: string, tokens: readonly string[], otherwise: number): number {
  const isSentencePiece = file.metadata.get('tokenizer.ggml.model') === 'llama';
  const id = file.metadata.get(key) ?? (isSentencePiece ? otherwise : undefined);
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < tokens.length) return id;
  throw badMetadata(file, key, `a token from 0 to ${tokens.length - 1}`);
}
