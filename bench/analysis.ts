// The analysis of a 1,000-token file against transformers' forward pass of the same model and llama.cpp's prefill of
// the same file, and re-analysis after an edit at its end against the first: interleaved rounds in one run.
// `LOUPE_PYTHON` names a Python with torch, transformers and gguf; `LOUPE_LLAMA` a folder where node-llama-cpp is
// installed. What is not named is left out.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { embeddedModel, embeddedSae } from '../src/common/embedded.ts';
import { Random } from '../src/common/random.ts';
import type { AnalyzeRequest } from '../src/contracts/engine.ts';
import { Analysis } from '../src/engine/analysis/analysis.ts';
import { BoostedSae } from '../src/engine/saes/boostedSae.ts';
import { ModelRunner } from '../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../src/saes/dictionary.ts';
import { readDictionary } from '../src/saes/readDictionary.ts';
import { startPeer } from './parts/peer.ts';

const shape = { tokens: 1000, threads: 2, features: 8192, k: 64 };
const warmUp = 1;

/** Something whose milliseconds are measured. */
interface Contestant {
  readonly name: string;
  run(round: number): Promise<number>;
  dispose(): void;
}

export interface AnalysisResult {
  readonly shape: typeof shape;
  readonly rounds: number;
  readonly peers: readonly string[];
  /** Tokens per second over the median of the rounds. */
  readonly tokensPerSecond: Readonly<Record<string, number>>;
  /** Medians of the ratios within each round. */
  readonly ratios: Readonly<Record<string, { readonly median: number; readonly target: string }>>;
}

async function benchAnalysis(rounds: number): Promise<AnalysisResult> {
  const path = inRepository(embeddedModel);
  const cacheFolder = inRepository('.cache/weights');
  const model = await ModelRunner.open({ path, cacheFolder, threads: shape.threads });
  const sae = await SaeRunner.open(await dictionary(model.config.width), shape);
  const text = await sampleText(model);
  const ids = [...model.tokenizer.encode(text).ids];
  const analysis = new Analysis(model, new BoostedSae(sae));
  const peers = await startPeers(path, ids);
  const contestants: Contestant[] = [
    { name: 'analysis', run: round => first(analysis, text, round), dispose: () => undefined },
    { name: 're-analysis', run: round => again(analysis, text, round), dispose: () => undefined },
    ...peers,
  ];
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  try {
    for (let round = -warmUp; round < rounds; round++) {
      for (const contestant of contestants) {
        const milliseconds = await contestant.run(round);
        if (round >= 0) times.get(contestant.name)?.push(milliseconds);
      }
      analysis.forget(String(round));
    }
  } finally {
    for (const contestant of contestants) contestant.dispose();
    await sae.dispose();
    await model.dispose();
  }
  return summary(times, rounds, peers);
}

function summary(
  times: ReadonlyMap<string, readonly number[]>,
  rounds: number,
  peers: readonly Contestant[],
): AnalysisResult {
  const ratio = (over: string, under: string, target: string) => {
    const [a = [], b = []] = [times.get(over), times.get(under)];
    return { median: median(a.map((value, i) => value / (b[i] ?? NaN))), target };
  };
  const isRun = (prefix: string) => peers.find(({ name }) => name.startsWith(prefix))?.name;
  const [pytorch, llama] = [isRun('transformers'), isRun('llama.cpp')];
  const whole = [...times].filter(([name]) => name !== 're-analysis');
  return {
    shape,
    rounds,
    peers: peers.map(({ name }) => name),
    tokensPerSecond: Object.fromEntries(
      whole.map(([name, all]) => [name, (shape.tokens * 1000) / median(all)]),
    ),
    ratios: {
      're-analysis / analysis': ratio('re-analysis', 'analysis', 'at most 0.15'),
      ...(pytorch && { 'transformers / analysis': ratio(pytorch, 'analysis', 'at least 1.2') }),
      ...(llama && { 'llama.cpp / analysis': ratio(llama, 'analysis', '') }),
    },
  };
}

/** The first analysis of the file, under an id of its own. */
async function first(analysis: Analysis, text: string, round: number): Promise<number> {
  const { milliseconds, computed } = await analysis.analyze(requestFor(text, round), context());
  if (computed !== shape.tokens) throw new Error(`${computed} tokens were run`);
  return milliseconds;
}

/** Its analysis after a word was typed at the end. */
async function again(analysis: Analysis, text: string, round: number): Promise<number> {
  const { milliseconds } = await analysis.analyze(requestFor(`${text} lens`, round), context());
  return milliseconds;
}

function requestFor(text: string, round: number): AnalyzeRequest {
  const visible = { start: text.length - 200, end: text.length };
  return { documentId: String(round), text, visible, predictions: 5 };
}

function context() {
  return { signal: new AbortController().signal, report: () => undefined };
}

/** The embedded SAE, or random numbers of its shape where it is not there: they take the same time. */
async function dictionary(width: number): Promise<Dictionary> {
  try {
    return await readDictionary(inRepository(embeddedSae));
  } catch {
    const random = new Random(1);
    const rows = (): Float32Array =>
      Float32Array.from({ length: shape.features * width }, () => random.uniform() - 0.5);
    return {
      name: 'random',
      hook: 'blocks.15.hook_resid_post',
      width: shape.features,
      inputWidth: width,
      encoder: rows(),
      encoderBias: new Float32Array(shape.features),
      decoder: rows(),
      decoderBias: new Float32Array(width),
      subtractDecoderBias: true,
      rule: { kind: 'topk', maxK: shape.k },
      tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
      model: undefined,
      provenance: {},
    };
  }
}

/** The beginning of the samples, of exactly as many tokens as the shape says. */
async function sampleText(model: ModelRunner): Promise<string> {
  const names = ['speech.txt', 'chemistry.md', 'queue.py'];
  const all = await Promise.all(
    names.map(name => readFile(inRepository(`samples/${name}`), 'utf8')),
  );
  const text = all.join('\n').repeat(3);
  const { ends } = model.tokenizer.encode(text);
  const cut = text.slice(0, ends[shape.tokens - 1]);
  if (model.tokenizer.encode(cut).ids.length !== shape.tokens) throw new Error('Cut elsewhere.');
  return cut;
}

async function startPeers(model: string, ids: readonly number[]): Promise<Contestant[]> {
  const { LOUPE_PYTHON: python, LOUPE_LLAMA: llama } = process.env;
  const [threads, script] = [String(shape.threads), peerScript];
  const peers: Contestant[] = [];
  if (python) {
    peers.push(
      await startPassPeer(
        'transformers, torch',
        python,
        [script('forward.py'), model, threads],
        ids,
      ),
    );
  }
  if (llama) {
    const args = [script('prefill.mjs'), llama, model, threads];
    peers.push(await startPassPeer('llama.cpp', process.execPath, args, ids));
  }
  return peers;
}

/** A program that says its version, takes the token ids and prints the milliseconds of one pass per line it is sent. */
async function startPassPeer(
  name: string,
  program: string,
  args: readonly string[],
  ids: readonly number[],
): Promise<Contestant> {
  const peer = await startPeer(program, args);
  peer.tell(JSON.stringify(ids));
  return peer.contestant(`${name} ${peer.version}`, 'again');
}

function peerScript(name: string): string {
  return inRepository(`bench/peers/${name}`);
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await benchAnalysis(Number(process.argv[2] ?? 5)), null, 2));
}
