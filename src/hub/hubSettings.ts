import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Whom to ask, and as whom. */
export interface HubSettings {
  /** Its own host is the only one that ever gets the token. */
  readonly endpoint: URL;
  readonly token: string | undefined;
}

const publicEndpoint = 'https://huggingface.co';

/**
 * The endpoint of the setting, of HF_ENDPOINT, or the public one; the token of HF_TOKEN or of the file that
 * `hf auth login` writes. Throws `usage` for an endpoint that is no address, and where HF_HUB_OFFLINE forbids to ask.
 */
export async function hubSettings(
  environment: Environment,
  endpointSetting = '',
): Promise<HubSettings> {
  if (isOn(environment['HF_HUB_OFFLINE'])) {
    throw new Failure('unreachable', 'HF_HUB_OFFLINE is set: the Hub is not asked.', {
      action: 'Unset HF_HUB_OFFLINE to search and download.',
    });
  }
  const chosen = [endpointSetting, environment['HF_ENDPOINT'] ?? '', publicEndpoint];
  const named = chosen.map(text => text.trim()).find(text => text !== '') ?? publicEndpoint;
  const endpoint = parseUrl(named);
  if (!endpoint || !/^https?:$/.test(endpoint.protocol) || endpoint.username !== '') {
    throw new Failure('usage', `The Hub's endpoint '${named.slice(0, 120)}' is no http address.`, {
      action: `Set it to ${publicEndpoint} or to your mirror.`,
    });
  }
  return { endpoint, token: mayCarryToken(endpoint) ? await readToken(environment) : undefined };
}

/** Over plain http a token is sent to this machine alone. */
function mayCarryToken({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

async function readToken(environment: Environment): Promise<string | undefined> {
  if (isOn(environment['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return undefined;
  const direct = environment['HF_TOKEN'] ?? environment['HUGGING_FACE_HUB_TOKEN'];
  const file = environment['HF_TOKEN_PATH'] ?? join(huggingFaceHome(environment), 'token');
  const token = (direct ?? (await readFile(file, 'utf8').catch(() => ''))).trim();
  return /^[\w.-]{1,500}$/.test(token) ? token : undefined;
}

/** Where the Hub's own tools keep what they keep. */
export function huggingFaceHome(environment: Environment): string {
  const cache = environment['XDG_CACHE_HOME'] ?? join(homeOf(environment), '.cache');
  return environment['HF_HOME'] ?? join(cache, 'huggingface');
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(1|on|yes|true)$/i.test(value);
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** The user's home folder. */
export function homeOf(environment: Environment): string {
  return environment['HOME'] ?? environment['USERPROFILE'] ?? homedir();
}
