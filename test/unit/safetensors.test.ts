import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { bfloat16ToFloat32, float16ToFloat32, float32ToFloat16 } from '../../src/common/float16.ts';
import { float32ToBfloat16 } from '../fixtures/bfloat16.ts';
import { Random } from '../../src/common/random.ts';
import { writeAtomically } from '../../src/weights/atomicFile.ts';
import { SafetensorsFile, writeSafetensors, type Tensor } from '../../src/weights/safetensors.ts';

// Made by the reference implementation: test/fixtures/makeSafetensors.py.
const fixtures = join(import.meta.dirname, '../fixtures/safetensors');
const golden = join(fixtures, 'everyDtype.safetensors');

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-safetensors-'));
});
after(async () => rm(folder, { recursive: true, force: true }));

describe('16-bit floats', () => {
  it('round as PyTorch rounds', async () => {
    const json = await readFile(join(fixtures, 'rounding.json'), 'utf8');
    const { float32, float16, bfloat16 } = JSON.parse(json) as Record<string, number[]>;
    const values = new Float32Array(Uint32Array.from(float32 ?? []).buffer);
    assert.equal(values.length, 424);
    assert.deepEqual([...float32ToFloat16(values)], float16);
    assert.deepEqual([...float32ToBfloat16(values)], bfloat16);
  });

  it('survive the way to float32 and back, every one of them', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const isNaN16 = (i: number) => (i & 0x7fff) > 0x7c00;
    const isNaNB = (i: number) => (i & 0x7fff) > 0x7f80;
    const back = float32ToFloat16(float16ToFloat32(bits));
    const backB = float32ToBfloat16(bfloat16ToFloat32(bits));
    for (const i of bits) {
      assert.ok(isNaN16(i) ? isNaN16(back[i] ?? 0) : back[i] === i, `float16 ${String(i)}`);
      assert.ok(isNaNB(i) ? isNaNB(backB[i] ?? 0) : backB[i] === i, `bfloat16 ${String(i)}`);
    }
  });
});

describe('safetensors files', () => {
  it('of the reference implementation are read, every element type', async () => {
    const file = await SafetensorsFile.open(golden);
    assert.deepEqual([...file.metadata], [['note', 'a "quoted" ключ']]);
    // The listing holds 64-bit integers beyond float64, which JSON.parse would round.
    const listing = JSON.parse(await readFile(join(fixtures, 'everyDtype.json'), 'utf8')) as object;
    for (const [name, expected] of Object.entries(listing)) {
      if (name === 'int64') continue;
      const { dtype } = await file.read(name);
      const values = dtype.includes('F')
        ? await file.readFloat32(name)
        : (await file.read(name)).data;
      const want =
        dtype === 'F64' ? Float32Array.from(expected as number[]) : (expected as number[]);
      assert.deepEqual(Array.from(values as Float32Array), Array.from(want), name);
    }
    const { data } = await file.read('int64');
    assert.deepEqual([...data], [-(2n ** 53n) - 1n, 2n ** 62n, 0n, -1n]);
    assert.deepEqual(file.tensors.get('empty')?.shape, [0, 4]);
    assert.deepEqual(file.tensors.get('scalar')?.shape, []);
  });

  it('are written byte for byte as the reference implementation writes them', async () => {
    const file = await SafetensorsFile.open(golden);
    const tensors: Record<string, Tensor> = {};
    for (const name of [...file.tensors.keys()].sort()) tensors[name] = await file.read(name);
    const path = join(folder, 'again.safetensors');
    await writeSafetensors(path, tensors, Object.fromEntries(file.metadata));
    assert.ok((await readFile(path)).equals(await readFile(golden)));
  });

  it('replace the old file whole, and leave nothing behind', async () => {
    const inside = await mkdtemp(join(folder, 'replace-'));
    const path = join(inside, 'x.safetensors');
    const one = (value: number): Tensor => ({
      dtype: 'F32',
      shape: [1],
      data: Float32Array.of(value),
    });
    await writeSafetensors(path, { a: one(1) });
    await writeSafetensors(path, { a: one(2) });
    const file = await SafetensorsFile.open(path);
    assert.deepEqual([...(await file.readFloat32('a'))], [2]);
    assert.deepEqual(await readdir(inside), ['x.safetensors']);
    const nowhere = join(inside, 'missing', 'x.safetensors');
    await assert.rejects(
      writeSafetensors(nowhere, { a: one(1) }),
      failure('not-found', nowhere.slice(0, 20)),
    );
  });

  it('on a disk that fills up keep the old file and fail with no-space', async () => {
    const inside = await mkdtemp(join(folder, 'full-'));
    const path = join(inside, 'x.bin');
    await writeAtomically(path, [Uint8Array.of(1, 2, 3)]);
    function* parts() {
      yield new Uint8Array(1000);
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    }
    await assert.rejects(writeAtomically(path, parts()), failure('no-space', 'x.bin'));
    assert.deepEqual([...(await readFile(path))], [1, 2, 3]);
    assert.deepEqual(await readdir(inside), ['x.bin']);
  });
});

