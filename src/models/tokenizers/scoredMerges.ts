/**
 * The merges of a SentencePiece vocabulary, in which each token has a score in place of an order of merges: a token
 * can be made of any two others, those with the highest score first; `score` is undefined for tokens that no merge
 * makes or takes. Source: transformers, convert_slow_tokenizer.py, generate_merges.
 */
export function scoredMerges(
  vocabulary: ReadonlyMap<string, number>,
  score: (id: number) => number | undefined,
): (readonly [left: string, right: string])[] {
  const merges: ScoredMerge[] = [];
  const mergeable = (token: string) => {
    const id = vocabulary.get(token);
    return id !== undefined && score(id) !== undefined ? id : undefined;
  };
  for (const [token, id] of vocabulary) {
    const own = score(id);
    if (own === undefined) continue;
    const local: ScoredMerge[] = [];
    const characters = Array.from(token);
    for (let length = 1; length < characters.length; length++) {
      const left = characters.slice(0, length).join('');
      const right = token.slice(left.length);
      const [leftId, rightId] = [mergeable(left), mergeable(right)];
      if (leftId === undefined || rightId === undefined) continue;
      const lengths = [length, characters.length - length] as const;
      local.push({ left, right, leftId, rightId, score: own, lengths });
    }
    local.sort((a, b) => a.leftId - b.leftId || a.rightId - b.rightId);
    merges.push(...local);
  }
  merges.sort((a, b) => b.score - a.score || b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
  return merges.map(({ left, right }) => [left, right]);
}

interface ScoredMerge {
  readonly left: string;
  readonly right: string;
  readonly leftId: number;
  readonly rightId: number;
  readonly score: number;
  /** In characters. */
  readonly lengths: readonly [left: number, right: number];
}
