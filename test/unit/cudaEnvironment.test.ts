// With which libraries the engine's processes start, and when they start anew for others; VS Code is a fake.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { runtimeEnvironment } from '../../src/cuda/runtimeEnvironment.ts';
import { ownRuntimeFolder, runtimeFolder } from '../../src/cuda/runtimeFolder.ts';
import { fakeVscode } from './fakes/vscode.ts';
import { set } from './fakes/vscodeParts.ts';

const root = mkdtempSync(join(tmpdir(), 'loupe-cuda-'));
after(() => rmSync(root, { recursive: true, force: true }));
const globalStorage = join(root, 'storage');
const places = { modules: join(root, 'node_modules'), storage: join(globalStorage, 'cuda') };
const downloaded = runtimeFolder(places.storage, '1.30.0');
const ours = ownRuntimeFolder(places.storage, '1.30.0');
write(join(places.modules, 'onnxruntime-node/package.json'), '{"version":"1.30.0"}');
for (const folder of [downloaded, ours]) {
  const binaries = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64';
  write(join(folder, binaries, 'libonnxruntime_providers_cuda.so'), 'library');
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

describe("the environment of the engine's processes", () => {
  it('names the runtime where CUDA may be used', () => {
    for (const [device, runtime] of [
      ['auto', downloaded],
      ['cuda', downloaded],
      ['webgpu', undefined],
      ['cpu', undefined],
    ] as const) {
      const wanted = { device, own: undefined, searched: '/x' };
      const expected = runtime === undefined ? {} : { LOUPE_RUNTIME: runtime };
      assert.deepEqual(runtimeEnvironment(places, wanted), expected);
    }
  });

  it("searches the user's libraries first, and never the current folder", () => {
    for (const [searched, expected] of [
      [undefined, '/mine'],
      ['', '/mine'],
      ['/a::/b:', '/mine:/a:/b'],
    ] as const) {
      const found = runtimeEnvironment(places, { device: 'cuda', own: '/mine', searched });
      assert.deepEqual(found, { LOUPE_RUNTIME: ours, LD_LIBRARY_PATH: expected });
    }
  });
});

/** What is used of it here: the module needs VS Code's types. */
interface CudaModule {
  readonly engineEnvironment: (context: object, device?: string) => Record<string, string>;
  readonly useOwnLibraries: (context: object, engine: object, when: string) => Promise<void>;
}

describe('in the editor', () => {
  const context = { extensionPath: root, globalStorageUri: { fsPath: globalStorage } };

  async function cudaModule(): Promise<CudaModule> {
    fakeVscode();
    const path: string = new URL('../../src/editor/engine/cudaRuntime.ts', import.meta.url).href;
    return (await import(path)) as CudaModule;
  }

  it('a training goes by its own device, whatever the setting is by now', async () => {
    const { engineEnvironment } = await cudaModule();
    set('loupe.cuda.libraries', '');
    set('loupe.device', 'cpu');
    assert.deepEqual(engineEnvironment(context), {});
    assert.deepEqual(engineEnvironment(context, 'cuda'), { LOUPE_RUNTIME: downloaded });
    set('loupe.device', 'cuda');
    assert.deepEqual(engineEnvironment(context), { LOUPE_RUNTIME: downloaded });
    assert.deepEqual(engineEnvironment(context, 'cpu'), {});
  });

  it('the engine starts anew when the libraries are named no more', async () => {
    const { useOwnLibraries } = await cudaModule();
    set('loupe.cuda.libraries', '');
    let renewed = 0;
    const engine = { renew: () => Promise.resolve(renewed++) };
    await useOwnLibraries(context, engine, 'at start');
    assert.equal(renewed, 0);
    await useOwnLibraries(context, engine, 'chosen');
    assert.equal(renewed, 1);
  });
});
