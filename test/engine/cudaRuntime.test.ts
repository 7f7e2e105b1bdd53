import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { cudaCommand } from '../../src/cli/cuda.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import type { CudaResult } from '../../src/contracts/commandLine.ts';
import { cudaFeed, cudaLibraries, cudaPackage } from '../../src/cuda/cudaLibraries.ts';
import {
  downloadCuda,
  installCudaFrom,
  offerCuda,
  requireMachine,
  type InstallOptions,
} from '../../src/cuda/installCuda.ts';
import {
  isRuntime,
  isRuntimeFrom,
  runtimeFolder,
  runtimeVersionIn,
} from '../../src/cuda/runtimeFolder.ts';
import { isBuiltFor } from '../../src/onnx/devices.ts';
import { nupkg, packed, packedAt as at, provider, shared } from '../fixtures/cudaPackage.ts';
import { NugetServer } from '../fixtures/nugetServer.ts';
import { fixture } from './model.ts';

const root = join(import.meta.dirname, '../..');
const modules = join(root, 'node_modules');
const version = runtimeVersionIn(modules);
const signal = new AbortController().signal;
const skip =
  `${process.platform}-${process.arch}` !== 'linux-x64' && 'onnxruntime has CUDA on Linux x64 only';

let storage = '';
let server: NugetServer;
beforeEach(async () => {
  storage = await mkdtemp(join(tmpdir(), 'loupe-cuda-'));
  server = await NugetServer.start(cudaPackage, version, nupkg);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(storage, { recursive: true, force: true });
});

async function bring(options: Partial<InstallOptions> = {}): Promise<string> {
  const offer = await offerCuda({ modules, storage }, signal, { index: server.index, backoff: 1 });
  return downloadCuda({ modules, storage }, offer, { signal, ...options });
}

