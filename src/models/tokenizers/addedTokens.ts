import type { AlignedText } from './alignedText.ts';

/** A token that is matched in a text as it stands, before any splitting. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no letter, digit, mark or underscore touches it. */
  readonly singleWord: boolean;
  /** Whether it takes in the white space before it, and after it. */
  readonly takesLeft: boolean;
  readonly takesRight: boolean;
  /** Whether it is looked for after the text is normalised, and normalised itself. */
  readonly normalized: boolean;
}

/** A part of a text: an added token, or what lies between two of them. */
export interface Section {
  readonly piece: AlignedText;
  readonly id?: number;
}

type Node = Map<number, Node> & { token?: AddedToken };

const wordCharacter = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const endsWithWord = new RegExp(`${wordCharacter}$`, 'u');
const startsWithWord = new RegExp(`^${wordCharacter}`, 'u');
const isSpace = /\p{White_Space}/u;

/** Finds added tokens: the leftmost first, of those that begin at one place the longest, as the tokenizers library does. */
export class AddedTokenFinder {
  private readonly root: Node = new Map();

  /** `spelling`: how a token's content is spelled in the texts that will be searched. */
  constructor(tokens: readonly AddedToken[], spelling: (content: string) => string = content => content) {
    for (const token of tokens) {
      let node = this.root;
      const content = spelling(token.content);
      if (content === '') continue;
      for (let i = 0; i < content.length; i++) {
        const unit = content.charCodeAt(i);
        const child: Node = node.get(unit) ?? new Map();
        node.set(unit, child);
        node = child;
      }
      node.token = token;
    }
  }

  /** The text's sections, none of them empty. */
  *sections(piece: AlignedText): Generator<Section> {
    if (piece.length === 0) return;
    const { text } = piece;
    let open = 0;
    for (let at = this.root.size === 0 ? text.length : 0; at < text.length; ) {
      const found = this.longestAt(text, at);
      if (!found) {
        at++;
        continue;
      }
      const { token } = found;
      let [from, to] = [at, found.end];
      at = to;
      if (token.singleWord && (endsWithWord.test(text.slice(Math.max(0, from - 2), from)) || startsWithWord.test(text.slice(to, to + 2)))) {
        continue;
      }
      while (token.takesLeft && from > open && isSpace.test(text.charAt(from - 1))) from--;
      while (token.takesRight && to < text.length && isSpace.test(text.charAt(to))) to++;
      if (from > open) yield { piece: piece.slice(open, from) };
      yield { piece: piece.slice(Math.max(from, open), to), id: token.id };
      open = to;
      at = Math.max(at, open);
    }
    if (open < text.length) yield { piece: open === 0 ? piece : piece.slice(open, text.length) };
  }

  private longestAt(text: string, at: number): { token: AddedToken; end: number } | undefined {
    let node: Node | undefined = this.root;
    let found: { token: AddedToken; end: number } | undefined;
    for (let i = at; i < text.length; i++) {
      node = node.get(text.charCodeAt(i));
      if (!node) break;
      if (node.token) found = { token: node.token, end: i + 1 };
    }
    return found;
  }
}
