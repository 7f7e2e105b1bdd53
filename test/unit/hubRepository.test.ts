import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { HubClient } from '../../src/hub/hubClient.ts';
import { hubSettings } from '../../src/hub/hubSettings.ts';
import { findOffer, modelOffers } from '../../src/hub/modelFiles.ts';
import { listFiles, searchHub, type HubFiles } from '../../src/hub/repository.ts';
import { saeOffers } from '../../src/hub/saeFiles.ts';
import { repositoryId } from '../../src/hub/safeName.ts';
import { HubServer } from '../fixtures/hubServer.ts';

const content = Buffer.from('{}');
let server: HubServer;
let hub: HubClient;
const { signal } = new AbortController();
before(async () => {
  server = await HubServer.start([
    { id: 'a/one-gguf', files: { 'one.gguf': content }, tags: ['gguf'], downloads: 5 },
    { id: 'b/one-more', files: { x: content }, tags: ['gguf'], downloads: 50 },
    { id: 'c/one-sae', files: { x: content }, tags: ['saelens'] },
  ]);
  hub = new HubClient({ endpoint: server.endpoint, token: undefined }, { backoff: 1 });
});
after(() => server[Symbol.asyncDispose]());

describe('a search of the Hub', () => {
  it('asks for a name and a filter, and gives the most downloaded first', async () => {
    const found = await searchHub(hub, { query: ' one ', filter: 'gguf', limit: 7 }, signal);
    assert.deepEqual(
      found.map(({ id, downloads }) => [id, downloads]),
      [
        ['b/one-more', 50],
        ['a/one-gguf', 5],
      ],
    );
    const { searchParams } = new URL(server.seen.at(-1)?.url ?? '', server.endpoint);
    assert.deepEqual(Object.fromEntries(searchParams), {
      search: 'one',
      filter: 'gguf',
      sort: 'downloads',
      direction: '-1',
      limit: '7',
    });
  });

  it('takes no entry whose id is none, and no answer that is no list', async () => {
    server.interfere = (_seen, response) => {
      response.end(JSON.stringify([{ id: '../x' }, { id: 7 }, null, { modelId: 'ok/yes' }]));
      return true;
    };
    assert.deepEqual(
      (await searchHub(hub, { query: '' }, signal)).map(({ id }) => id),
      ['ok/yes'],
    );
    for (const body of ['{}', '<html>']) {
      server.interfere = (_seen, response) => (response.end(body), true);
      const eager = new HubClient({ endpoint: server.endpoint, token: undefined }, { retries: 0 });
      await assert.rejects(searchHub(eager, { query: '' }, signal), isFailure('unreachable'));
    }
    server.interfere = () => false;
  });

  it('lists files with their sizes and checksums', async () => {
    const { files, commit } = await listFiles(hub, 'a/one-gguf', signal);
    assert.equal(commit, 'c'.repeat(40));
    // `git hash-object` of a file that holds {}.
    const hex = '9e26dfeeb6e641a33dae4961196235bdb965b21b';
    assert.deepEqual(files, [{ path: 'one.gguf', size: 2, digest: { kind: 'blob-sha1', hex } }]);
  });
});

describe('whom Loupe asks', () => {
  it('is the setting, then HF_ENDPOINT, then the public Hub', async () => {
    const mirror = { HF_ENDPOINT: 'https://mirror.example/hub' };
    assert.equal((await hubSettings({})).endpoint.href, 'https://huggingface.co/');
    assert.equal((await hubSettings(mirror)).endpoint.href, 'https://mirror.example/hub');
    assert.equal((await hubSettings(mirror, 'https://own.example')).endpoint.host, 'own.example');
    await assert.rejects(hubSettings({}, 'file:///etc'), isFailure('usage'));
    await assert.rejects(hubSettings({ HF_HUB_OFFLINE: '1' }), isFailure('unreachable'));
  });

  it('learns the token of the environment or the file, and not over plain http to others', async () => {
    const home = await mkdtemp(join(tmpdir(), 'loupe-token-'));
    await writeFile(join(home, 'token'), 'hf_file\n');
    const token = async (environment: Record<string, string>, endpoint?: string) =>
      (await hubSettings(environment, endpoint)).token;
    assert.equal(await token({ HF_TOKEN: 'hf_env', HF_HOME: home }), 'hf_env');
    assert.equal(await token({ HF_HOME: home }), 'hf_file');
    assert.equal(await token({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), undefined);
    assert.equal(await token({ HF_HOME: home }, 'http://mirror.example'), undefined);
    assert.equal(await token({ HF_HOME: home }, 'http://localhost:8080'), 'hf_file');
    assert.equal(await token({ HF_TOKEN: 'a\r\nb: c' }), undefined);
    await rm(home, { recursive: true });
  });

  it('names repositories as the Hub does', () => {
    assert.equal(repositoryId('https://huggingface.co/o/name/tree/main'), 'o/name');
    assert.equal(repositoryId('gpt2'), 'gpt2');
    for (const id of ['', '../x', 'a/b/c', 'a/..', 'a b', 'a--b/c', 'x/..%2f']) {
      assert.throws(() => repositoryId(id), isFailure('usage'), id);
    }
  });
});

describe('what there is to download', () => {
  it('of models: the folder without what it does not need, and each GGUF file', () => {
    const offers = modelOffers(
      repository(
        'config.json',
        'tokenizer.json',
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
        'model.safetensors.index.json',
        'consolidated.safetensors',
        'pytorch_model.bin',
        'README.md',
        'm-Q4_K_M.gguf',
        'BF16/m-00001-of-00002.gguf',
        'mmproj-m.gguf',
      ),
    );
    assert.deepEqual(
      offers.map(({ name, bytes, open, obstacle }) => [name, bytes, open, obstacle === undefined]),
      [
        ['', 50, '.', true],
        ['m-Q4_K_M.gguf', 10, 'm-Q4_K_M.gguf', true],
        ['BF16/m-00001-of-00002.gguf', 10, 'BF16/m-00001-of-00002.gguf', false],
      ],
    );
  });

  it('of SAEs: each folder or file by itself', () => {
    const offers = saeOffers(
      repository(
        'README.md',
        'blocks.0/cfg.json',
        'blocks.0/sae_weights.safetensors',
        'blocks.0/sparsity.safetensors',
        'blocks.1/cfg.json',
        'layer_0/width_16k/average_l0_1/params.npz',
        'layer3.sae.pt',
        'L0R/hyperparams.json',
        'L0R/checkpoints/final.safetensors',
        'L0R/checkpoints/notes.txt',
      ),
    );
    assert.deepEqual(
      offers.map(({ name, files }) => [name, files.length]),
      [
        ['blocks.0', 3],
        ['layer_0/width_16k/average_l0_1', 1],
        ['L0R', 2],
        ['layer3.sae.pt', 1],
      ],
    );
    assert.equal(findOffer(offers, 'x', 'L0R/').name, 'L0R');
    assert.throws(() => findOffer(offers, 'x'), isFailure('usage'));
    assert.throws(() => findOffer(offers, 'x', 'y'), isFailure('not-found'));
    assert.throws(() => findOffer([], 'x'), isFailure('not-found'));
    const [root] = saeOffers(repository('cfg.json', 'sae_weights.safetensors'));
    assert.deepEqual([root?.name, root?.open], ['', '.']);
  });
});

function repository(...paths: readonly string[]): HubFiles {
  const files = paths.map(path => ({ path, size: 10, digest: undefined }));
  return { id: 'o/r', commit: 'main', gated: false, files };
}

function isFailure(code: string) {
  return (error: unknown) => error instanceof Failure && error.code === code;
}
