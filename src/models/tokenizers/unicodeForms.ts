import { type AlignedText, AlignedTextWriter } from './alignedText.ts';

export const unicodeForms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const;
export type UnicodeForm = (typeof unicodeForms)[number];

/** A character with the marks and the parts of a Korean syllable that follow it, which may join it. */
const cluster = /[^\p{M}\u1160-\u11ff\ud7b0-\ud7ff]?[\p{M}\u1160-\u11ff\ud7b0-\ud7ff]*/gu;

/**
 * The text in one of Unicode's normal forms. Characters that were put together have the range of all their parts,
 * also where the tokenizers library names only the first.
 */
export function compose(text: AlignedText, form: UnicodeForm): AlignedText {
  const whole = text.text.normalize(form);
  if (whole === text.text) return text;
  const writer = new AlignedTextWriter(text);
  let at = 0;
  for (const part of parts(text.text, form)) {
    const normal = part.normalize(form);
    if (normal === part) writer.keep(at, at + part.length);
    else writer.put(normal, at, at + part.length);
    at += part.length;
  }
  const written = writer.finish();
  return written.text === whole ? written : inOnePlace(text, whole);
}

/** Longer runs of marks are taken in one piece. */
const longestPeeled = 64;

/** Clusters, less the characters at their start that keep to themselves. */
function* parts(text: string, form: UnicodeForm): Generator<string> {
  for (const whole of clusters(text, form)) {
    let rest = whole;
    while (rest.length <= longestPeeled) {
      const [first = ''] = rest;
      const others = rest.slice(first.length);
      if (others === '' || first.normalize(form) + others.normalize(form) !== rest.normalize(form)) break;
      yield first;
      rest = others;
    }
    yield rest;
  }
}

/** Parts of a text that are normal by themselves: those that would join the part before them are joined to it. */
function* clusters(text: string, form: UnicodeForm): Generator<string> {
  let held = '';
  for (const [part] of text.matchAll(cluster)) {
    if (part === '') continue;
    const isSeparate = (held + part).normalize(form) === held.normalize(form) + part.normalize(form);
    if (isSeparate) {
      if (held !== '') yield held;
      held = part;
    } else held += part;
  }
  if (held !== '') yield held;
}

function inOnePlace(text: AlignedText, whole: string): AlignedText {
  const writer = new AlignedTextWriter(text);
  writer.put(whole, 0, text.length);
  return writer.finish();
}
