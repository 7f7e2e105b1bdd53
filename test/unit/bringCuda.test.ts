// What is asked and shown when CUDA's libraries are brought; VS Code is a fake, and nothing is downloaded.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { CudaPlaces } from '../../src/cuda/installCuda.ts';
import { nupkg } from '../fixtures/cudaPackage.ts';
import { fakeVscode } from './fakes/vscode.ts';
import { set, shown, user } from './fakes/vscodeParts.ts';

/** What is used of it here: the module needs VS Code's types. */
interface CudaModule {
  readonly bringCuda: (places: CudaPlaces) => Promise<boolean>;
  readonly useCudaLibraries: (places: CudaPlaces, path: string) => Promise<string>;
}

fakeVscode();
const root = mkdtempSync(join(tmpdir(), 'loupe-bring-'));
after(() => rmSync(root, { recursive: true, force: true }));
const places = { modules: join(root, 'node_modules'), storage: join(root, 'cuda') };
mkdirSync(join(places.modules, 'onnxruntime-node'), { recursive: true });
writeFileSync(join(places.modules, 'onnxruntime-node/package.json'), '{"version":"1.30.0"}');

const machine = { platform: process.platform, arch: process.arch };
function pretend({ platform, arch }: { readonly platform: string; readonly arch: string }): void {
  Object.defineProperty(process, 'platform', { value: platform });
  Object.defineProperty(process, 'arch', { value: arch });
}

async function cudaModule(): Promise<CudaModule> {
  const path: string = new URL('../../src/editor/choosing/bringCuda.ts', import.meta.url).href;
  return (await import(path)) as CudaModule;
}

const asking = 'Asking for the size of CUDA’s libraries';
const question = 'tell Download the libraries that onnxruntime needs for CUDA?';
beforeEach(() => {
  pretend({ platform: 'linux', arch: 'x64' });
  shown.length = 0;
  user.answer = () => undefined;
  user.cancels = () => false;
});
afterEach(() => pretend(machine));

describe('the command Download CUDA Libraries', () => {
  it('asks nothing on a machine for which there are none', async () => {
    const { bringCuda } = await cudaModule();
    set('loupe.cuda.endpoint', '');
    pretend({ platform: 'darwin', arch: 'arm64' });
    await assert.rejects(bringCuda(places), (error: unknown) => Failure.is(error, 'unsupported'));
    assert.deepEqual(shown, [`progress ${asking}`, `done ${asking}`]);
  });

  it('asks nothing once it is cancelled', async () => {
    const { bringCuda } = await cudaModule();
    const silent = createServer(() => undefined);
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    assert.ok(typeof address === 'object' && address);
    set('loupe.cuda.endpoint', `http://127.0.0.1:${address.port}/index.json`);
    user.cancels = title => title === asking;
    assert.equal(await bringCuda(places), false);
    assert.deepEqual(shown, [`progress ${asking}`, `done ${asking}`]);
    silent.closeAllConnections();
    silent.close();
  });

  it('offers a folder of the user’s where the feed is none, after its progress has ended', async () => {
    const { bringCuda } = await cudaModule();
    set('loupe.cuda.endpoint', 'nowhere');
    assert.equal(await bringCuda(places), false);
    assert.deepEqual(shown, [`progress ${asking}`, `done ${asking}`, question]);
  });
});

it('the libraries that a setting names are laid out with a progress', async () => {
  const { useCudaLibraries } = await cudaModule();
  const path = join(root, 'mine');
  const preparing = 'Preparing CUDA’s libraries';
  await assert.rejects(useCudaLibraries(places, path), /There is no/);
  assert.deepEqual(shown, [`progress ${preparing}`, `done ${preparing}`]);
  mkdirSync(path);
  await assert.rejects(useCudaLibraries(places, path), (error: unknown) => Failure.is(error));
  writeFileSync(`${path}.nupkg`, nupkg);
  const modules = join(import.meta.dirname, '../../node_modules');
  user.cancels = title => title === preparing;
  assert.equal(await useCudaLibraries({ ...places, modules }, `${path}.nupkg`), 'cancelled');
});
