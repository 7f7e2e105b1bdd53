/** What is wrong with a name for a domain, which is also the name of its folder; undefined: nothing. */
export function domainNameProblem(name: string): string | undefined {
  if (name === '') return 'The domain needs a name.';
  if (Array.from(name).length > longest) return `At most ${longest} characters.`;
  if (!/^[\p{L}\p{N}]/u.test(name)) return 'The name starts with a letter or a digit.';
  if (!/^[\p{L}\p{M}\p{N} ._-]*$/u.test(name))
    return 'Letters, digits, spaces, dots, - and _ only.';
  if (/[ .]$/.test(name)) return 'The name must not end with a space or a dot.';
  if (reserved.test(name)) return `'${name}' means something else: choose another name.`;
  return undefined;
}

const longest = 40;
/** `base` and `general` are what the domain is compared with; the others are devices of Windows. */
const reserved = /^(?:base|general|con|prn|aux|nul|(?:com|lpt)\d)(?:\..*)?$/i;

/** A name for a domain made from a folder's. */
export function domainNameFrom(folder: string): string {
  const kept = Array.from(folder.replace(/[^\p{L}\p{M}\p{N} ._-]+/gu, '-'))
    .slice(0, longest)
    .join('')
    .replace(/^[^\p{L}\p{N}]+|[ ._-]+$/gu, '');
  return domainNameProblem(kept) === undefined ? kept : 'domain';
}
