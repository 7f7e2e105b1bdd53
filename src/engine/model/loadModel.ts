import { realpath } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { Failure } from '../../common/failure.ts';
import { deviceNames } from '../../contracts/devices.ts';
import type { Device, LoadProgress, ModelInfo, ModelRequest } from '../../contracts/engine.ts';
import { readFittedRouters, requireFitting } from '../../lime/fittedRouters.ts';
import type { Weights } from '../../models/decoderGraph.ts';
import type { ModelConfig, Tokenizer } from '../../models/model.ts';
import { lacks } from '../../onnx/devices.ts';
import type { PlannedWeight } from '../../weights/dequantised.ts';
import type { MappedWeight } from '../../weights/dequantised.ts';
import { fileHash, sha256 } from '../../weights/fileHash.ts';
import { mappedWeights } from '../../weights/mappedWeights.ts';
import { DeviceInUse } from '../devices/deviceInUse.ts';
import { readModelFiles } from './modelFiles.ts';
import { externalLocation, isMappable } from '../sessions/externalData.ts';
import type { SessionOptions } from '../sessions/session.ts';

/** Everything that running a model needs, but the sessions. */
export interface LoadedModel {
  readonly info: ModelInfo;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly weights: Weights;
  readonly threads: number;
  readonly on: DeviceInUse;
  /**
   * What is told of its precision, where runs of it on its device compute products with weights in float16; those on the CPU,
   * and what differentiates it, do not. Absent: `info.precision` holds there too.
   */
  readonly float16?: string | undefined;
  /** Whether the device's failures are thrown: what is tried on it, to be told of, does not leave it for good. */
  readonly isTrial?: boolean;
}

/** Beyond this part of the machine's memory weights stay mapped, rather than copied for the kernels. */
const copiedPart = 1 / 4;

/** How sessions of the model are to be opened, on its device or another. */
export function sessionOptions(
  { weights, threads, on, isTrial = false }: LoadedModel,
  where: Pick<SessionOptions, 'device' | 'deviceFailed'> = isTrial
    ? { device: on.device }
    : on.sessionOptions,
): SessionOptions {
  const mapped = [...weights.values()];
  const bytes = mapped.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return {
    threads,
    ...where,
    prepack: bytes <= totalmem() * copiedPart,
    keepConstants:
      lacks[where.device ?? 'cpu'].sixteenBits !== true &&
      mapped.some(({ type }) => type !== undefined && type !== 'float32'),
  };
}

/** Whether runs of the model there compute products with weights in float16. */
export function isFloat16({ float16 }: LoadedModel, on: Device): boolean {
  return float16 !== undefined && on !== 'cpu';
}

