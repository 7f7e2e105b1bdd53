import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonTokenizer } from '../../../src/models/tokenizers/tokenizerJson.ts';
import type { Tokenizer } from '../../../src/models/model.ts';
import { readCorpus } from '../../../src/training/corpus/corpus.ts';
import { packTokens } from '../../../src/training/corpus/packTokens.ts';
import { SafetensorsFile, writeSafetensors } from '../../../src/weights/safetensors.ts';
import { writeText } from '../report.ts';
import { bytePairTokenizer, wordCounts } from './bytePairs.ts';

/** Text in windows of T + 1 tokens: T to read, and for each the one that follows. Windows share no token. */
export interface Windows {
  readonly tokens: Uint32Array;
  readonly count: number;
  readonly length: number; // T + 1
}

export interface Texts {
  readonly train: Windows;
  readonly heldOut: Windows;
  /** UTF-16 units per token of the held-out text. */
  readonly unitsPerToken: number;
}

export interface TextRequest {
  readonly folder: string;
  readonly text: readonly string[];
  readonly heldOut: readonly string[];
  readonly vocabulary: number;
  readonly length: number; // T + 1
  readonly trainWindows: number;
  readonly heldOutWindows: number;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Of the text, in UTF-16 units: what the tokenizer is trained on. */
const tokenizerText = 2 ** 23;

export function windowOf({ tokens, length }: Windows, index: number): Uint32Array {
  return tokens.subarray(index * length, (index + 1) * length);
}

/** The tokenizer's file in the folder of the experiment. */
export function tokenizerPath(folder: string): string {
  return join(folder, 'tokenizer.json');
}

/** Tokenizer and windows, made once and kept in the folder. */
export async function openTexts(request: TextRequest): Promise<Texts> {
  const { folder, length, signal, log } = request;
  await mkdir(folder, { recursive: true });
  const path = join(folder, `text.${request.trainWindows}.${request.heldOutWindows}.safetensors`);
  const kept = await keptTexts(path, length);
  if (kept) return kept;
  const tokenizer = await openTokenizer(request);
  log('tokens of the text');
  const packed = (paths: readonly string[], windows: number, mark?: (text: string) => void) =>
    packTokens(readCorpus(paths, signal), tokenizer, {
      windowLength: length,
      limit: windows * length,
      signal,
      mark: ({ document: { text } }) => mark?.(text),
    });
  const train = await packed(request.text, request.trainWindows);
  const heldOut = await packed(request.heldOut, request.heldOutWindows);
  const units = tokenizer.decode(heldOut).length;
  await writeSafetensors(
    path,
    {
      train: { dtype: 'U32', shape: [train.length], data: train },
      heldOut: { dtype: 'U32', shape: [heldOut.length], data: heldOut },
    },
    { units: String(units) },
  );
  const texts = await keptTexts(path, length);
  if (!texts) throw new Error(`${path} is gone`);
  return texts;
}

async function keptTexts(path: string, length: number): Promise<Texts | undefined> {
  const file = await SafetensorsFile.open(path).catch(() => undefined);
  if (!file) return undefined;
  const windows = async (name: string): Promise<Windows> => {
    const { data } = await file.read(name);
    const tokens = Uint32Array.from(data as Uint32Array);
    return { tokens, count: Math.floor(tokens.length / length), length };
  };
  const heldOut = await windows('heldOut');
  const units = Number(file.metadata.get('units'));
  return { train: await windows('train'), heldOut, unitsPerToken: units / heldOut.tokens.length };
}

async function openTokenizer(request: TextRequest): Promise<Tokenizer> {
  const { folder, text, vocabulary, signal, log } = request;
  const path = tokenizerPath(folder);
  const kept = await readFile(path, 'utf8').catch(() => undefined);
  if (kept !== undefined) return jsonTokenizer(kept, path, vocabulary);
  log('tokenizer');
  const texts: string[] = [];
  let units = 0;
  for await (const document of readCorpus(text, signal)) {
    texts.push(document.text);
    units += document.text.length;
    if (units >= tokenizerText) break;
  }
  const json = bytePairTokenizer(wordCounts(texts), vocabulary);
  await writeText(path, json);
  return jsonTokenizer(json, path, vocabulary);
}
