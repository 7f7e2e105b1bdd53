import { join } from 'node:path';
import { Failure } from '../common/failure.ts';

/** What a download under way is called beside its target; nothing else may be. */
export const partSuffix = '.loupe-part';

/** Names that Windows keeps for devices, with any extension. */
const devices = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/i;

/**
 * The relative path on this machine for a path that a server named: the same on every platform, and always within the
 * folder that it is joined to. Characters that some file system forbids become `_`; throws `bad-file` for anything that
 * could lead elsewhere.
 */
export function safeRelativePath(named: string): string {
  const segments = named.split('/');
  const hostile = /[\\\u0000-\u001f\u007f]/.test(named) || named.length > 1024;
  if (hostile || /^[a-z]:$/i.test(segments[0] ?? '')) throw refused(named);
  return join(...segments.map(segment => safeSegment(segment, named)));
}

function safeSegment(segment: string, named: string): string {
  const safe = segment.replaceAll(/[<>:"|?*]/g, '_');
  const isBad =
    safe === '' || safe.length > 200 || /[. ]$/.test(safe) || devices.test(safe) || isOurs(safe);
  if (isBad) throw refused(named);
  return safe;
}

function isOurs(segment: string): boolean {
  return segment.endsWith(partSuffix) || /^\.loupe-/i.test(segment);
}

function refused(named: string): Failure {
  return new Failure(
    'bad-file',
    `The server names a file ${JSON.stringify(named.slice(0, 120))}, which is no name for a file in a download folder.`,
    { action: 'Nothing was written. Do not use this repository.' },
  );
}

/** The id of a repository, checked: an owner and a name, or a name alone; throws `usage`. */
export function repositoryId(text: string): string {
  const id = text
    .trim()
    .replace(/^https?:\/\/[^/]+\//, '')
    .replace(/\/(tree|blob)\/.*$|\/$/, '');
  const parts = id.split('/');
  const fits = parts.every(part => /^[\w.-]{1,96}$/.test(part) && !/^\.+$|--|\.\./.test(part));
  if (parts.length <= 2 && fits) return id;
  throw new Failure(
    'usage',
    `'${text.slice(0, 120)}' is no repository: expected OWNER/NAME, as on the Hub.`,
  );
}

/** The revision as part of an address, checked: a branch, a tag or a commit; throws `usage`. */
export function revisionName(text: string): string {
  if (/^[\w./-]{1,200}$/.test(text) && !/(^|\/)\.{1,2}(\/|$)/.test(text)) return text;
  throw new Failure('usage', `'${text.slice(0, 120)}' is no revision of a repository.`);
}
