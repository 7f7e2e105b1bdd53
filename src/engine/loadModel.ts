import { basename } from 'node:path';
import type { LoadProgress, ModelInfo, ModelRequest } from '../contracts/engine.ts';
import { readGgufLlama } from '../models/ggufLlama.ts';
import type { Weights } from '../models/llama.ts';
import type { ModelConfig, Tokenizer } from '../models/model.ts';
import { ggufTokenizer } from '../models/tokenizer.ts';
import { dequantised } from '../weights/dequantised.ts';
import { fileHash } from '../weights/fileHash.ts';
import { readGguf } from '../weights/gguf.ts';
import { externalLocation } from './session.ts';

/** Everything that running a model needs, but the sessions. */
export interface LoadedModel {
  readonly info: ModelInfo;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly weights: Weights;
  readonly threads: number;
}

/** Reads a model's file, and decodes its weights to the cache folder unless they are there. */
export async function loadModel(
  request: ModelRequest,
  options: { signal?: AbortSignal; report?(progress: LoadProgress): void },
): Promise<LoadedModel> {
  const { signal } = options;
  const { cacheFolder } = request;
  const step = (name: string, from: number, to: number) => (fraction: number) =>
    options.report?.({ step: name, fraction: from + fraction * (to - from) });
  const file = readGguf(request.path);
  const { config, weights } = readGgufLlama(file);
  const tokenizer = ggufTokenizer(file);
  const checking = step('Checking the model file', 0, 0.1);
  const hash = await fileHash(file.path, { cacheFolder, signal, report: checking });
  const decoding = step('Decoding the weights', 0.1, 1);
  const mapped = await dequantised(file, weights, { cacheFolder, hash, signal, report: decoding });
  const encodings = new Set(weights.map(weight => weight.tensor.type.name));
  return {
    config,
    tokenizer,
    threads: request.threads,
    weights: new Map(
      [...mapped].map(([name, at]) => [name, { ...at, location: externalLocation(at.path) }]),
    ),
    info: {
      name: basename(file.path).replace(/\.gguf$/i, ''),
      path: file.path,
      hash,
      architecture: config.architecture,
      layers: config.layers,
      width: config.width,
      vocabulary: config.vocabulary,
      contextLength: config.contextLength,
      device: 'CPU',
      precision: `float32, decoded from ${[...encodings].join(', ')}`,
    },
  };
}
