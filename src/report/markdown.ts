import { visibleText } from '../common/visibleText.ts';

/**
 * Text as one line of Markdown that shows it and nothing else, and that stays readable as a file: what has a meaning in
 * Markdown or in a table gets a backslash, characters that do not show become escapes.
 */
export function plainMarkdown(text: string): string {
  const line = visibleText(text.replace(/\s+/g, ' '), Infinity).replaceAll('␣', ' ');
  return line
    .replace(/[\\`*[\]<>|#!~$&]|(?<!\w)_|_(?!\w)/g, sign => `\\${sign}`)
    .replace(/^(\d+)([.)])(?=\s)/, '$1\\$2')
    .replace(/^[-+=]/, sign => `\\${sign}`);
}

/** A table of cells that are Markdown already; `align` has a letter a column: l for text, r for numbers. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  align: string,
): string {
  const rule = Array.from(align, side => (side === 'l' ? ':--' : '--:'));
  return [head, rule, ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
}
