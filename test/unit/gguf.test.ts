import { gguf } from '@huggingface/gguf';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { embeddedModel } from '../../src/common/embedded.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { readGgufModel } from '../../src/models/ggufModel.ts';
import { ggufTokenizer } from '../../src/models/tokenizers/ggufTokenizer.ts';
import { readGguf } from '../../src/weights/gguf.ts';
import { ggufBytes, tinyLlama, type TinyGguf, type TinyTensor } from '../fixtures/tinyGguf.ts';

const folder = mkdtempSync(join(tmpdir(), 'loupe-gguf-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'tiny.gguf');

/** Everything of a model that is read before its weights are decoded. */
function readAll(bytes: Uint8Array): void {
  writeFileSync(path, bytes);
  const file = readGguf(path);
  readGgufModel(file);
  ggufTokenizer(file);
}

function refusal(bytes: Uint8Array): Failure {
  try {
    readAll(bytes);
  } catch (error) {
    if (Failure.is(error)) return error;
    throw error;
  }
  assert.fail('The file was accepted.');
}

describe('The header of the embedded model', () => {
  const embedded = fileURLToPath(new URL(`../../${embeddedModel}`, import.meta.url));

  it('is read as @huggingface/gguf reads it', async () => {
    const ours = readGguf(embedded);
    const theirs = await gguf(embedded, { allowLocalFile: true });
    const { version, tensor_count: count, kv_count: pairs, ...metadata } = theirs.metadata;
    assert.equal(ours.version, version);
    assert.equal(ours.tensors.size, Number(count));
    assert.equal(ours.metadata.size, Number(pairs));
    const plain = (value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
    for (const [key, value] of Object.entries(metadata))
      assert.deepEqual(ours.metadata.get(key), plain(value), key);
    for (const info of theirs.tensorInfos) {
      const tensor = ours.tensors.get(info.name);
      assert.deepEqual(tensor?.shape, info.shape.map(Number).reverse(), info.name);
      assert.equal(tensor.offset, Number(theirs.tensorDataOffset + info.offset), info.name);
    }
  });
});

describe('A GGUF file that is not what it says', () => {
  const tiny = tinyLlama();
  const good = ggufBytes(tiny);
  const at = (offset: number, ...bytes: number[]) => {
    const altered = good.slice();
    altered.set(bytes, offset);
    return altered;
  };
  const metadata = (changes: TinyGguf['metadata']) =>
    ggufBytes({ ...tiny, metadata: { ...tiny.metadata, ...changes } });
  const tensor = (name: string, changes: Partial<TinyTensor>) =>
    ggufBytes({
      ...tiny,
      tensors: tiny.tensors.map(one => (one.name === name ? { ...one, ...changes } : one)),
    });
  const without = (name: string) =>
    ggufBytes({ ...tiny, tensors: tiny.tensors.filter(one => one.name !== name) });
  const extra: TinyTensor = {
    name: 'blk.0.attn_q.scale',
    dimensions: [64],
    type: 0,
    bytes: new Uint8Array(256),
  };
  const huge = [255, 255, 255, 255, 255, 255, 255, 255];

  it('is accepted when nothing is wrong with it', () => {
    readAll(good);
  });

  const cases: readonly [what: string, bytes: Uint8Array, code: FailureCode, names: string][] = [
    ['empty', new Uint8Array(0), 'empty', 'empty'],
    ['another magic number', at(0, 0x50), 'bad-file', 'magic'],
    ['another version', at(4, 9), 'bad-file', 'version'],
    ['a version too old', at(4, 1), 'unsupported', 'version 1'],
    ['a big-endian file', at(4, 0, 0, 0, 3), 'unsupported', 'big-endian'],
    ['2^64 - 1 tensors', at(8, ...huge), 'bad-file', 'number of tensors'],
    ['2^64 - 1 metadata pairs', at(16, ...huge), 'bad-file', 'metadata pairs'],
    ['a key of 2^64 - 1 bytes', at(24, ...huge), 'bad-file', 'key of metadata pair 0'],
    ['only the magic number', good.slice(0, 4), 'bad-file', 'version'],
    ['truncated in the metadata', good.slice(0, 300), 'bad-file', 'metadata'],
    ['truncated in the weights', good.slice(0, -64), 'bad-file', 'output_norm.weight'],
    ['an alignment of 0', metadata({ 'general.alignment': 0 }), 'bad-file', 'general.alignment'],
    ['another architecture', metadata({ 'general.architecture': 'gemma' }), 'unsupported', 'gemma'],
    ['a part of a model', metadata({ 'split.count': 3 }), 'unsupported', 'one of 3 parts'],
    ['no layers', metadata({ 'llama.block_count': 0 }), 'bad-file', 'block_count'],
    [
      'a layer too many',
      metadata({ 'llama.block_count': 3 }),
      'bad-file',
      'blk.2.attn_norm.weight',
    ],
    ['a layer too few', metadata({ 'llama.block_count': 1 }), 'unsupported', 'blk.1.'],
    ['another width', metadata({ 'llama.embedding_length': 128 }), 'bad-file', 'token_embd.weight'],
    [
      'heads that share no keys',
      metadata({ 'llama.attention.head_count_kv': 3 }),
      'bad-file',
      'head_count_kv',
    ],
    ['scaled rotation', metadata({ 'llama.rope.scaling.type': 'yarn' }), 'unsupported', 'yarn'],
    ['experts', metadata({ 'llama.expert_count': 8 }), 'unsupported', 'expert_count'],
    [
      'a name that is no text',
      metadata({ 'general.architecture': 7 }),
      'bad-file',
      'general.architecture',
    ],
    ['no such tensor', without('blk.1.ffn_up.weight'), 'bad-file', 'blk.1.ffn_up.weight'],
    [
      'a tensor of no known type',
      tensor('blk.0.attn_q.weight', { type: 99 }),
      'bad-file',
      'blk.0.attn_q.weight',
    ],
    [
      'a tensor of a type that is not read',
      tensor('blk.0.attn_q.weight', { type: 16 }),
      'unsupported',
      'IQ2_XXS',
    ],
    [
      'a tensor of other dimensions',
      tensor('blk.0.attn_q.weight', { dimensions: [32, 128] }),
      'bad-file',
      '64 x 64',
    ],
    [
      'rows of half a block',
      tensor('blk.0.attn_q.weight', { dimensions: [16, 256] }),
      'bad-file',
      'multiple of 32',
    ],
    [
      'a dimension of 0',
      tensor('blk.0.attn_q.weight', { dimensions: [64, 0] }),
      'bad-file',
      'blk.0.attn_q.weight',
    ],
    [
      '2^62 elements',
      tensor('blk.0.attn_q.weight', { dimensions: [2 ** 31, 2 ** 31] }),
      'bad-file',
      'blk.0.attn_q',
    ],
    [
      'a tensor twice',
      tensor('blk.0.attn_q.weight', { name: 'blk.0.attn_k.weight' }),
      'bad-file',
      'two',
    ],
    [
      'a tensor that is no part of it',
      ggufBytes({ ...tiny, tensors: [...tiny.tensors, extra] }),
      'unsupported',
      'attn_q.scale',
    ],
  ];
  for (const [what, bytes, code, names] of cases) {
    it(`is refused: ${what}`, () => {
      const failure = refusal(bytes);
      assert.equal(failure.code, code, failure.message);
      assert.ok(failure.message.includes(path), failure.message);
      assert.ok(failure.message.includes(names), failure.message);
    });
  }

  it('is refused: two tensors in one place', () => {
    const name = Buffer.from('blk.0.attn_norm.weight');
    const found = Buffer.from(good).indexOf(name);
    const offset = found + name.length + 4 + 8 + 4;
    const failure = refusal(at(offset, 0, 0, 0, 0, 0, 0, 0, 0));
    assert.match(failure.message, /overlap/);
  });

  it('is refused: a folder', () => {
    assert.throws(
      () => readGguf(folder),
      error => Failure.is(error, 'bad-file'),
    );
  });

  it('is refused: nothing', () => {
    assert.throws(
      () => readGguf(join(folder, 'none')),
      error => Failure.is(error, 'not-found'),
    );
  });
});

describe('Any other bytes', () => {
  it('end in a model or in a Failure: 2,000 altered and truncated headers', () => {
    const random = new Random(5);
    const good = ggufBytes(tinyLlama());
    const header = Buffer.from(good).indexOf('output_norm.weight') + 50;
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      let bytes = good.slice();
      for (let flips = 1 + random.below(4); flips > 0; flips--) {
        const at = random.below(header);
        const byte = random.below(3) ? random.below(256) : 255;
        // Lengths and counts are eight bytes long: now and then all of them are altered.
        bytes.fill(byte, at, at + (random.below(4) ? 1 : 8));
      }
      if (random.below(4) === 0) bytes = bytes.slice(0, random.below(bytes.length));
      try {
        readAll(bytes);
      } catch (error) {
        if (!Failure.is(error)) throw error;
        refused++;
      }
    }
    assert.ok(refused > 1000, `${refused}`);
    // Nothing that a hostile length asked for may have been allocated.
    assert.ok(process.memoryUsage().arrayBuffers < 2 ** 28);
  });
});
