import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readGgufModel } from '../../models/ggufModel.ts';
import type { ModelConfig, Tokenizer } from '../../models/model.ts';
import { readModelFolder } from '../../models/modelFolder.ts';
import { AbsentTokenizer } from '../../models/tokenizers/absentTokenizer.ts';
import { ggufTokenizer } from '../../models/tokenizers/ggufTokenizer.ts';
import { jsonTokenizer } from '../../models/tokenizers/tokenizerJson.ts';
import type { PlannedWeight } from '../../weights/dequantised.ts';
import { readGguf } from '../../weights/gguf.ts';

/** What a model's files say, whatever their format; the weights are still in them. */
export interface ModelFiles {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly weights: readonly PlannedWeight[];
  /** Those that hold the weights. */
  readonly files: readonly string[];
}

/** Reads a GGUF file, or a folder of transformers' layout, which one of its safetensors files can stand for. */
export async function readModelFiles(path: string): Promise<ModelFiles> {
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) return readFolder(path);
  if (status && /\.safetensors$/i.test(path)) return readFolder(dirname(path));
  const file = readGguf(path);
  const tokenizer = ggufTokenizer(file);
  const name = basename(file.path).replace(/\.gguf$/i, '');
  return { name, ...readGgufModel(file), tokenizer, files: [file.path] };
}

async function readFolder(folder: string): Promise<ModelFiles> {
  const { config, weights, files } = await readModelFolder(folder);
  const tokenizer = await folderTokenizer(folder, config.vocabulary);
  return { name: config.name, config, tokenizer, weights, files };
}

async function folderTokenizer(folder: string, vocabulary: number): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const json = await textOf(path);
  if (json === undefined) return new AbsentTokenizer(path, vocabulary);
  return jsonTokenizer(json, path, vocabulary, await textOf(join(folder, 'tokenizer_config.json')));
}

async function textOf(path: string): Promise<string | undefined> {
  const isThere = (await stat(path).catch(() => undefined))?.isFile();
  return isThere ? readFile(path, 'utf8') : undefined;
}
