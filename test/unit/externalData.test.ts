import assert from 'node:assert/strict';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { externalLocation, readExternal } from '../../src/engine/sessions/externalData.ts';

let folder: string;
before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'loupe-external-')));
});
after(() => rm(folder, { recursive: true }));

describe('values that a graph reads from a file', () => {
  it('are those at the place that is named', async () => {
    const path = join(folder, 'whole');
    await writeFile(path, new Float32Array([1, 2.5, -3]));
    const values = await readExternal({
      ...{ location: externalLocation(path), offset: 4, byteLength: 8, shape: [2] },
    });
    assert.deepEqual(values, Float32Array.of(2.5, -3));
  });

  it('are refused where the file is cut short, with what was found', async () => {
    const path = join(folder, 'short');
    await writeFile(path, new Uint8Array(10));
    const reading = readExternal({
      ...{ location: externalLocation(path), offset: 4, byteLength: 8, shape: [2] },
    });
    await assert.rejects(
      reading,
      error =>
        Failure.is(error, 'bad-file') && error.message.includes('expected 8 bytes at 4, found 6'),
    );
  });
});
