import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { download, type DownloadHooks } from '../../src/hub/download.ts';
import { HubClient, type HubClientOptions } from '../../src/hub/hubClient.ts';
import { offer } from '../../src/hub/modelFiles.ts';
import { listFiles } from '../../src/hub/repository.ts';
import { partSuffix } from '../../src/hub/safeName.ts';
import { findUnfinished } from '../../src/hub/unfinished.ts';
import { HubServer, refuse, type FakeRepository } from '../fixtures/hubServer.ts';

const weights = bytes(3_000_000, 1);
const config = Buffer.from('{"model_type":"llama"}');
const tiny: FakeRepository = {
  id: 'tests/tiny',
  files: { 'config.json': config, 'sub/model.safetensors': weights, empty: new Uint8Array(0) },
  lfs: ['sub/model.safetensors'],
};

let folder = '';
let server: HubServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-hub-'));
  server = await HubServer.start([tiny, { ...tiny, id: 'tests/gated', gated: true }]);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('a download from the Hub', () => {
  it('brings every file as it is, through another host, and asks nobody else', async () => {
    const progress: number[] = [];
    const into = await bring({ report: ({ bytes, total }) => progress.push(bytes / total) });
    assert.equal(into, join(folder, 'tests', 'tiny'));
    await arrived();
    assert.equal(progress.at(-1), 1);
    assert.ok(progress.every((value, i) => value >= (progress[i - 1] ?? 0)));
    assert.deepEqual((await readdir(into)).sort(), ['config.json', 'empty', 'sub']);
    assert.ok(server.seen.some(({ host }) => host === 'cdn'));
  });

  it('shows the token to the endpoint alone', async () => {
    await bring({}, { id: 'tests/gated', token: 'hf_good' });
    for (const { host, authorization } of server.seen) {
      assert.equal(authorization, host === 'hub' ? 'Bearer hf_good' : undefined, host);
    }
    assert.ok(server.seen.filter(({ host }) => host === 'cdn').length > 0);
  });

  it('goes on where it was broken off, twice, and is the same byte for byte', async () => {
    server.cuts.push(Infinity, 700_000, 900_000);
    await bring();
    await arrived();
    const ranges = server.seen.filter(({ host }) => host === 'cdn').map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.equal(ranges[0], undefined);
    const [first, second] = ranges.slice(1).map(range => Number(/\d+/.exec(range ?? '')?.[0]));
    assert.ok(first !== undefined && first > 0 && first <= 700_000, String(first));
    assert.ok(second !== undefined && second > first && second <= 1_600_000, String(second));
  });

  it('can be cancelled: it settles, keeps what has arrived, and the next call goes on from there', async () => {
    server.pace = 20;
    const cancel = new AbortController();
    const stopped = bring({
      signal: cancel.signal,
      report: ({ bytes }) => {
        if (bytes > 500_000) cancel.abort(new Failure('cancelled', 'Cancelled.'));
      },
    });
    await fails(stopped, 'cancelled');
    const into = join(folder, 'tests/tiny');
    const part = await readFile(join(into, `sub/model.safetensors${partSuffix}`));
    assert.ok(part.length > 0 && part.length < weights.length);
    assert.ok(weights.subarray(0, part.length).equals(part));
    assert.ok(!existsSync(join(into, 'sub/model.safetensors')));
    const [unfinished] = await findUnfinished(folder, new AbortController().signal);
    assert.deepEqual([unfinished?.repository, unfinished?.files.length], [tiny.id, 3]);
    server.pace = 0;
    await bring();
    await arrived();
    assert.deepEqual(await findUnfinished(folder, new AbortController().signal), []);
    assert.equal(server.seen.at(-1)?.range ?? '', '', 'the empty file comes last');
    assert.ok(server.seen.some(({ range }) => range === `bytes=${part.length}-`));
  });

  it('starts over where the server has another content by now', async () => {
    server.cuts.push(Infinity, 700_000);
    await fails(bring({}, { retries: 0 }), 'unreachable', /ended|reached/);
    const changed = bytes(weights.length, 2);
    const files = { ...tiny.files, 'sub/model.safetensors': changed };
    server.repositories.set(tiny.id, { ...tiny, files });
    await bring();
    assert.ok(changed.equals(await readFile(join(folder, 'tests/tiny/sub/model.safetensors'))));
  });

  it('starts over by the ETag where there is no checksum to tell by', async () => {
    const { endpoint } = server;
    const list = { id: tiny.id, commit: 'main', gated: false };
    const file = { path: 'config.json', size: weights.length, digest: undefined };
    server.repositories.set(tiny.id, { id: tiny.id, files: { 'config.json': weights } });
    const again = (retries: number) =>
      download(
        new HubClient({ endpoint, token: undefined }, { retries, backoff: 1 }),
        { repository: { ...list, files: [file] }, offer: offer('model', '', [file], '.'), folder },
        { signal: new AbortController().signal },
      );
    server.cuts.push(700_000);
    await fails(again(0), 'unreachable');
    const changed = bytes(weights.length, 3);
    server.repositories.set(tiny.id, { id: tiny.id, files: { 'config.json': changed } });
    await again(0);
    assert.match(server.seen.at(-1)?.range ?? '', /^bytes=\d+-$/);
    assert.ok(changed.equals(await readFile(join(folder, 'tests/tiny/config.json'))));
  });

  it('leaves nothing of a file that is not what was announced', async () => {
    server.lie = { sha256: 'a'.repeat(64) };
    await fails(bring(), 'bad-file', /another content/);
    assert.deepEqual(await readdir(join(folder, 'tests/tiny/sub')), []);
  });

  it('mends a part that was spoilt on this side', async () => {
    server.cuts.push(Infinity, 700_000);
    await fails(bring({}, { retries: 0 }), 'unreachable');
    const part = join(folder, 'tests/tiny/sub', `model.safetensors${partSuffix}`);
    const spoilt = await readFile(part);
    spoilt[1000] = (spoilt[1000] ?? 0) ^ 1;
    await writeFile(part, spoilt);
    await bring();
    await arrived();
  });

  it('takes no byte more than announced, and no byte less', async () => {
    server.lie = { size: 1_000_000 };
    await fails(bring(), 'bad-file', /longer than/);
    server.lie = { size: 4_000_000 };
    await fails(bring({}, { retries: 0 }), 'unreachable', /ended at byte/);
    assert.ok(!existsSync(join(folder, 'tests/tiny/sub/model.safetensors')));
  });

  it('asks again after 429 and 5xx, no sooner than the server wants', async () => {
    const answers = [429, 503, 500];
    server.interfere = (_seen, response) => {
      const status = answers.shift();
      if (status === undefined) return false;
      response.writeHead(status, status === 429 ? { 'retry-after': '1' } : {}).end();
      return true;
    };
    const start = performance.now();
    await bring();
    assert.ok(performance.now() - start >= 1000);
    await arrived();
  });

  it('gives up in the end, and says why', async () => {
    server.interfere = (_seen, response) => (refuse(response, 429), true);
    await fails(bring({}, { retries: 2 }), 'unreachable', /left alone/);
    assert.equal(server.seen.length, 3);
    server.interfere = (_seen, response) => (refuse(response, 500), true);
    await fails(bring({}, { retries: 0 }), 'unreachable', /status 500/);
    server.interfere = (_seen, response) => (refuse(response, 401), true);
    await fails(bring(), 'no-access', /does not show/);
    server.interfere = (_seen, response) => (refuse(response, 404), true);
    await fails(bring(), 'not-found', /has no repository tests\/tiny/);
  });

  it('says what a gated or a private repository wants', async () => {
    await fails(bring({}, { id: 'tests/gated' }), 'no-access', /ask for consent/);
    await fails(bring({}, { id: 'tests/nobody' }), 'not-found', /or it is private/);
  });

  it('ends where nothing comes any more, and keeps what came', async () => {
    server.interfere = ({ host }, response) => {
      if (host !== 'cdn') return false;
      response.writeHead(200, { 'content-length': weights.length });
      response.write(weights.subarray(0, 1000));
      return true;
    };
    await fails(bring({}, { retries: 0, stall: 200 }), 'unreachable', /Nothing came/);
    const part = join(folder, 'tests/tiny/sub', `model.safetensors${partSuffix}`);
    assert.equal((await readFile(part)).length, 1000);
  });

  it('says that nobody answers', async () => {
    const { endpoint } = server;
    await server[Symbol.asyncDispose]();
    const client = new HubClient({ endpoint, token: undefined }, { retries: 0 });
    const { signal } = new AbortController();
    await fails(listFiles(client, tiny.id, signal), 'unreachable', /cannot be reached/);
  });

  it('writes nothing where the disk has not the space', async () => {
    await fails(bring({ freeSpace: () => Promise.resolve(1000) }), 'no-space', /3\.0 MB.*1\.0 kB/);
    assert.deepEqual(await readdir(join(folder, 'tests/tiny')), []);
  });

  it('writes nothing under a name that could lead elsewhere', async () => {
    const names = ['../x', 'a/../../x', '/x', 'a\\x', 'C:/x', 'a//x', 'nul', 'a/CON.txt', 'x.'];
    for (const name of [...names, 'a\u0000b', `x${partSuffix}`, '.loupe-download-0.json', '']) {
      server.repositories.set(tiny.id, {
        id: tiny.id,
        files: { 'config.json': config, [name]: config },
      });
      await fails(bring(), 'bad-file', /no name for a file/);
    }
    server.repositories.set(tiny.id, { id: tiny.id, files: { A: config, a: config } });
    await fails(bring(), 'bad-file', /two files/);
    assert.deepEqual(await readdir(folder), []);
  });

  it('follows no link out of its folder', async () => {
    await mkdir(join(folder, 'tests/tiny'), { recursive: true });
    await mkdir(join(folder, 'elsewhere'));
    await symlink(join(folder, 'elsewhere'), join(folder, 'tests/tiny/sub'));
    await fails(bring(), 'bad-file', /leads elsewhere/);
    assert.deepEqual(await readdir(join(folder, 'elsewhere')), []);
  });

  it('asks for no file that is there', async () => {
    await bring();
    const before = server.seen.length;
    await bring();
    assert.deepEqual(
      server.seen.slice(before).map(({ url }) => url.replace(/\?.*/, '')),
      ['/api/models/tests/tiny/revision/main'],
    );
  });
});

async function bring(
  hooks: Partial<DownloadHooks> = {},
  { id = tiny.id, token, ...options }: { id?: string; token?: string } & HubClientOptions = {},
): Promise<string> {
  const { endpoint } = server;
  const client = new HubClient({ endpoint, token }, { backoff: 1, ...options });
  const signal = hooks.signal ?? new AbortController().signal;
  const repository = await listFiles(client, id, signal);
  const all = offer('model', '', repository.files, '.');
  return await download(client, { repository, offer: all, folder }, { ...hooks, signal });
}

async function arrived(): Promise<void> {
  for (const [path, content] of Object.entries(tiny.files)) {
    assert.ok(Buffer.from(content).equals(await readFile(join(folder, 'tests/tiny', path))), path);
  }
}

async function fails(promise: Promise<unknown>, code: FailureCode, message = /./): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

function bytes(length: number, seed: number): Buffer {
  const random = new Random(seed);
  return Buffer.from(Uint8Array.from({ length }, () => Math.floor(random.uniform() * 256)));
}
