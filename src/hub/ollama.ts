import { readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isRecord } from '../common/record.ts';
import type { FoundThing } from '../contracts/foundThing.ts';
import { homeOf, type Environment } from './hubSettings.ts';
import { walk } from './walk.ts';

/** Where Ollama keeps models: the user's, and the system's where it runs as a service. */
export function ollamaFolders(environment: Environment): readonly string[] {
  const named = environment['OLLAMA_MODELS'];
  if (named !== undefined && named !== '') return [named];
  return [join(homeOf(environment), '.ollama', 'models'), '/usr/share/ollama/.ollama/models'];
}

const weightsType = 'application/vnd.ollama.image.model';
const maxManifest = 1_000_000;

/** The models whose manifests (HOST/OWNER/MODEL/TAG) name a blob of weights; LoRA adapters are none. */
export async function findInOllama(folder: string, signal: AbortSignal): Promise<FoundThing[]> {
  const found: FoundThing[] = [];
  const manifests = join(folder, 'manifests');
  for await (const { path, files } of walk(manifests, signal)) {
    for (const tag of files) {
      const weights = await weightsOf(join(path, tag));
      if (!weights) continue;
      const blob = join(folder, 'blobs', weights.blob);
      const there = (await stat(blob).catch(() => undefined))?.size;
      const obstacle =
        there === undefined
          ? 'Its weights are not there.'
          : there < weights.size
            ? 'Its download has not ended: `ollama pull` goes on.'
            : undefined;
      const name = modelName(relative(manifests, path).split(sep), tag);
      const bytes = there ?? weights.size;
      const common = { kind: 'model', foundIn: 'ollama', format: 'gguf' } as const;
      found.push({ ...common, name, path: blob, bytes, obstacle });
    }
  }
  return found;
}

/** As Ollama shows it: the registry and `library` are left out. */
function modelName(segments: readonly string[], tag: string): string {
  const [host, owner, ...rest] = segments;
  const isCommon = host === 'registry.ollama.ai';
  const shown = isCommon && owner === 'library' ? rest : isCommon ? [owner, ...rest] : segments;
  return `${shown.join('/')}:${tag}`;
}

async function weightsOf(
  manifest: string,
): Promise<{ readonly blob: string; readonly size: number } | undefined> {
  try {
    if ((await stat(manifest)).size > maxManifest) return undefined;
    const parsed: unknown = JSON.parse(await readFile(manifest, 'utf8'));
    const layers = isRecord(parsed) && Array.isArray(parsed['layers']) ? parsed['layers'] : [];
    for (const layer of layers as readonly unknown[]) {
      if (!isRecord(layer) || layer['mediaType'] !== weightsType) continue;
      const { digest, size } = layer;
      const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(String(digest)) ?? [];
      if (hex === undefined) return undefined;
      return { blob: `sha256-${hex}`, size: typeof size === 'number' ? size : 0 };
    }
  } catch {
    // No manifest.
  }
  return undefined;
}
