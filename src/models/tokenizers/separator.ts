/** What models call the token between the documents of their training text; a chat's end of turn is another. */
const names = ['<|endoftext|>', '<|end_of_text|>', '<eos>'];

/** The token between documents by its usual names; undefined where the vocabulary has none of them. */
export function namedSeparator(idOf: (token: string) => number | undefined): number | undefined {
  return names.map(idOf).find(id => id !== undefined);
}
