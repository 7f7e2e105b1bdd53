import { join } from 'node:path';
import { HubClient } from '../hub/hubClient.ts';
import { hubSettings } from '../hub/hubSettings.ts';
import { text } from './arguments.ts';
import { cacheFolder } from './cacheFolder.ts';
import type { Command, CommandInput } from './command.ts';

/** Options of every command that asks the Hub. */
export const hubOptions = { endpoint: { type: 'string' } } as const satisfies Command['options'];

/** The Hub that `--endpoint`, HF_ENDPOINT or neither names, asked as whom HF_TOKEN or the token's file says. */
export async function hubOf({ values }: Pick<CommandInput, 'values'>): Promise<HubClient> {
  return new HubClient(await hubSettings(process.env, text(values, 'endpoint')));
}

/** Where the command line downloads to unless `--out` says otherwise. */
export function downloadFolder(): string {
  return join(cacheFolder(), 'hub');
}
