import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { activationsCommand } from '../../src/cli/activations.ts';
import type { CommandInput } from '../../src/cli/command.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { fixture, modelRequest } from './model.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-activations-'));
});
after(() => rm(folder, { recursive: true }));

function run(positionals: string[], values: CommandInput['values']): Promise<object> {
  return activationsCommand.run({
    values: { cache: modelRequest().cacheFolder, threads: '2', ...values },
    positionals,
    signal: new AbortController().signal,
    log: () => undefined,
  });
}

describe('loupe activations', () => {
  it("writes a text's hooks and logits as transformers has them", async () => {
    const golden = await SafetensorsFile.open(fixture('model/unicode.safetensors'));
    const text = golden.metadata.get('text') ?? '';
    const file = join(folder, 'text.txt');
    const out = join(folder, 'out.safetensors');
    await writeFile(file, text);
    const hooks = ['blocks.15.hook_resid_post', 'blocks.29.hook_mlp_out'];
    const result = await run([file], { hook: hooks, out, logits: true });
    const ids = await golden.read('ids');
    const count = ids.data.length;
    assert.deepEqual(result, { file: out, tokens: count, hooks });
    const written = await SafetensorsFile.open(out);
    assert.deepEqual([...written.tensors.keys()].sort(), [...hooks, 'ids', 'logits'].sort());
    assert.deepEqual((await written.read('ids')).data, ids.data);
    assert.deepEqual(written.tensors.get('logits')?.shape, [count, 49152]);
    for (const hook of hooks) {
      assert.deepEqual(written.tensors.get(hook)?.shape, [count, 576]);
      const last = (await written.readFloat32(hook)).subarray(-576);
      const expected = await golden.readFloat32(`last.${hook}`);
      for (const [i, value] of expected.entries()) {
        assert.ok(Math.abs((last[i] ?? NaN) - value) < 1e-3, `${hook} ${i}`);
      }
    }
  });

  it('writes what is inside the attention with the width of its heads', async () => {
    const out = join(folder, 'attention.safetensors');
    const widths = { q: 36, k: 12, v: 12, z: 36 };
    const hooks = Object.keys(widths).map(place => `blocks.1.attn.hook_${place}`);
    await run(hooks, { model: fixture('lime/gqa2'), out, ids: '5, 6, 60' });
    const written = await SafetensorsFile.open(out);
    const shapes = hooks.map(hook => written.tensors.get(hook)?.shape);
    assert.deepEqual(
      shapes,
      Object.values(widths).map(width => [3, width]),
    );
  });

  it('runs given tokens instead', async () => {
    const out = join(folder, 'ids.safetensors');
    const hook = ['hook_embed'];
    await run(['blocks.0.hook_resid_mid'], { hook, out, ids: '504, 18669,33' });
    const written = await SafetensorsFile.open(out);
    assert.deepEqual([...(await written.read('ids')).data], [504n, 18669n, 33n]);
    assert.deepEqual(written.tensors.get('blocks.0.hook_resid_mid')?.shape, [3, 576]);
    assert.deepEqual(written.tensors.get('hook_embed')?.shape, [3, 576]);
  });

  const refused: readonly [string, FailureCode, string[], CommandInput['values']][] = [
    ['no hook', 'usage', ['a.txt'], { out: 'x' }],
    ['no file', 'usage', [], { out: 'x', hook: ['hook_embed'] }],
    ['no --out', 'usage', ['a.txt'], { hook: ['hook_embed'] }],
    ['two files', 'usage', ['a.txt', 'b.txt'], { out: 'x', hook: ['hook_embed'] }],
    ['a strange hook', 'usage', [], { out: 'x', hook: ['blocks.30.hook_resid_pre'], ids: '1' }],
    [
      'a place that attention does not have',
      'usage',
      ['blocks.1.attn.hook_w'],
      { out: 'x', ids: '1' },
    ],
    ['ids that are none', 'usage', [], { out: 'x', hook: ['hook_embed'], ids: '1,two' }],
    [
      'a token beyond the vocabulary',
      'mismatch',
      [],
      { out: 'x', hook: ['hook_embed'], ids: '49152' },
    ],
    ['a file that is not there', 'not-found', ['none.txt'], { out: 'x', hook: ['hook_embed'] }],
  ];
  for (const [what, code, positionals, values] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(run(positionals, values), error => Failure.is(error, code));
    });
  }
});
