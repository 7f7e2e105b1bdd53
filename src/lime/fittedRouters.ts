import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';
import type { RouterFit } from '../contracts/layerMap.ts';
import type { ModelConfig } from '../models/model.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../weights/safetensors.ts';
import { badFile } from '../weights/safetensorsHeader.ts';

/*
 * Routers fitted to a frozen model: a safetensors file with `blocks.N.router` (KV, (N + 1) KV), the earliest layer's
 * heads first, for every layer but the first, and in its metadata what they belong to (docs/formats.md).
 */

/** Routers by layer, (KV, (layer + 1) KV) each; the first layer has none. */
export type Routers = ReadonlyMap<number, Float32Array>;

/** What the routers were fitted to; `hash` is that of the model's weights. */
export interface RouterOwner {
  readonly name: string;
  readonly hash: string;
}

export interface FittedRouters {
  /** The file that they lie in. */
  readonly path: string;
  readonly model: RouterOwner;
  readonly fit: RouterFit;
  readonly file: SafetensorsFile;
}

const fileName = 'routers.safetensors';
const formatVersion = 1;

export function routerName(layer: number): string {
  return `blocks.${layer}.router`;
}

/** Number of key and value heads, and of rows, of a router: (KV, (layer + 1) KV). */
export function routerShape(layer: number, keyValueHeads: number): [number, number] {
  return [keyValueHeads, (layer + 1) * keyValueHeads];
}

/** Writes them to the folder, made where it is not there; gives the file's path. */
export async function writeFittedRouters(
  folder: string,
  routers: Routers,
  about: { readonly model: RouterOwner; readonly fit: RouterFit; readonly keyValueHeads: number },
): Promise<string> {
  const tensors = Object.fromEntries(
    [...routers].map(([layer, data]): [string, Tensor] => [
      routerName(layer),
      { dtype: 'F32', shape: routerShape(layer, about.keyValueHeads), data },
    ]),
  );
  await mkdir(folder, { recursive: true });
  const path = join(folder, fileName);
  const { model, fit } = about;
  const loupe = JSON.stringify({ format: 'lime-routers', version: formatVersion, model, fit });
  await writeSafetensors(path, tensors, { loupe });
  return path;
}

/** Reads what is said of the routers at `path`, the file or its folder. */
export async function readFittedRouters(path: string): Promise<FittedRouters> {
  const status = await stat(path).catch(() => undefined);
  if (!status) throw new Failure('not-found', `There are no routers at ${path}.`);
  const file = await SafetensorsFile.open(status.isDirectory() ? join(path, fileName) : path);
  const { model, fit } = parseAbout(file);
  return { path: file.path, model, fit, file };
}

/** Refuses routers that were fitted to another model, or are not of its shape. */
export function requireFitting(
  { path, model, file }: FittedRouters,
  config: ModelConfig,
  hash: string,
): void {
  if (model.hash !== hash) {
    throw new Failure(
      'mismatch',
      `${path}: these routers were fitted to ${model.name} (sha256 ${model.hash.slice(0, 12)}…), not to ${config.name} (${hash.slice(0, 12)}…).`,
      { action: 'Choose the model that they were fitted to, or fit routers to this one.' },
    );
  }
  const expected = new Set<string>();
  for (let layer = 1; layer < config.layers; layer++) {
    const name = routerName(layer);
    expected.add(name);
    const shape = routerShape(layer, config.keyValueHeads).join(' x ');
    const entry = file.tensors.get(name);
    const found = entry ? `${entry.dtype} of ${entry.shape.join(' x ')}` : 'none';
    if (found !== `F32 of ${shape}`) {
      throw badFile(path, `tensor "${name}": expected F32 of ${shape}, found ${found}`);
    }
  }
  const strange = [...file.tensors.keys()].find(name => !expected.has(name));
  if (strange !== undefined) throw badFile(path, `tensor "${strange}" is no layer's router`);
}

function parseAbout(file: SafetensorsFile): { model: RouterOwner; fit: RouterFit } {
  const bad = badFile(file.path, 'it does not say that it holds LIMe routers fitted by Loupe');
  let about: unknown;
  try {
    about = JSON.parse(file.metadata.get('loupe') ?? '');
  } catch {
    throw bad;
  }
  if (!isRecord(about) || about['format'] !== 'lime-routers') throw bad;
  const { version, model, fit } = about;
  if (version !== formatVersion) {
    throw new Failure(
      'unsupported',
      `${file.path}: expected version ${formatVersion} of the format, found ${JSON.stringify(version)}.`,
    );
  }
  if (!isOwner(model) || !isFit(fit)) throw bad;
  return { model, fit };
}

function isOwner(value: unknown): value is RouterOwner {
  return isRecord(value) && typeof value['name'] === 'string' && typeof value['hash'] === 'string';
}

const fitNumbers = ['tokens', 'steps', 'seed', 'heldOutTokens', 'ceBefore', 'ceAfter'] as const;

function isFit(value: unknown): value is RouterFit {
  return (
    isRecord(value) &&
    typeof value['name'] === 'string' &&
    fitNumbers.every(name => typeof value[name] === 'number')
  );
}