export interface LoadOptions {
  readonly signal?: AbortSignal;
  report?(progress: LoadProgress): void;
  /** Hears, in one sentence, why a device is not used, or no longer. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Reads a model's file or folder, and decodes its weights to the cache folder unless they are there. */
export async function loadModel(request: ModelRequest, options: LoadOptions): Promise<LoadedModel> {
  const ended = new AbortController();
  try {
    return await load(request, options, ended.signal);
  } finally {
    // No device is tried for a load that has failed.
    ended.abort();
  }
}

async function load(
  request: ModelRequest,
  options: LoadOptions,
  ended: AbortSignal,
): Promise<LoadedModel> {
  const { signal } = options;
  const { cacheFolder } = request;
  const step = (name: string, from: number, to: number) => (fraction: number) =>
    options.report?.({ step: name, fraction: from + fraction * (to - from) });
  const trial = new ReportedTrial(options);
  // Devices are tried in processes of their own while the files are read. What is read for the first time takes a processor
  // from the CPU's runs there, in the device's favour; the fastest of a few runs suffers least, and trying devices before would
  // add a process's start to every load.
  const choosing = DeviceInUse.choose(request.device ?? 'cpu', {
    signal: signal ? AbortSignal.any([signal, ended]) : ended,
    ...{ warn: options.warn, threads: request.threads },
    trying: device => trial.begin(device),
    instead: request.insteadOfDevice,
  }).finally(() => trial.end());
  choosing.catch(() => undefined);
  const { name, config, tokenizer, weights, files } = await readModelFiles(request.path);
  const checking = step('Checking the model file', 0, 0.1);
  const hash = await filesHash(files, { cacheFolder, signal, report: checking });
  const decoding = step('Decoding the weights', 0.1, 1);
  const mapped = await mappedWeights(weights, {
    ...{ cacheFolder, hash, signal, report: decoding },
    canMap: isMappable,
  });
  trial.isAllThatIsLeft();
  const on = await choosing;
  const routers = request.routers === undefined ? [] : await fitted(request.routers, config, hash);
  return {
    config: routers.length > 0 ? { ...config, architecture: 'lime' } : config,
    tokenizer,
    threads: request.threads,
    on,
    weights: new Map(
      [...mapped, ...routers].map(([name, at]) => [
        name,
        { ...at, location: externalLocation(at.path) },
      ]),
    ),
    info: {
      name,
      path: request.path,
      hash,
      architecture: config.architecture,
      layers: config.layers,
      width: config.width,
      vocabulary: config.vocabulary,
      ...(tokenizer.fingerprint !== undefined && { tokenizer: tokenizer.fingerprint }),
      contextLength: config.contextLength,
      ...on.told,
      precision: precisionOf(lacks[on.device].sixteenBits ? new Map() : mapped, weights),
    },
  };
}

/** Which device is being tried: a step of the load, once its files are read. */
class ReportedTrial {
  private device: Device | undefined;
  private isLast = false;
  private readonly options: Pick<LoadOptions, 'report'>;

  constructor(options: Pick<LoadOptions, 'report'>) {
    this.options = options;
  }

  begin(device: Device): void {
    this.device = device;
    this.report();
  }

  end(): void {
    this.device = undefined;
  }

  isAllThatIsLeft(): void {
    this.isLast = true;
    this.report();
  }

  private report(): void {
    if (!this.isLast || this.device === undefined) return;
    this.options.report?.({ step: `Trying ${deviceNames[this.device]}`, fraction: 1 });
  }
}

/** What is computed in, and what the weights are held as. */
function precisionOf(
  mapped: ReadonlyMap<string, MappedWeight>,
  weights: readonly PlannedWeight[],
): string {
  const isHalf = ({ name }: PlannedWeight) => mapped.get(name)?.type?.endsWith('16') === true;
  const held = new Set(weights.filter(isHalf).map(({ tensor }) => tensor.type.name));
  if (held.size > 0) return `float32, weights held as ${[...held].join(', ')}`;
  const encodings = new Set(weights.map(({ tensor }) => tensor.type.name));
  const [only, ...others] = encodings;
  if (only === 'F32' && others.length === 0) return 'float32';
  return `float32, decoded from ${[...encodings].join(', ')}`;
}

/** Where the routers lie that were fitted to this model; a LIMe model has its own, and takes no others. */
async function fitted(
  path: string,
  config: ModelConfig,
  hash: string,
): Promise<[string, MappedWeight][]> {
  const routers = await readFittedRouters(path);
  if (config.architecture === 'lime') {
    throw new Failure('mismatch', `${config.name} has routers of its own: it takes no others.`, {
      action: 'Choose an ordinary Llama model, or no routers.',
    });
  }
  requireFitting(routers, config, hash);
  const real = await realpath(routers.path);
  return [...routers.file.tensors].map(([name, { start, end, shape }]) => [
    name,
    { path: real, offset: start, byteLength: end - start, shape },
  ]);
}

/** The sha256 of one file; of several, that of theirs in the order of the files' names. */
async function filesHash(
  files: readonly string[],
  options: Omit<Parameters<typeof fileHash>[1], 'report'> & { report(fraction: number): void },
): Promise<string> {
  const hashes: string[] = [];
  for (const [i, path] of files.entries()) {
    const report = (fraction: number) => options.report((i + fraction) / files.length);
    hashes.push(await fileHash(path, { ...options, report }));
  }
  const [only = ''] = hashes;
  return hashes.length === 1 ? only : sha256(hashes.join('\n'));
}
