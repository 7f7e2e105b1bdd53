/** Where a token of a report stands in its file now. */
export interface FoundToken {
  readonly start: number;
  /** Whether the file is, around the token, what it was. */
  readonly same: boolean;
}

/** Characters of context on each side that a moved token is known by. */
const context = 24;

/**
 * Looks for a token at its UTF-16 offset `start`, and where the file was changed, for the nearest place with the same
 * text around it; undefined where there is none.
 */
export function findToken(
  text: string,
  start: number,
  { before, token, after }: { before: string; token: string; after: string },
): FoundToken | undefined {
  const lead = before.replace(/^…/, '').slice(-context);
  const known = lead + token + after.replace(/…$/, '').slice(0, context);
  if (text.startsWith(known, start - lead.length)) return { start, same: true };
  const wanted = start - lead.length;
  const next = text.indexOf(known, Math.max(0, wanted));
  const previous = wanted > 0 ? text.lastIndexOf(known, wanted) : -1;
  const places = [next, previous].filter(place => place >= 0);
  const [nearest] = places.sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
  return nearest === undefined ? undefined : { start: nearest + lead.length, same: false };
}
