/** A comment at the start of a file: one block, or lines that each begin with a mark. */
const comments = [
  /^\s*\/\*[\s\S]*?\*\//,
  /^\s*<!--[\s\S]*?-->/,
  /^\s*\(\*[\s\S]*?\*\)/,
  /^(?:\s*(?:\/\/|#|--|%|;).*(?:\n|$))+/,
];

/**
 * The text without a licence in its first comment: files of a project share it, and are not copies for that. A text
 * that is nothing else stays as it is.
 */
export function withoutLicence(text: string): string {
  for (const comment of comments) {
    const [header] = comment.exec(text) ?? [];
    if (header === undefined || !/copyright|licen[cs]e|\bspdx\b/i.test(header)) continue;
    const rest = text.slice(header.length);
    return /\w/.test(rest) ? rest : text;
  }
  return text;
}
