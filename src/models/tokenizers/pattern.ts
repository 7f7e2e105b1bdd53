import { SplitPreTokenizer } from '@huggingface/tokenizers';
import { Failure } from '../../common/failure.ts';
import { type Description, shown } from './description.ts';

/** What is looked for in a text: a regular expression as Oniguruma reads it, or a text. */
export type Pattern = { readonly Regex: string } | { readonly String: string };

export function readPattern(json: Description): Pattern {
  const pattern = json.object('pattern');
  return pattern.has('Regex') ? { Regex: pattern.text('Regex') } : { String: pattern.text('String') };
}

/**
 * The pattern in JavaScript's words, global; undefined for an empty text, which is found nowhere.
 * @huggingface/tokenizers translates Oniguruma's regular expressions.
 */
export function compilePattern(pattern: Pattern, path: string): RegExp | undefined {
  if ('String' in pattern) {
    if (pattern.String === '') return undefined;
    return new RegExp(pattern.String.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&'), 'gu');
  }
  let regex: RegExp | null = null;
  try {
    ({ pattern: regex } = new SplitPreTokenizer({ type: 'Split', pattern, behavior: 'Isolated', invert: false }));
  } catch (cause) {
    throw unsupported(pattern.Regex, path, cause);
  }
  if (regex) return regex;
  throw unsupported(pattern.Regex, path);
}

function unsupported(regex: string, path: string, cause?: unknown): Failure {
  return new Failure(
    'unsupported',
    `${path} splits text by a regular expression that JavaScript does not have: ${shown(regex)}.`,
    { cause },
  );
}
