import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where derived files are kept, by the custom of the platform. */
export function cacheFolder(): string {
  const { LOUPE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (LOUPE_CACHE) return LOUPE_CACHE;
  if (process.platform === 'win32') return join(LOCALAPPDATA ?? homedir(), 'loupe');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'loupe');
  return join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'loupe');
}