/** A file of the given header text and data. */
async function make(header: string, data = '', claimed?: bigint): Promise<string> {
  const text = new TextEncoder().encode(header);
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, claimed ?? BigInt(text.length), true);
  const path = join(folder, 'made.safetensors');
  await writeFile(path, Buffer.concat([Buffer.from(length.buffer), text, Buffer.from(data)]));
  return path;
}

function failure(code: string, part: string | RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, new RegExp(part));
    return true;
  };
}

describe('bad safetensors files', () => {
  const entry = (shape: unknown, offsets: unknown, dtype = 'U8') =>
    JSON.stringify({ dtype, shape, data_offsets: offsets });
  const cases: [name: string, header: string, data: string, says: string, code?: string][] = [
    ['no JSON', '{"a":', '', 'not JSON'],
    ['no object', '[1]', '', 'not a JSON object'],
    ['deep nesting', '['.repeat(200_000), '', 'not JSON'],
    ['an entry that is no object', '{"a":3}', '', 'tensor "a" is described by number'],
    ['an unknown type', `{"a":${entry([1], [0, 1], 'F4')}}`, 'x', 'of type "F4"', 'unsupported'],
    [
      'a type named like an object member',
      `{"a":${entry([1], [0, 1], 'toString')}}`,
      'x',
      'toString',
      'unsupported',
    ],
    ['a negative size', `{"a":${entry([-1], [0, 1])}}`, 'x', 'the shape \\[-1\\]'],
    ['a fraction', `{"a":${entry([0.5], [0, 1])}}`, 'x', 'the shape \\[0.5\\]'],
    [
      'a shape beyond memory',
      `{"a":${entry([2 ** 40, 2 ** 40], [0, 1])}}`,
      'x',
      'needs 1.2089\\d+e\\+24 bytes',
    ],
    ['offsets backwards', `{"a":${entry([1], [1, 0])}}`, 'x', 'needs 1 bytes and has -1'],
    ['three offsets', `{"a":${entry([1], [0, 1, 2])}}`, 'x', 'the offsets'],
    [
      'fewer bytes than the shape',
      `{"a":${entry([4], [0, 2], 'F32')}}`,
      'xx',
      'needs 16 bytes and has 2',
    ],
    ['an overlap', `{"a":${entry([2], [0, 2])},"b":${entry([2], [1, 3])}}`, 'xxx', '"b" overlaps'],
    [
      'a gap',
      `{"a":${entry([1], [0, 1])},"b":${entry([1], [2, 3])}}`,
      'xxx',
      'gap before tensor "b"',
    ],
    ['data cut short', `{"a":${entry([9], [0, 9])}}`, 'xxx', 'describes \\d+ bytes'],
    ['data left over', `{"a":${entry([1], [0, 1])}}`, 'xxx', 'describes \\d+ bytes'],
    [
      'a name twice',
      `{"a":${entry([1], [0, 1])},"\\u0061":${entry([1], [0, 1])}}`,
      'x',
      'key "a" twice',
    ],
    [
      'a field twice',
      `{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`,
      'x',
      '"dtype" twice',
    ],
    ['metadata that is no object', '{"__metadata__":[]}', '', '__metadata__ is not'],
    ['metadata that is no text', '{"__metadata__":{"a":1}}', '', '"a" is not text'],
  ];
  for (const [name, header, data, says, code = 'bad-file'] of cases) {
    it(`are refused: ${name}`, async () => {
      await assert.rejects(SafetensorsFile.open(await make(header, data)), failure(code, says));
    });
  }

  it('are refused: an empty file, a folder, a missing file, a huge header length', async () => {
    const path = join(folder, 'short.safetensors');
    await writeFile(path, 'abc');
    await assert.rejects(SafetensorsFile.open(path), failure('bad-file', '3 bytes'));
    await assert.rejects(SafetensorsFile.open(folder), failure('bad-file', 'folder'));
    await assert.rejects(SafetensorsFile.open(join(folder, 'none')), failure('not-found', 'none'));
    for (const claimed of [9n, 2n ** 31n, 2n ** 64n - 1n]) {
      await assert.rejects(
        SafetensorsFile.open(await make('{}', '', claimed)),
        failure('bad-file', 'claims'),
      );
    }
  });

  it('are refused: cut after it was opened', async () => {
    const path = await make(`{"a":${entry([3], [0, 3])}}`, 'xxx');
    const file = await SafetensorsFile.open(path);
    await truncate(path, 40);
    await assert.rejects(file.read('a'), failure('bad-file', 'ended'));
    await assert.rejects(file.read('b'), failure('bad-file', 'no tensor "b"'));
  });

  it('of 2,000 random alterations give a Failure or the same structure, never another error', async () => {
    const bytes = await readFile(golden);
    const random = new Random(11);
    const path = join(folder, 'fuzz.safetensors');
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const copy = Buffer.from(bytes);
      for (let n = 1 + random.below(4); n > 0; n--) copy[random.below(900)] = random.below(256);
      await writeFile(path, round % 5 === 0 ? copy.subarray(0, random.below(copy.length)) : copy);
      try {
        const file = await SafetensorsFile.open(path);
        for (const name of file.tensors.keys()) await file.read(name);
      } catch (error) {
        assert.ok(error instanceof Failure && error.code !== 'internal', String(error));
        refused++;
      }
    }
    assert.ok(refused > 1500, `only ${String(refused)} of 2000 were refused`);
  });
});
