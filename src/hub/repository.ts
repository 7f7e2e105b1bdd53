import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';
import type { HubClient } from './hubClient.ts';
import { repositoryId, revisionName } from './safeName.ts';

/** A repository as a search finds it. */
export interface HubRepository {
  readonly id: string;
  readonly downloads: number;
  readonly likes: number;
  readonly gated: boolean;
  readonly tags: readonly string[];
}

/** What a search is narrowed to: a format of weights, or SAEs of SAELens. */
export type HubFilter = 'gguf' | 'safetensors' | 'saelens';

/** A file of a repository at one revision. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** What the content is to hash to: Git's SHA-1 of the blob, SHA-256 of one kept by LFS, SHA-512 of a NuGet package. */
  readonly digest:
    { readonly kind: 'blob-sha1' | 'sha256' | 'sha512'; readonly hex: string } | undefined;
}

/** The files of a repository at a commit. */
export interface HubFiles {
  readonly id: string;
  /** The commit; the files are asked for at it, so that they belong together. */
  readonly commit: string;
  readonly gated: boolean;
  readonly files: readonly HubFile[];
}

/** Model repositories whose name holds `query`, the most downloaded first. */
export async function searchHub(
  hub: HubClient,
  {
    query,
    filter,
    limit = 30,
  }: { readonly query: string; readonly filter?: HubFilter; readonly limit?: number },
  signal: AbortSignal,
): Promise<readonly HubRepository[]> {
  const url = hub.address('api/models');
  url.searchParams.set('search', query.trim().slice(0, 200));
  if (filter !== undefined) url.searchParams.set('filter', filter);
  url.searchParams.set('sort', 'downloads');
  url.searchParams.set('direction', '-1');
  url.searchParams.set('limit', String(limit));
  const answer = await hub.json(url, 'the search', signal);
  if (!Array.isArray(answer)) throw malformed('the search');
  return answer.flatMap((entry: unknown) => {
    const id = isRecord(entry) ? (entry['id'] ?? entry['modelId']) : undefined;
    if (!isRecord(entry) || typeof id !== 'string' || !isRepositoryId(id)) return [];
    return [
      {
        id,
        downloads: count(entry['downloads']),
        likes: count(entry['likes']),
        gated: isGated(entry['gated']),
        tags: Array.isArray(entry['tags'])
          ? entry['tags'].filter(tag => typeof tag === 'string').slice(0, 100)
          : [],
      },
    ];
  });
}

/** The files of a repository with their sizes and checksums. */
export async function listFiles(
  hub: HubClient,
  repository: string,
  signal: AbortSignal,
  revision = 'main',
): Promise<HubFiles> {
  const id = repositoryId(repository);
  const url = hub.address(
    `api/models/${id}/revision/${encodeURIComponent(revisionName(revision))}`,
  );
  url.searchParams.set('blobs', 'true');
  const answer = await hub.json(url, `repository ${id}`, signal);
  if (!isRecord(answer) || !Array.isArray(answer['siblings'])) throw malformed(`of ${id}`);
  const commit = answer['sha'];
  return {
    id,
    commit: typeof commit === 'string' && /^[0-9a-f]{40}$/.test(commit) ? commit : revision,
    gated: isGated(answer['gated']),
    files: answer['siblings'].flatMap(fileOf),
  };
}

function fileOf(sibling: unknown): HubFile[] {
  if (!isRecord(sibling) || typeof sibling['rfilename'] !== 'string') return [];
  const path = sibling['rfilename'];
  const lfs = isRecord(sibling['lfs']) ? sibling['lfs'] : undefined;
  const size = lfs?.['size'] ?? sibling['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return [];
  const sha256 = lfs?.['sha256'] ?? lfs?.['oid'];
  if (typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)) {
    return [{ path, size, digest: { kind: 'sha256', hex: sha256 } }];
  }
  const blob = lfs ? undefined : sibling['blobId'];
  const isBlob = typeof blob === 'string' && /^[0-9a-f]{40}$/.test(blob);
  return [{ path, size, digest: isBlob ? { kind: 'blob-sha1', hex: blob } : undefined }];
}

function isRepositoryId(id: string): boolean {
  try {
    return repositoryId(id) === id;
  } catch {
    return false;
  }
}

/** 'auto' and 'manual' say how consent is given. */
function isGated(value: unknown): boolean {
  return value === true || typeof value === 'string';
}

function count(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}

function malformed(of: string): Failure {
  return new Failure('unreachable', `The Hub’s answer ${of} is not what it should be.`, {
    action: 'Check the setting loupe.hub.endpoint.',
  });
}
