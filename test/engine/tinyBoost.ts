import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BoostRequest } from '../../src/contracts/trainer.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama, type TinyGguf } from '../fixtures/tinyGguf.ts';

/** The samples' chemistry, CC BY 3.0. */
const chemistry = fileURLToPath(new URL('../../samples/chemistry.md', import.meta.url));
const speech = fileURLToPath(new URL('../../samples/speech.txt', import.meta.url));

/** The width of the tiny model's activations. */
export const tinyWidth = 64;

/**
 * Lays out a small model of random weights, a base for it and text in a folder, and gives a request that trains a
 * residual SAE there within seconds.
 */
export async function tinyBoost(folder: string): Promise<BoostRequest> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'tiny.gguf');
  await writeFile(path, ggufBytes(withoutMerges(tinyLlama())));
  const basePath = join(folder, 'base');
  await writeRandomSae(basePath, 96, tinyWidth);
  await changeBase(basePath, {});
  const text = join(folder, 'chemistry.md');
  await writeFile(text, await readFile(chemistry));
  const general = join(folder, 'general.txt');
  await writeFile(general, await readFile(speech));
  return {
    model: { path, cacheFolder: join(folder, 'cache'), threads: 2 },
    basePath,
    baseK: 8,
    corpus: {
      roots: [text],
      include: [],
      exclude: [],
      useGitIgnore: false,
      seed: 0,
      maxFileBytes: 2 ** 20,
    },
    generalPaths: [general],
    otherDomains: [],
    folder: join(folder, 'residual'),
    name: 'chemistry',
    width: 64,
    k: 3,
    tokens: 6400,
    seed: 0,
    mixGeneral: 0,
    diskBytes: 2 ** 30,
    command: 'test',
  };
}

/** The model with a token for every byte: merges of the tiny one give tokens that it does not have. */
function withoutMerges(model: TinyGguf): TinyGguf {
  return { ...model, metadata: { ...model.metadata, 'tokenizer.ggml.merges': [] } };
}

/** Rewrites the base with other properties; it reads the first layer of the tiny model in windows of 32 tokens. */
export async function changeBase(basePath: string, changes: Partial<Dictionary>): Promise<void> {
  const base = await readSaeLens(basePath);
  const provenance = { context_size: 32 };
  await writeSaeLens(
    { ...base, hook: 'blocks.0.hook_resid_post', provenance, ...changes },
    basePath,
  );
}
