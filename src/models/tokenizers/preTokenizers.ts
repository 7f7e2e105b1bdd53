import { type AlignedText, AlignedTextWriter } from './alignedText.ts';
import { spellingOf } from './byteLevel.ts';
import { Description } from './description.ts';
import { prepended } from './normalizers.ts';
import { compilePattern, type Pattern, readPattern } from './pattern.ts';
import { split, type SplitBehavior, splitBehaviors } from './split.ts';

/** One step of how a text is split into words, inside which tokens are merged. */
export type PreTokenizerStep =
  | { readonly split: Pattern; readonly behavior: SplitBehavior; readonly invert: boolean }
  | { readonly prefixSpace: true }
  | { readonly spellBytes: true }
  | { readonly metaspace: string; readonly prepend: 'always' | 'never' | 'first' };

export type PreTokenizer = (piece: AlignedText) => Iterable<AlignedText>;

/** Source: Radford et al. 2019 (GPT-2), encoder.py. */
export const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const word = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const punctuation = '[\\p{P}!-/:-@\\[-`{-~]';

/** The steps of a tokenizer.json's `pre_tokenizer`. */
export function readPreTokenizer(json: unknown, path: string): PreTokenizerStep[] {
  if ((json ?? null) === null) return [];
  const description = new Description(json, path, 'a pre-tokenizer');
  const by = (pattern: Pattern, behavior: SplitBehavior, invert = false): PreTokenizerStep[] => [
    { split: pattern, behavior, invert },
  ];
  switch (description.type) {
    case 'Sequence':
      return description.list('pretokenizers').flatMap(each => readPreTokenizer(each, path));
    case 'Split':
      return by(
        readPattern(description),
        description.choice('behavior', splitBehaviors, 'Isolated'),
        description.flag('invert', false),
      );
    case 'ByteLevel':
      return [
        ...(description.flag('add_prefix_space', true) ? [{ prefixSpace: true } as const] : []),
        ...(description.flag('use_regex', true) ? by({ Regex: gpt2Words }, 'Isolated') : []),
        { spellBytes: true },
      ];
    case 'Digits':
      // In the tokenizers library a digit is a character of Unicode's category N.
      return by({ Regex: description.flag('individual_digits', false) ? '\\p{N}' : '\\p{N}+' }, 'Isolated');
    case 'Punctuation':
      return by({ Regex: punctuation }, description.choice('behavior', splitBehaviors, 'Isolated'));
    case 'Whitespace':
      return by({ Regex: `[${word}]+|[^${word}\\s]+` }, 'Removed', true);
    case 'WhitespaceSplit':
      return by({ Regex: '\\s' }, 'Removed');
    case 'BertPreTokenizer':
      return [...by({ Regex: '\\s' }, 'Removed'), ...by({ Regex: punctuation }, 'Isolated')];
    case 'CharDelimiterSplit':
      return by({ String: description.text('delimiter') }, 'Removed');
    case 'Metaspace':
      return metaspace(description);
    default:
      throw description.unsupported(`the pre-tokenizer ${description.type}`);
  }
}

function metaspace(description: Description): PreTokenizerStep[] {
  const mark = description.text('replacement', '▁');
  if (Array.from(mark).length !== 1) throw description.bad('replacement', 'one character');
  const otherwise = description.flag('add_prefix_space', true) ? 'always' : 'never';
  const prepend = description.choice('prepend_scheme', ['always', 'never', 'first'], otherwise);
  const step = { metaspace: mark, prepend } as const;
  if (!description.flag('split', true)) return [step];
  return [step, { split: { String: mark }, behavior: 'MergedWithNext', invert: false }];
}

export function compilePreTokenizer(steps: readonly PreTokenizerStep[], path: string): PreTokenizer {
  const all = steps.map(step => compileStep(step, path));
  return piece => through(all, 0, piece);
}

function* through(steps: readonly PreTokenizer[], from: number, piece: AlignedText): Generator<AlignedText> {
  const step = steps[from];
  if (!step) yield piece;
  else for (const part of step(piece)) yield* through(steps, from + 1, part);
}

function compileStep(step: PreTokenizerStep, path: string): PreTokenizer {
  if ('split' in step) {
    const pattern = compilePattern(step.split, path);
    return piece => split(piece, pattern, step.behavior, step.invert);
  }
  if ('prefixSpace' in step) return piece => [piece.text.startsWith(' ') ? piece : prepended(piece, ' ')];
  if ('spellBytes' in step) return piece => [bytesSpelled(piece)];
  const { metaspace: mark, prepend } = step;
  return piece => {
    const marked = mark.length === 1 ? piece.withText(piece.text.replaceAll(' ', mark)) : widened(piece, mark);
    const isPrepended = prepend === 'always' || (prepend === 'first' && piece.startOf(0) === 0);
    return [isPrepended && !marked.text.startsWith(mark) ? prepended(marked, mark) : marked];
  };
}

function widened(piece: AlignedText, mark: string): AlignedText {
  const writer = new AlignedTextWriter(piece);
  for (let unit = 0; unit < piece.length; unit++) {
    if (piece.text.charAt(unit) === ' ') writer.put(mark, unit, unit + 1);
    else writer.keep(unit, unit + 1);
  }
  return writer.finish();
}

const utf8 = new TextEncoder();

/** The text's UTF-8 bytes as the printable characters that spell them, each in the place of its character. */
function bytesSpelled(piece: AlignedText): AlignedText {
  // Of printable ASCII, only the space is spelled otherwise.
  if (/^[ -~]*$/.test(piece.text)) return piece.withText(piece.text.replaceAll(' ', spellingOf(32)));
  const writer = new AlignedTextWriter(piece);
  let at = 0;
  for (const character of piece.text) {
    let spelled = '';
    for (const byte of utf8.encode(character)) spelled += spellingOf(byte);
    writer.put(spelled, at, at + character.length);
    at += character.length;
  }
  return writer.finish();
}
