import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';
import type { HubClient } from '../hub/hubClient.ts';
import type { HubFile } from '../hub/repository.ts';

/** A package of a NuGet feed, and where its content is. */
export interface NugetPackage {
  readonly name: string;
  readonly version: string;
  readonly url: URL;
  /** With the size and the SHA-512 that the feed's catalog names. */
  readonly file: HubFile;
}

/**
 * Asks a feed, by the client whose endpoint is its index, for one version of a package. Protocol: NuGet's server API, version 3
 * (learn.microsoft.com/nuget/api): the index names its parts, the package's registration leads to its catalog entry, and
 * that has size and hash.
 */
export async function findPackage(
  feed: HubClient,
  { name, version }: { readonly name: string; readonly version: string },
  signal: AbortSignal,
): Promise<NugetPackage> {
  const what = `${name} ${version}`;
  const index = await record(feed, feed.endpoint, { what: 'its index', signal });
  const [id, at] = [name.toLowerCase(), version.toLowerCase()];
  const registration = await record(
    feed,
    new URL(`${id}/${at}.json`, partOf(feed, index, /^RegistrationsBaseUrl(\/3\.6\.0|$)/)),
    { what, signal },
  );
  const entry = await catalogEntry(feed, registration['catalogEntry'], { what, signal });
  const content = new URL(
    `${id}/${at}/${id}.${at}.nupkg`,
    partOf(feed, index, /^PackageBaseAddress\/3\.0\.0$/),
  );
  const { packageSize: size, packageHash, packageHashAlgorithm } = entry;
  const hex =
    typeof packageHash === 'string' ? Buffer.from(packageHash, 'base64').toString('hex') : '';
  const isHashed = packageHashAlgorithm === 'SHA512' && hex.length === 128;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0 || !isHashed) {
    throw malformed(feed, `names no size and SHA-512 of ${what}`);
  }
  const file = { path: `${id}.${at}.nupkg`, size, digest: { kind: 'sha512', hex } } as const;
  return { name, version, url: httpUrl(feed, content.href), file };
}

interface Asked {
  readonly what: string;
  readonly signal: AbortSignal;
}

async function record(feed: HubClient, url: URL, { what, signal }: Asked) {
  const answer = await feed.json(url, what, signal);
  if (isRecord(answer)) return answer;
  throw malformed(feed, `answers ${what} with no object`);
}

/** Feeds give it as an address, or as it is. */
async function catalogEntry(feed: HubClient, entry: unknown, asked: Asked) {
  if (typeof entry === 'string') return await record(feed, httpUrl(feed, entry), asked);
  if (isRecord(entry)) return entry;
  throw malformed(feed, `has no catalog entry of ${asked.what}`);
}

/** The address of one of the feed's parts, of the first type that fits. */
function partOf(feed: HubClient, index: Readonly<Record<string, unknown>>, type: RegExp): URL {
  const { resources } = index;
  for (const resource of Array.isArray(resources) ? (resources as unknown[]) : []) {
    if (!isRecord(resource) || !type.test(String(resource['@type']))) continue;
    const address = String(resource['@id']);
    return httpUrl(feed, address.endsWith('/') ? address : `${address}/`);
  }
  throw malformed(feed, 'does not say in its index where things are');
}

/** An address that the feed names: over https, as the feed itself, unless that is not. */
function httpUrl(feed: HubClient, address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && ['https:', feed.endpoint.protocol].includes(url.protocol)) return url;
  throw malformed(feed, `names ${JSON.stringify(address.slice(0, 80))} as an address`);
}

function malformed({ endpoint }: HubClient, what: string): Failure {
  return new Failure('unreachable', `The feed ${endpoint.host} ${what}.`, {
    action: 'Try again later, or name a file or folder that has the libraries.',
  });
}
