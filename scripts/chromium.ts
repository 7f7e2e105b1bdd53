import type { SpawnOptions } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findProgram, run } from './commands.ts';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];

/** The Chromium that the tests drive: LOUPE_CHROMIUM, or one on the PATH. */
export function findChromium(): string | undefined {
  const named = process.env['LOUPE_CHROMIUM'];
  return named !== undefined && existsSync(named) ? named : findProgram(names);
}

/** The same; where there is none and this may install packages, it comes from Debian. */
export async function ensureChromium(): Promise<string> {
  const found = findChromium();
  if (found !== undefined) return found;
  const apt = findProgram(['apt-get']);
  if (apt !== undefined && process.getuid?.() === 0) await installFromDebian(apt);
  const installed = findChromium();
  if (installed !== undefined) return installed;
  throw new Error(
    'The tests need Chromium or Chrome. Install it (Debian: sudo apt-get install chromium), ' +
      'or set LOUPE_CHROMIUM to its path.',
  );
}

async function installFromDebian(apt: string): Promise<void> {
  console.log('Getting Chromium by apt-get.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options: SpawnOptions = { env, stdio: ['ignore', 'ignore', 'inherit'] };
  await run(apt, ['update'], options);
  await run(apt, ['install', '--yes', '--no-install-recommends', 'chromium'], options);
}
