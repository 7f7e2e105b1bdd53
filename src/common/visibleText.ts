/** A token's text for people: spaces, line ends and tabs as signs, characters that do not show as escapes, cut short. */
export function visibleText(token: string, longest = 40): string {
  const signs = Array.from(token, character => whitespace[character] ?? escapeUnseen(character));
  const text = signs.length > longest ? [...signs.slice(0, longest - 1), '…'] : signs;
  return text.join('');
}

const whitespace: Partial<Record<string, string>> = { ' ': '␣', '\n': '↵', '\r': '↵', '\t': '→' };

/** Control characters and format characters, such as those that turn the direction of text. */
const unseen = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;

function escapeUnseen(character: string): string {
  if (!unseen.test(character)) return character;
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/**
 * Text as Markdown that shows it and nothing else: every ASCII sign becomes a character reference, which no syntax
 * (emphasis, link, table, HTML, icon) is made of.
 */
export function escapeMarkdown(text: string): string {
  return text.replace(/[!-/:-@[-`{-~]/g, sign => `&#${sign.charCodeAt(0)};`).replace(/\s+/g, ' ');
}
