import type { SaeInfo } from '../../contracts/engine.ts';

/** What of a `vscode.Memento` is needed here. */
interface Memento {
  get(key: string): unknown;
  update(key: string, value: unknown): unknown;
}

const key = 'domains.told';

/** What was told of each refused domain: by the hash of the SAE that it was wanted for, then by its folder. */
type Told = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * The refused domains of an SAE that the user has not been told of: a window that is opened anew does not tell again.
 * What is told from now on is remembered; a domain that is no longer refused is forgotten.
 */
export function newlyRefused(
  memory: Memento,
  { hash, refused }: Pick<SaeInfo, 'hash' | 'refused'>,
): SaeInfo['refused'] {
  const told = (memory.get(key) ?? {}) as Told;
  const before = told[hash] ?? {};
  const now = Object.fromEntries(refused.map(({ path, message }) => [path, message]));
  memory.update(key, { ...told, [hash]: now });
  return refused.filter(({ path, message }) => before[path] !== message);
}