async function fails(attempt: Promise<unknown>, code: FailureCode, message?: RegExp) {
  await assert.rejects(attempt, error => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
}

/** What a run of the command line prints, with the libraries of this test. */
function loupe(...args: string[]): { readonly printed: string; readonly said: string } {
  const said = join(storage, 'said');
  const printed = execFileSync(
    'sh',
    ['-c', `"$0" "$@" 2>'${said}'`, process.execPath, join(root, 'dist/cli.js'), ...args],
    {
      encoding: 'utf8',
      // No device but CUDA may be tried.
      env: {
        ...process.env,
        LOUPE_CACHE: storage,
        VK_ICD_FILENAMES: '/nowhere',
        VK_DRIVER_FILES: '/nowhere',
      },
    },
  );
  return { printed, said: execFileSync('cat', [said], { encoding: 'utf8' }) };
}

it('the libraries are from where the install script of onnxruntime-node gets them', () => {
  const require = createRequire(import.meta.url);
  const script = require('onnxruntime-node/script/install-metadata.js') as {
    readonly feeds: { readonly nuget: { readonly index: string } };
    readonly packages: Record<
      string,
      { name: string; versions: { version: string; feed: string }[] }
    >;
    readonly manifests: Record<string, Record<string, { package: string; path: string }>>;
  };
  const manifest = script.manifests['linux/x64:cuda12'] ?? {};
  const entry = manifest[`./${cudaLibraries[0] ?? ''}`];
  const named = script.packages[entry?.package ?? ''];
  assert.equal(script.feeds.nuget.index, cudaFeed);
  assert.equal(named?.name, cudaPackage);
  assert.deepEqual(named.versions, [{ feed: 'nuget', version }]);
  for (const name of cudaLibraries) assert.equal(manifest[`./${name}`]?.path, `${at}/${name}`);
});

describe("the download of CUDA's libraries", { skip }, () => {
  it('says its size before anything is downloaded', async () => {
    const offer = await offerCuda({ modules, storage }, signal, { index: server.index });
    assert.equal(offer.missing, nupkg.length);
    assert.equal(offer.isThere, false);
    assert.deepEqual(await readdir(storage), []);
    assert.ok(server.seen.every(({ path }) => path.endsWith('.json')));
  });

  it('lays out a runtime of its own, and leaves the installed one as it is', async () => {
    const binaries = join(modules, 'onnxruntime-node/bin/napi-v6/linux/x64');
    const before = await readdir(binaries);
    const progress: number[] = [];
    const folder = await bring({
      report: ({ step, bytes, total }) => step === 'Downloading' && progress.push(bytes / total),
    });
    assert.equal(folder, runtimeFolder(storage, version));
    const made = join(folder, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64');
    assert.deepEqual((await readdir(made)).sort(), [...before, ...cudaLibraries].sort());
    assert.deepEqual(await readFile(join(made, cudaLibraries[0] ?? '')), Buffer.from(provider));
    assert.deepEqual(await readFile(join(made, cudaLibraries[1] ?? '')), Buffer.from(shared));
    assert.deepEqual(await readdir(binaries), before);
    assert.deepEqual(await readdir(storage), [`onnxruntime-cuda-${version}`]);
    assert.equal(progress.at(-1), 1);
    const again = await offerCuda({ modules, storage }, signal, { index: server.index });
    assert.equal(again.isThere, true);
  });

  it('can be cancelled half-way, and goes on from there', async () => {
    server.pace = 10;
    const cancel = new AbortController();
    const stopped = bring({
      signal: cancel.signal,
      report: ({ bytes }) => {
        if (bytes > 500_000) cancel.abort(new Failure('cancelled', 'Cancelled.'));
      },
    });
    await fails(stopped, 'cancelled');
    assert.ok(!existsSync(runtimeFolder(storage, version)));
    server.pace = 0;
    const offer = await offerCuda({ modules, storage }, signal, { index: server.index });
    assert.ok(offer.missing < nupkg.length - 400_000, String(offer.missing));
    assert.ok(existsSync(await bring()));
    assert.ok(server.seen.some(({ range }) => range === `bytes=${nupkg.length - offer.missing}-`));
  });

  it('is refused where its checksum is another, and leaves nothing', async () => {
    server.lie = { packageHash: Buffer.alloc(64, 7).toString('base64') };
    await fails(bring(), 'bad-file', /another content than announced/);
    assert.deepEqual(await readdir(storage), []);
  });

  it('is refused where the feed names no checksum', async () => {
    server.lie = { packageHash: '' };
    await fails(bring(), 'unreachable', /names no size and SHA-512/);
  });

  it('is refused where the disk has too little space, before it begins', async () => {
    const freeSpace = () => Promise.resolve(nupkg.length);
    await fails(bring({ freeSpace }), 'no-space', /^CUDA's libraries need \S+ MB, the disk of/);
    await fails(bring({ freeSpace }), 'no-space', new RegExp(`the disk of ${storage} has`));
    assert.ok(server.seen.every(({ path }) => path.endsWith('.json')));
  });

  const broken: [string, Uint8Array, FailureCode, RegExp][] = [
    ['no zip archive', Buffer.alloc(50_000, 1), 'bad-file', /is not a readable zip archive/],
    ['a zip archive cut short', nupkg.slice(0, -40), 'bad-file', /is not a readable zip archive/],
    [
      'without the libraries',
      packed({}),
      'not-found',
      /expected to have one libonnxruntime_providers_cuda/,
    ],
    [
      'with something else as a library',
      packed({
        [`${at}/${cudaLibraries[0] ?? ''}`]: Buffer.alloc(500, 65),
        [`${at}/${cudaLibraries[1] ?? ''}`]: shared,
      }),
      'bad-file',
      /is no library for Linux on x64/,
    ],
  ];
  for (const [what, content, code, message] of broken) {
    it(`is refused where the package is ${what}, and no runtime is left`, async () => {
      server.content = content;
      await fails(bring(), code, message);
      assert.deepEqual(
        (await readdir(storage)).filter(name => name.includes('onnxruntime-cuda')),
        [],
      );
    });
  }

  it('unpacks no entry that is other than its checksum says', async () => {
    const changed = Buffer.from(nupkg);
    // Within what is packed of the first library.
    const place = changed.indexOf(Buffer.from(cudaLibraries[0] ?? '')) + 200_000;
    changed[place] = (changed[place] ?? 0) ^ 0xff;
    server.content = changed;
    await fails(bring(), 'bad-file', /is not a readable zip archive/);
  });
});

describe('a machine that CUDA is not for', () => {
  for (const [machine, device] of [
    ['win32-x64', 'webgpu'],
    ['darwin-arm64', 'webgpu'],
    ['linux-arm64', 'cpu'],
  ] as const) {
    it(`is told what it has instead: ${machine}`, () => {
      assert.ok(isBuiltFor(device, machine));
      assert.throws(
        () => requireMachine(machine),
        error => Failure.is(error, 'unsupported') && error.action === `Use ${device}.`,
      );
    });
  }
});

describe("the user's own libraries", { skip }, () => {
  it('are linked to from a folder', async () => {
    const own = join(storage, 'mine');
    await mkdir(own);
    await fails(installCudaFrom({ modules, storage }, own, { signal }), 'not-found');
    await writeFile(join(own, cudaLibraries[0] ?? ''), provider);
    await writeFile(join(own, cudaLibraries[1] ?? ''), 'text');
    await fails(
      installCudaFrom({ modules, storage }, own, { signal }),
      'bad-file',
      /is no library/,
    );
    await writeFile(join(own, cudaLibraries[1] ?? ''), shared);
    const folder = await installCudaFrom({ modules, storage }, own, { signal });
    const made = join(folder, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64');
    assert.equal((await stat(join(made, cudaLibraries[0] ?? ''))).size, provider.length);
    assert.equal(await isRuntimeFrom(folder, own), true);
    assert.equal(await isRuntimeFrom(folder, storage), false);
  });

  it('are refused where there are none', async () => {
    await fails(installCudaFrom({ modules, storage }, '/nowhere', { signal }), 'not-found');
  });
});

describe('the runtime with libraries that no loader takes', { skip }, () => {
  it('runs on the CPU, and says why not on CUDA', async () => {
    const file = join(storage, 'libraries.nupkg');
    await writeFile(file, nupkg);
    const { printed } = loupe('cuda', '--from', file, '--json');
    const { folder } = JSON.parse(printed) as { readonly folder: string };
    assert.equal(folder, runtimeFolder(storage, version));
    const text = join(storage, 'text.txt');
    await writeFile(text, 'A loupe is a lens.');
    const model = fixture('architectures/llama');
    const args = [
      'activations',
      text,
      '--model',
      model,
      '--hook',
      'blocks.0.hook_resid_post',
      '--ids',
      '1,2,3',
    ];
    const out = (name: string) => ['--out', join(storage, `${name}.safetensors`)];
    const cuda = loupe(...args, ...out('cuda'), '--device', 'cuda', '--threads', '1');
    loupe(...args, ...out('cpu'), '--threads', '1');
    assert.match(
      cuda.said,
      /CUDA is not used: its library libonnxruntime_providers_\w+\.so is broken\./,
    );
    assert.deepEqual(
      await readFile(join(storage, 'cuda.safetensors')),
      await readFile(join(storage, 'cpu.safetensors')),
    );
    const { devices } = JSON.parse(loupe('devices', '--json').printed) as {
      readonly devices: readonly { device: string; works: boolean; reason?: string }[];
    };
    assert.deepEqual(
      devices.map(({ device, works }) => [device, works]),
      [['cpu', true], ...['webgpu', 'cuda', 'directml', 'coreml'].map(device => [device, false])],
    );
    const reasons = new Map(devices.map(({ device, reason }) => [device, reason]));
    assert.equal(reasons.get('webgpu'), 'no graphics adapter was found.');
    assert.match(reasons.get('cuda') ?? '', /is broken/);
  });

  it('is passed over where it has been spoilt', async () => {
    const file = join(storage, 'libraries.nupkg');
    await writeFile(file, nupkg);
    loupe('cuda', '--from', file);
    await rm(join(runtimeFolder(storage, version), 'node_modules/onnxruntime-common'), {
      recursive: true,
    });
    const { printed, said } = loupe('devices', '--json');
    assert.match(
      said,
      /cannot be loaded, and Loupe's own is used: Cannot find module 'onnxruntime-common'/,
    );
    assert.match(printed, /"device":"cpu","works":true/);
  });
});

describe('`loupe cuda`', { skip }, () => {
  it('says what it would download and where from, and does so with --yes', async () => {
    process.env['LOUPE_CACHE'] = storage;
    try {
      const lines: string[] = [];
      const run = (values: Record<string, string | boolean>) =>
        cudaCommand.run({
          ...{ values: { endpoint: server.index, ...values }, positionals: [], signal },
          log: line => lines.push(line),
        });
      const offered = await run({});
      assert.match(
        cudaCommand.format(offered),
        /^2\.0 MB to download from 127\.0\.0\.1.*Nothing was downloaded/s,
      );
      assert.deepEqual(await readdir(storage), []);
      const brought = (await run({ yes: true })) as CudaResult;
      assert.equal(brought.state, 'installed');
      assert.ok(isRuntime(brought.folder));
      assert.ok(lines.includes('Downloading: 2.0 MB of 2.0 MB'), lines.join('\n'));
      await assert.rejects(run({ endpoint: 'ftp://x' }), /is no address of a feed/);
    } finally {
      delete process.env['LOUPE_CACHE'];
    }
  });
});
