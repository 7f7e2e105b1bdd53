import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { blockTypes, decodeBlocks } from '../../src/weights/ggufBlocks.ts';

interface Golden {
  readonly type: number;
  readonly name: string;
  readonly bytes: string;
  readonly values: string;
}

const goldens = JSON.parse(
  readFileSync(new URL('../fixtures/ggufBlocks.json', import.meta.url), 'utf8'),
) as readonly Golden[];

describe('Decoding of ggml blocks', () => {
  it('has a golden for every encoding', () => {
    assert.deepEqual(
      goldens.map(golden => golden.type).sort((a, b) => a - b),
      [...blockTypes.keys()].sort((a, b) => a - b),
    );
  });

  for (const golden of goldens) {
    it(`gives gguf-py's bits for ${golden.name}`, () => {
      const type = blockTypes.get(golden.type);
      assert.ok(type);
      assert.equal(type.name, golden.name);
      const bytes = Buffer.from(golden.bytes, 'base64');
      const expected = Buffer.from(golden.values, 'base64');
      const actual = new Float32Array(expected.length / 4);
      assert.equal(actual.length, (bytes.length / type.blockBytes) * type.blockLength);
      decodeBlocks(type, bytes, actual);
      assert.ok(expected.equals(Buffer.from(actual.buffer)));
    });
  }

  it('reads every half-precision number, the subnormal and the infinite too', () => {
    const half = blockTypes.get(1);
    assert.ok(half);
    const bytes = new Uint8Array(new Uint16Array([0x0001, 0x8001, 0x7c00, 0xfc00, 0x7e00]).buffer);
    const values = new Float32Array(5);
    decodeBlocks(half, bytes, values);
    assert.deepEqual([...values], [2 ** -24, -(2 ** -24), Infinity, -Infinity, NaN]);
  });
});
