/** A range of a text, UTF-16 units. */
export interface Section {
  readonly start: number;
  readonly end: number;
}

const wanted = 40; // sections of a text
const shortest = 200;
const longest = 100_000;

/** A text cut into sections at the ends of paragraphs, or of lines or words where a paragraph is too long. */
export function cutSections(text: string): readonly Section[] {
  const length = Math.min(longest, Math.max(shortest, Math.ceil(text.length / wanted)));
  const sections: Section[] = [];
  for (let start = 0; start < text.length;) {
    const end = text.length - start < 1.5 * length ? text.length : boundary(text, start, length);
    sections.push({ start, end });
    start = end;
  }
  return sections;
}

/** Neighbours that are both held out, or both not, as one. */
export function joinSections(
  sections: readonly Section[],
  isHeldOut: (index: number) => boolean,
): readonly (Section & { readonly heldOut: boolean })[] {
  const joined: (Section & { heldOut: boolean })[] = [];
  for (const [index, section] of sections.entries()) {
    const heldOut = isHeldOut(index);
    const last = joined.at(-1);
    if (last?.heldOut === heldOut) joined[joined.length - 1] = { ...last, end: section.end };
    else joined.push({ ...section, heldOut });
  }
  return joined;
}

/** The last good place to cut in the second half of `length` units from `start`. */
function boundary(text: string, start: number, length: number): number {
  for (const mark of ['\n\n', '\r\n\r\n', '\n', ' ']) {
    const at = text.lastIndexOf(mark, start + length - mark.length);
    if (at >= start + length / 2) return at + mark.length;
  }
  const end = start + length;
  const unit = text.charCodeAt(end - 1);
  return unit >= 0xd800 && unit < 0xdc00 ? end - 1 : end;
}
