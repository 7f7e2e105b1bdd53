import { type AddedToken, AddedTokenFinder } from './addedTokens.ts';
import { AlignedText } from './alignedText.ts';
import { legible, spelledBytes } from './byteLevel.ts';
import { type BytePairs, BytePairMerger } from './bytePairs.ts';
import type { Tokenizer, TokenSpans } from '../model.ts';
import { tokenizerFingerprint } from './fingerprint.ts';
import { compileNormalizer, type Normalizer, type NormalizerStep } from './normalizers.ts';
import { compilePreTokenizer, type PreTokenizer, type PreTokenizerStep } from './preTokenizers.ts';
import { TokenList } from './tokenList.ts';

/** All that decides a text's tokens, whatever file it came from. */
export interface TokenizerParts extends BytePairs {
  readonly normalizer: readonly NormalizerStep[];
  readonly preTokenizer: readonly PreTokenizerStep[];
  readonly added: readonly AddedToken[];
}

/** What the tokenizer is for a model. */
export interface TokenizerRole {
  /** The number of tokens of the model. */
  readonly vocabulary: number;
  readonly separator: number;
  readonly bos: number | undefined;
}

/** UTF-16 units of words between two rests of `steps`. */
const stepLength = 4096;

/**
 * Text to tokens in the tokenizers library's order: added tokens, normaliser, added tokens that are normalised,
 * words, merges. Each step keeps track of where in the original its text lies, so that spans are exact.
 */
export class TextTokenizer implements Tokenizer {
  readonly vocabulary: number;
  readonly separator: number;
  readonly bos: number | undefined;
  readonly fingerprint: string;
  readonly parts: TokenizerParts;
  private readonly normalize: Normalizer;
  private readonly words: PreTokenizer;
  private readonly merger: BytePairMerger;
  private readonly plain: AddedTokenFinder;
  private readonly normalized: AddedTokenFinder;
  private readonly texts = new Map<number, string>();
  private readonly addedIds: ReadonlySet<number>;

  /** `path` names the file in failures. */
  constructor(parts: TokenizerParts, { vocabulary, separator, bos }: TokenizerRole, path: string) {
    this.parts = parts;
    this.vocabulary = vocabulary;
    this.separator = separator;
    this.bos = bos;
    this.fingerprint = tokenizerFingerprint(parts);
    const { added } = parts;
    this.normalize = compileNormalizer(parts.normalizer, path);
    this.words = compilePreTokenizer(parts.preTokenizer, path);
    this.merger = new BytePairMerger(parts, path);
    const isNormalized = (token: AddedToken) => token.normalized && parts.normalizer.length > 0;
    this.plain = new AddedTokenFinder(added.filter(token => !isNormalized(token)));
    this.normalized = new AddedTokenFinder(
      added.filter(isNormalized),
      content => this.normalize(AlignedText.original(content)).text,
    );
    for (const [text, id] of parts.vocabulary) this.texts.set(id, text);
    for (const { content, id } of added) this.texts.set(id, content);
    this.addedIds = new Set(added.map(({ id }) => id));
  }

  encode(text: string): TokenSpans {
    const steps = this.steps(text);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /** The same in short steps, between which a caller may rest: each yields how many UTF-16 units it took on. */
  *steps(text: string): Generator<number, TokenSpans> {
    const list = new TokenList();
    let taken = 0;
    for (const section of this.sections(AlignedText.original(text))) {
      if (section.id !== undefined) {
        list.add(section.id, section.piece.startOf(0), section.piece.endOf(section.piece.length - 1));
        continue;
      }
      for (const word of this.words(section.piece)) {
        const { ids, starts, ends } = this.merger.merge(word.text);
        for (let i = 0; i < ids.length; i++) {
          list.add(ids[i] ?? 0, word.startOf(starts[i] ?? 0), word.endOf((ends[i] ?? 1) - 1));
        }
        taken += word.length;
        if (taken < stepLength) continue;
        yield taken;
        taken = 0;
      }
    }
    return list.finish();
  }

  private *sections(original: AlignedText): Generator<{ piece: AlignedText; id?: number }> {
    for (const section of this.plain.sections(original)) {
      if (section.id !== undefined) yield section;
      else yield* this.normalized.sections(this.normalize(section.piece));
    }
  }

  tokenText(id: number): string {
    return legible(this.bytesOf(id));
  }

  decode(ids: ArrayLike<number>): string {
    const bytes = Buffer.concat(Array.from(ids, id => this.bytesOf(id)));
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    const first = ids[0];
    const isPrefixed = first !== undefined && !this.addedIds.has(first) && this.addsSpace;
    return isPrefixed && text.startsWith(' ') ? text.slice(1) : text;
  }

  /** Whether a space that is not in the text comes before its first word. */
  private get addsSpace(): boolean {
    const { normalizer, preTokenizer } = this.parts;
    return (
      normalizer.some(step => 'prepend' in step) ||
      preTokenizer.some(step => 'prefixSpace' in step || ('metaspace' in step && step.prepend !== 'never'))
    );
  }

  private bytesOf(id: number): Uint8Array {
    const text = this.texts.get(id) ?? '';
    const { preTokenizer, byteFallback } = this.parts;
    if (this.addedIds.has(id)) return Buffer.from(text);
    if (preTokenizer.some(step => 'spellBytes' in step)) return spelledBytes(text) ?? Buffer.from(text);
    const byte = byteFallback ? /^<0x([0-9A-F]{2})>$/.exec(text)?.[1] : undefined;
    return byte === undefined ? Buffer.from(text.replaceAll('▁', ' ')) : Uint8Array.of(parseInt(byte, 16));
  }
}
