import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import type { Command } from '../../src/cli/command.ts';
import { downloadCommand } from '../../src/cli/download.ts';
import { findCommand } from '../../src/cli/find.ts';
import { saesCommand } from '../../src/cli/saes.ts';
import { searchCommand } from '../../src/cli/search.ts';
import type {
  DownloadResult,
  FindResult,
  SaesResult,
  SearchResult,
} from '../../src/contracts/commandLine.ts';
import { modelKey } from '../../src/hub/modelKey.ts';
import { HubServer } from '../fixtures/hubServer.ts';

const weights = Buffer.from('weights');
const files = {
  'config.json': Buffer.from('{"model_type":"llama"}'),
  'model.safetensors': weights,
  'm-Q4_0.gguf': weights,
  'saes/layer_3/cfg.json': Buffer.from('{}'),
  'saes/layer_3/sae_weights.safetensors': weights,
};
let folder = '';
let server: HubServer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-hub-commands-'));
  server = await HubServer.start([
    { id: 'tests/both', files, lfs: ['model.safetensors'], tags: ['gguf'], downloads: 1234 },
  ]);
  process.env['LOUPE_CACHE'] = folder;
});
after(async () => {
  delete process.env['LOUPE_CACHE'];
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('the commands of the Hub', () => {
  it('search it', async () => {
    const { result, text } = await run(searchCommand, 'BOTH', '--endpoint', server.endpoint.href);
    assert.deepEqual(
      (result as SearchResult).repositories.map(({ id }) => id),
      ['tests/both'],
    );
    assert.match(text, /^tests\/both {2}\(1,234 downloads\)$/);
    await assert.rejects(run(searchCommand), /QUERY is missing/);
    await assert.rejects(run(searchCommand, 'x', '--filter', 'onnx'), /--filter is gguf/);
  });

  it('download from it: the whole model, one file, or one SAE; and find them afterwards', async () => {
    const endpoint = ['--endpoint', server.endpoint.href];
    const model = await run(downloadCommand, 'tests/both', ...endpoint);
    const path = join(folder, 'hub/tests/both');
    assert.equal((model.result as DownloadResult).path, path);
    assert.match(model.text, /--model /);
    assert.ok(weights.equals(await readFile(join(path, 'model.safetensors'))));
    const file = await run(downloadCommand, 'tests/both', '--file', 'm-Q4_0.gguf', ...endpoint);
    assert.equal((file.result as DownloadResult).path, join(path, 'm-Q4_0.gguf'));
    const sae = await run(downloadCommand, 'tests/both', '--folder', 'saes/layer_3/', ...endpoint);
    assert.equal((sae.result as DownloadResult).path, join(path, 'saes/layer_3'));
    assert.equal((sae.result as DownloadResult).kind, 'sae');
    const { found } = (await run(findCommand)).result as FindResult;
    assert.deepEqual(
      found.filter(({ foundIn }) => foundIn === 'downloads').map(({ name }) => name),
      ['tests/both', 'tests/both/m-Q4_0.gguf', 'tests/both/saes/layer_3'],
    );
    const none = ['--folder', 'saes/layer_4', ...endpoint];
    await assert.rejects(run(downloadCommand, 'tests/both', ...none), /has no saes\/layer_4/);
  });
});

describe('the index of public SAEs', () => {
  it('names them as SAELens does, with what was published', async () => {
    const { result } = await run(saesCommand);
    const { saes } = result as SaesResult;
    assert.ok(saes.length > 13_000);
    assert.equal(new Set(saes.map(({ release, id }) => `${release} ${id}`)).size, saes.length);
    assert.ok(saes.every(({ hook }) => /^(hook_embed|blocks\.\d+\.[\w.]+)$/.test(hook)));
    // From SAELens' pretrained_saes.yaml, by hand.
    const named = (release: string, id: string) =>
      saes.find(sae => sae.release === release && sae.id === id);
    const jb = named('gpt2-small-res-jb', 'blocks.8.hook_resid_pre');
    assert.deepEqual(
      [jb?.repository, jb?.path, jb?.l0, jb?.ev, jb?.hook],
      [
        'jbloom/GPT2-Small-SAEs-Reformatted',
        'blocks.8.hook_resid_pre',
        60,
        0.9,
        'blocks.8.hook_resid_pre',
      ],
    );
    const canonical = named('gemma-scope-9b-pt-res-canonical', 'layer_0/width_16k/canonical');
    assert.equal(canonical?.path, 'layer_0/width_16k/average_l0_129');
    assert.deepEqual([canonical.features, canonical.l0], [16384, 129]);
    const distill = named('llama_scope_r1_distill', 'l1r_800m_openr1_math');
    assert.equal(distill?.path, '0-Slimpajama-800M-OpenR1-Math-220k/L1R');
  });

  it('is asked by model, whatever copy of it the user has', async () => {
    const { text } = await run(saesCommand, '--model', 'GPT2');
    assert.match(text, /gpt2-small-res-jb .*13 SAEs/);
    assert.doesNotMatch(text, /gemma/);
    assert.equal(modelKey('google/gemma-2-2b'), modelKey('gemma-2-2b-Q4_K_M.gguf'));
    assert.equal(modelKey('meta-llama/Meta-Llama-3-8B-Instruct'), 'llama-3-8b-instruct');
    assert.notEqual(modelKey('gemma-2-2b-it'), modelKey('gemma-2-2b'));
    assert.equal((await run(saesCommand, '--model', 'nobody')).text, 'The index has no such SAE.');
    const one = await run(saesCommand, '--release', 'gpt2-small-res-jb');
    assert.match(one.text, /--folder blocks\.8\.hook_resid_pre {2}.*L0 60, EV 0\.900/);
  });
});

/** Runs a command as the program would. */
async function run(command: Command, ...args: string[]) {
  const { options } = command;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const { signal } = new AbortController();
  const result = await command.run({ values, positionals, signal, log: () => undefined });
  return { result, text: command.format(result) };
}
