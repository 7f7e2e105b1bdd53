import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { findOnDisk } from '../../src/hub/findOnDisk.ts';
import type { FoundThing } from '../../src/contracts/foundThing.ts';
import { walk } from '../../src/hub/walk.ts';

let home = '';
let found: readonly FoundThing[] = [];
const digest = 'ab'.repeat(32);
const config = '{"model_type":"llama","architectures":["LlamaForCausalLM"]}';
const signal = new AbortController().signal;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'loupe-find-'));
  const cache = '.cache/huggingface/hub/models--some--model';
  const manifests = '.ollama/models/manifests/registry.ollama.ai';
  const layers = (mediaType: string, of = digest, size = 7) =>
    JSON.stringify({ layers: [{ mediaType, digest: `sha256:${of}`, size }] });
  const weights = 'application/vnd.ollama.image.model';
  await lay({
    [`${cache}/refs/main`]: 'abc\n',
    [`${cache}/blobs/one`]: config,
    [`${cache}/blobs/two`]: 'weights',
    [`${cache}/snapshots/older/config.json`]: config,
    [`${cache}/snapshots/older/model.safetensors`]: 'x',
    [`${cache}/snapshots/abc/sae/layer_3/cfg.json`]: '{}',
    [`${cache}/snapshots/abc/sae/layer_3/sae_weights.safetensors`]: '12345',
    '.cache/huggingface/hub/datasets--a--b/snapshots/x/model.gguf': 'x',
    [`${manifests}/library/llama3.2/1b`]: layers(weights),
    [`${manifests}/someone/tuned/latest`]: layers(weights, 'cd'.repeat(32)),
    [`${manifests}/library/adapter/latest`]: layers('application/vnd.ollama.image.adapter'),
    [`${manifests}/library/hostile/latest`]: layers(weights, '../../../../etc/passwd'),
    [`${manifests}/library/broken/latest`]: '{',
    [`.ollama/models/blobs/sha256-${digest}`]: 'weights',
    '.lmstudio/models/owner/repo/model-Q4_K_M.gguf': 'four',
    '.lmstudio/models/owner/repo/mmproj-model.gguf': 'x',
    'downloads/o/partial/config.json': config,
    'downloads/o/partial/model.safetensors.loupe-part': 'x',
    'downloads/o/partial/model-00001-of-00002.safetensors': 'x',
    'downloads/o/partial/.loupe-download-0123456789ab.json': JSON.stringify({
      ...{ repository: 'o/partial', commit: 'main', kind: 'model', name: '' },
      files: ['config.json', 'model-00001-of-00002.safetensors'],
    }),
    'work/big-00001-of-00002.gguf': 'x',
    'work/big-00002-of-00002.gguf': 'x',
    'work/shards/config.json': config,
    'work/shards/model-00001-of-00002.safetensors': 'x',
    'work/gemma/layer_2/width_16k/average_l0_50/params.npz': 'x',
    'work/gemma2/layer_1/config.json': '{"architecture":"jump_relu"}',
    'work/gemma2/layer_1/params.safetensors': 'x',
    'work/dl/trainer_0/ae.pt': 'x',
    'work/dl/trainer_0/config.json': '{}',
    'work/llama/L3R/hyperparams.json': '{}',
    'work/llama/L3R/checkpoints/final.safetensors': 'abc',
    'work/sparsify/layers.3/cfg.json': '{}',
    'work/sparsify/layers.3/sae.safetensors': 'x',
    'work/qwen/layer7.sae.pt': 'x',
    'work/plain/config.json': '{"name":"an app"}',
    'work/plain/data.safetensors': 'x',
    'work/node_modules/x/model.gguf': 'x',
  });
  const snapshot = join(home, cache, 'snapshots/abc');
  await symlink('../../blobs/one', join(snapshot, 'config.json'));
  await symlink('../../blobs/two', join(snapshot, 'model.safetensors'));
  await symlink(join(home, 'work'), join(home, 'work/loop'));
  found = await findOnDisk(
    {
      environment: { HOME: home },
      downloads: join(home, 'downloads'),
      folders: [join(home, 'work')],
    },
    signal,
  );
});
after(async () => rm(home, { recursive: true, force: true }));

