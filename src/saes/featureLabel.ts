/** Tokens shown in a label. */
const shown = 3;

/**
 * A stand-in for a feature's label: the tokens that tell it from others, joined. Words that differ only in case or in the
 * space before them count as one; a piece inside a word begins with an ellipsis; white space is made visible.
 */
export function tokensLabel(
  tokens: readonly { readonly token: string; readonly weight: number }[],
): string {
  const words = new Map<string, { text: string; weight: number }>();
  for (const { token, weight } of tokens) {
    const key = token.trim().toLowerCase() || token;
    const known = words.get(key);
    if (known) known.weight += weight;
    else words.set(key, { text: readable(token), weight });
  }
  const strongest = [...words.values()].sort((a, b) => b.weight - a.weight);
  const first = strongest[0];
  if (!first) return '';
  // What adds next to nothing to the first would only blur it.
  const telling = strongest.filter(({ weight }) => weight >= first.weight / 10).slice(0, shown);
  return telling.map(({ text }) => text).join(' · ');
}

/** One token for people: `↵` for a line's end, `⇥` for a tab, `␣` for spaces that stand alone. */
export function readable(token: string): string {
  if (token.trim() === '') return whiteSpace(token);
  const word = token.trim();
  const startsInside = token === token.trimStart() && /^\p{Ll}/u.test(token);
  const after = token.slice(token.trimEnd().length);
  return `${startsInside ? '…' : ''}${word}${/[\n\t]/.test(after) ? whiteSpace(after) : ''}`;
}

function whiteSpace(text: string): string {
  const visible = text
    .replaceAll('\r\n', '↵')
    .replaceAll('\n', '↵')
    .replaceAll('\t', '⇥')
    .replaceAll(' ', '␣');
  return visible.length > 4 ? `${visible.slice(0, 1)}×${visible.length}` : visible;
}
