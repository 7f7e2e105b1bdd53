import type { AlignedText} from './alignedText.ts';
import { AlignedTextWriter } from './alignedText.ts';
import { compose, type UnicodeForm, unicodeForms } from './unicodeForms.ts';
import { Description } from './description.ts';
import { compilePattern, type Pattern, readPattern } from './pattern.ts';

/** One step of what is done to a text before it is split. */
export type NormalizerStep =
  | { readonly form: UnicodeForm }
  | { readonly replace: Pattern; readonly by: string }
  | { readonly prepend: string }
  | { readonly strip: 'left' | 'right' | 'both' }
  | { readonly eachCharacter: 'lowercase' | 'withoutMarks' };

export type Normalizer = (text: AlignedText) => AlignedText;

/** The steps of a tokenizer.json's `normalizer`. */
export function readNormalizer(json: unknown, path: string): NormalizerStep[] {
  if ((json ?? null) === null) return [];
  const description = new Description(json, path, 'a normalizer');
  const { type } = description;
  const form = unicodeForms.find(each => each === type);
  if (form) return [{ form }];
  switch (type) {
    case 'Sequence':
      return description.list('normalizers').flatMap(each => readNormalizer(each, path));
    case 'Replace':
      return [{ replace: readPattern(description), by: description.text('content') }];
    case 'Prepend':
      return [{ prepend: description.text('prepend') }];
    case 'Strip': {
      const left = description.flag('strip_left', true);
      const right = description.flag('strip_right', true);
      if (!left && !right) return [];
      return [{ strip: left && right ? 'both' : left ? 'left' : 'right' }];
    }
    case 'Lowercase':
      return [{ eachCharacter: 'lowercase' }];
    case 'StripAccents':
      return [{ eachCharacter: 'withoutMarks' }];
    default:
      throw description.unsupported(`the normalizer ${type}`);
  }
}

export function compileNormalizer(steps: readonly NormalizerStep[], path: string): Normalizer {
  const all = steps.map(step => compileStep(step, path));
  return text => all.reduce((changed, step) => (changed.length === 0 ? changed : step(changed)), text);
}

function compileStep(step: NormalizerStep, path: string): Normalizer {
  if ('form' in step) return text => compose(text, step.form);
  if ('replace' in step) return replacement(compilePattern(step.replace, path), step.by);
  if ('prepend' in step) return text => prepended(text, step.prepend);
  if ('strip' in step) return text => stripped(text, step.strip);
  return step.eachCharacter === 'lowercase'
    ? text => eachCharacter(text, character => character.toLowerCase())
    : text => eachCharacter(text, character => (/\p{M}/u.test(character) ? '' : character));
}

/** `prefix` before the text, in the place of its first character. */
export function prepended(text: AlignedText, prefix: string): AlignedText {
  const [first = ''] = text.text;
  const writer = new AlignedTextWriter(text);
  writer.put(prefix, 0, first.length);
  writer.keep(0, text.length);
  return writer.finish();
}

function replacement(pattern: RegExp | undefined, by: string): Normalizer {
  if (!pattern) return text => text;
  // One unit for another, as with SentencePiece's spaces: every place stays.
  const isUnit = by.length === 1 && /^\\?.$/.test(pattern.source);
  if (isUnit) return text => text.withText(text.text.replace(pattern, () => by));
  return text => {
    const writer = new AlignedTextWriter(text);
    let kept = 0;
    for (const { 0: found, index } of text.text.matchAll(pattern)) {
      if (found === '') continue;
      writer.keep(kept, index);
      kept = index + found.length;
      writer.put(by, index, kept);
    }
    if (kept === 0) return text;
    writer.keep(kept, text.length);
    return writer.finish();
  };
}

function stripped(text: AlignedText, sides: 'left' | 'right' | 'both'): AlignedText {
  const space = /\p{White_Space}/u;
  let [from, to] = [0, text.length];
  while (sides !== 'right' && from < to && space.test(text.text.charAt(from))) from++;
  while (sides !== 'left' && to > from && space.test(text.text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

function eachCharacter(text: AlignedText, change: (character: string) => string): AlignedText {
  const writer = new AlignedTextWriter(text);
  let at = 0;
  for (const character of text.text) {
    writer.put(change(character), at, at + character.length);
    at += character.length;
  }
  return writer.finish();
}
