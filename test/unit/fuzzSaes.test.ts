import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import { ZipFile } from '../../src/weights/zipFile.ts';
import { storedZip } from '../fixtures/storedZip.ts';

/*
 * 10,000 mutated files of every reader, each of which ends in a Failure with a code or in a whole dictionary, within a
 * second and without memory beyond the file's. LOUPE_FUZZ sets another number.
 */
const rounds = Number(process.env['LOUPE_FUZZ'] ?? 10_000);
const fixtures = join(import.meta.dirname, '../fixtures');

// Memory for files, where there is such a thing: a disk would take longer than the readers.
const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'loupe-fuzz-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Fuzzed {
  /** Below the fixtures: what is read. */
  readonly path: string;
  /** The files that are mutated, below the path's folder; entries of archives as "file!entry". */
  readonly files: readonly string[];
}

const readers: Readonly<Record<string, Fuzzed>> = {
  'SAELens, topk': {
    path: 'saelens/topk',
    files: ['cfg.json', 'sae_weights.safetensors'],
  },
  'SAELens, jumprelu_skip_transcoder': {
    path: 'foreign/saelens/jumprelu_skip_transcoder',
    files: ['cfg.json', 'sae_weights.safetensors'],
  },
  'SAELens before 6': {
    path: 'foreign/saelens/flat.fineTuned',
    files: ['cfg.json', 'sae_weights.safetensors'],
  },
  'SAELens, batchtopk': {
    path: 'foreign/saelens/batchtopk',
    files: ['cfg.json', 'sae_weights.safetensors'],
  },
  'Gemma Scope, stored': {
    path: 'foreign/gemma-scope-2b-pt-res/layer_5/width_16k/average_l0_71/params.npz',
    files: ['params.npz', 'params.npz!W_enc.npy', 'params.npz!b_enc.npy'],
  },
  'Gemma Scope, deflated': {
    path: 'foreign/gemma-scope-9b-it-res/layer_9/width_131k/average_l0_22/params.npz',
    files: ['params.npz'],
  },
  'Gemma Scope 2': {
    path: 'foreign/gemma-scope-2-1b-pt/transcoder/layer_7_width_16k_l0_small_affine',
    files: ['config.json', 'params.safetensors'],
  },
  sparsify: {
    path: 'foreign/sparsify/transcode.skip/layers.3.mlp',
    files: ['cfg.json', 'sae.safetensors'],
  },
  'dictionary_learning, AutoEncoderTopK': {
    path: 'foreign/dictionary_learning/AutoEncoderTopK',
    files: ['config.json', 'ae.pt', 'ae.pt!data.pkl'],
  },
  'dictionary_learning, MatryoshkaBatchTopKSAE': {
    path: 'foreign/dictionary_learning/MatryoshkaBatchTopKSAE',
    files: ['config.json', 'ae.pt', 'ae.pt!data.pkl'],
  },
  OpenAI: {
    path: 'foreign/gpt2-small/resid_post_mlp_v5_32k/autoencoders/8.pt',
    files: ['8.pt', '8.pt!data.pkl', '8.pt!data.pkl'],
  },
  'Qwen Scope': {
    path: 'foreign/SAE-Res-Qwen3-1.7B-Base-W32K-L0_6/layer12.sae.pt',
    files: ['layer12.sae.pt', 'layer12.sae.pt!data.pkl'],
  },
  'Llama Scope': {
    path: 'foreign/Llama3_1-8B-Base-LXR-8x/Llama3_1-8B-Base-L15R-8x',
    files: ['hyperparams.json', 'checkpoints/final.safetensors'],
  },
  'Llama Scope R1-Distill': {
    path: 'foreign/Llama-Scope-R1-Distill/800M-Slimpajama-0-OpenR1-Math-220k/L15R',
    files: ['config.json', 'sae_weights.safetensors', 'loupe.json'],
  },
  Llamascopium: {
    path: 'foreign/llamascopium/transcoder',
    files: ['config.json', 'sae_weights.safetensors'],
  },
};

const extremes = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const words = [
  '0',
  '-1',
  '1e308',
  '1e-308',
  '99999999999',
  'null',
  '[]',
  '{}',
  '"x"',
  'true',
  '.5',
];

