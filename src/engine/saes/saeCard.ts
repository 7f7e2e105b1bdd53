import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { SaeCard, SizedFile, TensorTable } from '../../contracts/lookAt.ts';
import { readFeatureTable } from '../../saes/featureTable.ts';
import { readDictionary } from '../../saes/readDictionary.ts';
import { SafetensorsFile } from '../../weights/safetensors.ts';
import { distribution, rowNorms } from './distribution.ts';

/** Weights above this are not read for a card, only their header. */
const maxWeights = 4_000_000_000;

/** What lies beside the weights in an SAE's folder. */
const besides = /^(sparsity|features|activations_store_state)\.safetensors$/i;

/** The card of the SAE at `path` (its folder or a file in it), or the table of a safetensors file that is no SAE. */
export async function saeCard(path: string, signal: AbortSignal): Promise<SaeCard | TensorTable> {
  const status = await stat(path).catch(() => undefined);
  if (!status) throw new Failure('not-found', `There is no ${path}.`);
  const folder = status.isDirectory() ? path : dirname(path);
  const isTable = status.isFile() && /\.safetensors$/i.test(path);
  if (status.size > maxWeights) {
    if (isTable) return await table(path, 'It is too large to be read for a card.');
    throw new Failure('too-large', `${path} is too large to be read for a card.`);
  }
  if (isTable && besides.test(basename(path))) return await table(path, null);
  try {
    return await cardOf(path, folder, signal);
  } catch (error) {
    throwIfCancelled(signal);
    if (!isTable) throw error;
    const isSae = await stat(join(folder, 'cfg.json')).catch(() => undefined);
    return await table(path, isSae ? Failure.from(error).message : null);
  }
}

async function cardOf(path: string, folder: string, signal: AbortSignal): Promise<SaeCard> {
  const dictionary = await readDictionary(path);
  throwIfCancelled(signal);
  const { rule, width, inputWidth, provenance } = dictionary;
  return {
    kind: 'sae',
    name: dictionary.name,
    path: (await stat(path)).isFile() && /\.safetensors$/i.test(path) ? folder : path,
    hook: dictionary.hook,
    features: width,
    inputWidth,
    rule: rule.kind,
    maxK: rule.kind === 'topk' ? rule.maxK : null,
    model: dictionary.model?.name ?? null,
    base: dictionary.base?.name ?? null,
    subtractsDecoderBias: dictionary.subtractDecoderBias,
    decoderNorms: distribution(rowNorms(dictionary.decoder, width)),
    encoderNorms: distribution(rowNorms(dictionary.encoder, width)),
    thresholds: rule.kind === 'jumprelu' ? distribution(rule.threshold) : null,
    density: await densityOf(folder, width),
    files: await sizedFiles(folder),
    notes: notesOf(provenance),
  };
}

/** What SAELens measured (log10 already), or what `loupe describe` did. */
async function densityOf(folder: string, features: number): Promise<SaeCard['density']> {
  try {
    const file = await SafetensorsFile.open(join(folder, 'sparsity.safetensors'));
    const logs = await file.readFloat32('sparsity'); // (F)
    // SAELens adds 1e-10 to a frequency of 0.
    const known = logs.map(log => (log < -9.5 ? NaN : log));
    if (logs.length === features) {
      return { ...distribution(known), source: 'sparsity.safetensors' };
    }
  } catch {
    // None was measured.
  }
  try {
    const cards = await readFeatureTable(folder, features);
    if (!cards) return null;
    const logs = cards.density.map(density => (density > 0 ? Math.log10(density) : NaN));
    return { ...distribution(logs), source: 'features.safetensors' };
  } catch {
    return null;
  }
}

async function table(path: string, obstacle: string | null): Promise<TensorTable> {
  const file = await SafetensorsFile.open(path);
  const { size } = await stat(path);
  return {
    kind: 'tensors',
    name: basename(path),
    obstacle,
    tensors: [...file.tensors].map(([name, { dtype, shape, start, end }]) => ({
      name,
      dtype,
      shape,
      bytes: end - start,
    })),
    files: [{ name: basename(path), bytes: size }],
    notes: notesOf(Object.fromEntries(file.metadata)),
  };
}

async function sizedFiles(folder: string): Promise<readonly SizedFile[]> {
  const files: SizedFile[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isFile() || !/\.(json|safetensors|npz|pt)$/i.test(entry.name)) continue;
    files.push({ name: entry.name, bytes: (await stat(join(folder, entry.name))).size });
  }
  return files.sort((a, b) => b.bytes - a.bytes).slice(0, 50);
}

const maxNotes = 60;

function notesOf(provenance: Readonly<Record<string, unknown>>): SaeCard['notes'] {
  return Object.entries(provenance)
    .flatMap(([name, value]): [string, string][] => {
      const shown = typeof value === 'string' ? value : JSON.stringify(value);
      const isKnown = value !== null && value !== undefined && value !== '';
      return isKnown ? [[name.slice(0, 100), shown.slice(0, 300)]] : [];
    })
    .slice(0, maxNotes);
}