describe('what is on disk', () => {
  it('is found in the Hugging Face cache, one commit of each repository, through its links', () => {
    const cached = of('huggingFace');
    assert.deepEqual(
      cached.map(({ kind, name, bytes }) => [kind, name, bytes]),
      [
        ['model', 'some/model', 7],
        ['sae', 'some/model/sae/layer_3', 7],
      ],
    );
    assert.match(cached[0]?.path ?? '', /snapshots\/abc$/);
  });

  it('is found in Ollama by its manifests, and hostile or broken ones lead nowhere', () => {
    assert.deepEqual(
      of('ollama').map(({ name, obstacle }) => [name, obstacle]),
      [
        ['llama3.2:1b', undefined],
        ['someone/tuned:latest', 'Its weights are not there.'],
      ],
    );
    const [first] = of('ollama');
    assert.equal(first?.path, join(home, `.ollama/models/blobs/sha256-${digest}`));
  });

  it('is found in LM Studio', () => {
    const [only, ...more] = of('lmStudio');
    assert.deepEqual([only?.name, only?.bytes, more], ['owner/repo/model-Q4_K_M.gguf', 4, []]);
  });

  it('is told from what has not been downloaded to its end', () => {
    const [only, ...more] = of('downloads');
    assert.equal(more.length, 0);
    assert.match(only?.obstacle ?? '', /download has not ended/);
  });

  it('is found in folders: models and SAEs of every layout, links that go round in a circle apart', () => {
    const names = of('workspace').map(({ kind, format, name }) => `${kind} ${format} ${name}`);
    assert.deepEqual(names.sort(), [
      'model gguf big-00001-of-00002.gguf',
      'model safetensors shards',
      'sae dictionary-learning dl/trainer_0',
      'sae gemma-scope gemma/layer_2/width_16k/average_l0_50',
      'sae gemma-scope-2 gemma2/layer_1',
      'sae llama-scope llama/L3R',
      'sae qwen-scope qwen/layer7.sae.pt',
      'sae sparsify sparsify/layers.3',
    ]);
    const obstacles = of('workspace').filter(({ obstacle }) => obstacle !== undefined);
    assert.deepEqual(
      obstacles.map(({ name, obstacle }) => [name, obstacle]),
      [
        ['big-00001-of-00002.gguf', 'It is split into several files, which Loupe does not read.'],
        ['shards', 'It has 1 of the 2 files of its weights.'],
      ],
    );
  });

  it('is looked for within limits, and until somebody says stop', async () => {
    const limits = { depth: 1, entries: 1000, milliseconds: 1000 };
    const walked: string[] = [];
    for await (const { path } of walk(join(home, 'work'), signal, limits)) walked.push(path);
    assert.ok(walked.includes(join(home, 'work/gemma')));
    assert.ok(!walked.includes(join(home, 'work/gemma/layer_2')));
    const stop = AbortSignal.abort();
    const places = { environment: { HOME: home }, downloads: undefined, folders: [home] };
    await assert.rejects(findOnDisk(places, stop), error => Failure.is(error, 'cancelled'));
  });

  it('is nothing where there is nothing', async () => {
    const places = {
      environment: { HOME: join(home, 'nobody') },
      downloads: undefined,
      folders: [],
    };
    assert.deepEqual(
      (await findOnDisk(places, signal)).filter(({ path }) => path.startsWith(home)),
      [],
    );
  });
});

function of(place: FoundThing['foundIn']): FoundThing[] {
  return found
    .filter(({ foundIn, path }) => foundIn === place && path.startsWith(home))
    .sort((a, b) => a.name.localeCompare(b.name));
}

async function lay(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), content);
  }
}