/** One to three changes: bytes, sizes, cuts, repetitions, and in text numbers and whole values. */
function mutate(original: Buffer, random: Random, isText: boolean): Buffer {
  let bytes = Buffer.from(original);
  for (let n = 1 + random.below(3); n > 0; n--) {
    // Most of what can go wrong is described at the ends.
    const reach = random.below(3) === 0 ? bytes.length : Math.min(bytes.length, 700);
    const fromEnd = random.below(4) === 0;
    const at = fromEnd ? bytes.length - 1 - random.below(reach) : random.below(reach);
    const length = 1 + random.below(40);
    switch (random.below(isText ? 8 : 6)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
        break;
      case 2:
        if (at + 4 <= bytes.length)
          bytes.writeUInt32LE(extremes[random.below(extremes.length)] ?? 0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 5:
        if (random.below(4) === 0) bytes = Buffer.from(bytes.subarray(0, at));
        break;
      default:
        bytes = Buffer.from(withOtherValue(bytes.toString('latin1'), random), 'latin1');
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** JSON with one of its numbers, words or texts replaced. */
function withOtherValue(text: string, random: Random): string {
  const values = [...text.matchAll(/(?<=[:[,] ?)(?:"[^"]*"|-?[\d.e+-]+|true|false|null)/g)];
  const value = values[random.below(Math.max(1, values.length))];
  if (!value) return text;
  const word = words[random.below(words.length)] ?? '0';
  return text.slice(0, value.index) + word + text.slice(value.index + value[0].length);
}

function requireWhole(d: Dictionary): void {
  const { width: F, inputWidth: D } = d;
  const O = d.output?.width ?? D;
  assert.deepEqual([d.encoder.length, d.encoderBias.length, d.decoder.length], [F * D, F, F * O]);
  assert.ok(d.decoderBias === undefined || d.decoderBias.length === O);
  assert.ok(d.skip === undefined || d.skip.length === O * D);
  const { rule } = d;
  for (const values of [d.encoder, d.encoderBias, d.decoder, d.decoderBias ?? []])
    assert.ok(values.every(value => Number.isFinite(value)));
  if (rule.kind === 'jumprelu') assert.equal(rule.threshold.length, F);
  if (rule.kind === 'topk') assert.ok(rule.maxK >= 1 && rule.maxK <= F);
  if (rule.kind === 'groupmax') assert.equal(F % rule.groups, 0);
}

/** Writes mutants of one file, or of one entry of an archive, whose checksum is made right again. */
async function writer(folder: string, name: string): Promise<(random: Random) => void> {
  const [file = '', entry] = name.split('!');
  const path = join(folder, file);
  const original = await readFile(path);
  if (entry === undefined) {
    return random => writeFileSync(path, mutate(original, random, file.endsWith('.json')));
  }
  const zip = await ZipFile.open(path);
  const entries = new Map<string, Buffer>();
  for (const key of zip.entries.keys()) entries.set(key, Buffer.from(await zip.read(key)));
  const key = [...entries.keys()].find(known => known.endsWith(entry)) ?? '';
  const bytes = entries.get(key) ?? Buffer.alloc(0);
  assert.ok(bytes.length > 0);
  return random => {
    const mutant = mutate(bytes, random, false);
    writeFileSync(path, storedZip(new Map([...entries, [key, mutant]])));
  };
}

/** 'whole', or the code of the failure, and milliseconds. */
async function timed(path: string): Promise<[code: string, milliseconds: number]> {
  const started = performance.now();
  let code = 'whole';
  try {
    requireWhole(await readDictionary(path));
  } catch (error) {
    if (!(error instanceof Failure) || error.code === 'internal') throw error;
    ({ code } = error);
  }
  return [code, performance.now() - started];
}

// Two at once: half of a reader's time is waiting for the file system.
describe('mutated files of SAEs', { concurrency: 2 }, () => {
  let number = 0;
  for (const [name, { path, files }] of Object.entries(readers)) {
    const seed = 1000 + ++number;
    it(`end in a Failure or a whole dictionary: ${name}`, async () => {
      const isFile = /\.(npz|pt)$/.test(path);
      const source = isFile ? dirname(path) : path;
      const folder = join(root, String(number), source);
      await cp(join(fixtures, source), folder, { recursive: true });
      const read = isFile ? join(root, String(number), path) : folder;
      requireWhole(await readDictionary(read));
      const writers = [];
      for (const file of files) {
        writers.push({
          file,
          original: await readFile(join(folder, file.split('!')[0] ?? '')),
          write: await writer(folder, file),
        });
      }
      const random = new Random(seed);
      const before = process.memoryUsage();
      const codes: Record<string, number> = {};
      let [slowest, most] = [0, 0];
      for (let round = 0; round < rounds; round++) {
        const { file, original, write } = writers[random.below(writers.length)] ?? assert.fail();
        write(random);
        const [code, wall] = await timed(read);
        // A machine that does other things stops every process now and then.
        const took = wall > 300 ? Math.min(wall, (await timed(read))[1]) : wall;
        slowest = Math.max(slowest, took);
        codes[code] = (codes[code] ?? 0) + 1;
        if (round % 64 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
        writeFileSync(join(folder, file.split('!')[0] ?? ''), original);
      }
      console.log(`${name}: slowest ${slowest.toFixed(0)} ms,`, JSON.stringify(codes));
      assert.ok(slowest < 1000, `one took ${slowest} ms`);
      const grown = (most - before.arrayBuffers) / 2 ** 20;
      assert.ok(grown < 256, `${grown} MB of buffers`);
      assert.ok((codes['bad-file'] ?? 0) > rounds / 5, JSON.stringify(codes));
    });
  }
});
