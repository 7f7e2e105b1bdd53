// Laying out a runtime while another window does the same, or uses one.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { isRuntimeFrom, makeRuntime, runtimeFolder } from '../../src/cuda/runtimeFolder.ts';

const root = await mkdtemp(join(tmpdir(), 'loupe-runtime-'));
after(() => rm(root, { recursive: true, force: true }));
const binaries = 'onnxruntime-node/bin/napi-v6/linux/x64';
const provider = 'libonnxruntime_providers_cuda.so';
const modules = join(root, 'node_modules');
for (const file of [
  'onnxruntime-node/package.json',
  'onnxruntime-node/dist/index.js',
  'onnxruntime-common/package.json',
  'onnxruntime-common/dist/index.js',
  `${binaries}/onnxruntime_binding.node`,
]) {
  await mkdir(dirname(join(modules, file)), { recursive: true });
  await writeFile(join(modules, file), file);
}
const [mine, other] = [join(root, 'mine'), join(root, 'other')];
for (const folder of [mine, other]) await mkdir(folder);

let storage = '';
let folder = '';
beforeEach(async () => {
  storage = await mkdtemp(join(root, 'storage-'));
  folder = runtimeFolder(storage, '1.30.0');
});
const added = (): string => join(folder, 'node_modules', binaries, provider);

function make(from: string, text = from): Promise<void> {
  const add = (into: string): Promise<void> => writeFile(join(into, provider), text);
  return makeRuntime(modules, folder, { from, add });
}

describe('the runtime with CUDA', () => {
  it('says where its libraries are from as soon as it is there', async () => {
    const made = new AbortController();
    const making = make(mine).finally(() => made.abort());
    while (!made.signal.aborted) {
      if (existsSync(added())) assert.equal(await isRuntimeFrom(folder, mine), true);
      await new Promise(resolve => setImmediate(resolve));
    }
    await making;
    assert.equal(await isRuntimeFrom(folder, mine), true);
    assert.equal(await isRuntimeFrom(folder, other), false);
  });

  it('is there once, whole, when many lay out the same', async () => {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => make(mine)));
    assert.deepEqual(
      results.map(({ status }) => status),
      Array.from({ length: 6 }, () => 'fulfilled'),
    );
    assert.equal(readFileSync(added(), 'utf8'), mine);
    assert.deepEqual(await readdir(storage), ['onnxruntime-cuda-1.30.0']);
  });

  it('stays as it is, and in use, where the same is laid out again', async () => {
    await make(mine);
    const before = await stat(added());
    await make(mine);
    assert.equal((await stat(added())).ino, before.ino);
  });

  it('is replaced where it is another, or has been spoilt', async () => {
    await make(other);
    await make(mine);
    assert.equal(readFileSync(added(), 'utf8'), mine);
    assert.equal(await isRuntimeFrom(folder, mine), true);
    await rm(join(folder, 'node_modules/onnxruntime-common'), { recursive: true });
    await make(mine);
    assert.ok(existsSync(join(folder, 'node_modules/onnxruntime-common/dist/index.js')));
    await writeFile(added(), 'cut');
    await make(mine);
    assert.equal(readFileSync(added(), 'utf8'), mine);
  });

  it('sweeps away what a process that was ended left behind, but not what another is at', async () => {
    const [old, young, others] = ['old', 'young', 'other'].map(name =>
      join(storage, name === 'other' ? 'downloads' : `onnxruntime-cuda-1.29.0.new-${name}`),
    ) as [string, string, string];
    for (const left of [old, young, others])
      await mkdir(join(left, 'node_modules'), { recursive: true });
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    for (const left of [old, others]) await utimes(left, twoDaysAgo, twoDaysAgo);
    await make(mine);
    assert.deepEqual((await readdir(storage)).sort(), [
      'downloads',
      'onnxruntime-cuda-1.29.0.new-young',
      'onnxruntime-cuda-1.30.0',
    ]);
  });

  it('is not there where its libraries cannot be put in, and nothing else is', async () => {
    const add = (): Promise<void> => Promise.reject(new Error('full'));
    await assert.rejects(makeRuntime(modules, folder, { from: mine, add }), /full/);
    assert.deepEqual(await readdir(storage), []);
  });
});
