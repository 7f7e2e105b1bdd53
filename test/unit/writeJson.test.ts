import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { writeJson } from '../../src/cli/writeJson.ts';

async function written(value: object): Promise<string> {
  const out = new PassThrough({ highWaterMark: 64 });
  const read = text(out);
  await writeJson(value, out);
  out.end();
  return await read;
}

describe('JSON of any length', () => {
  it('is what JSON.stringify says, on one line', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => ({ i, text: `"${i}"\n`, gone: undefined }));
    const values = [
      {},
      { a: 1, b: [1, 2], c: undefined, d: null },
      { rows, after: 'x', none: undefined },
      { before: NaN, rows: rows.slice(0, 257), more: rows.slice(0, 512) },
      { only: rows.slice(0, 256).map(() => null) },
    ];
    for (const value of values) assert.equal(await written(value), `${JSON.stringify(value)}\n`);
  });
});
