import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { float32ToBfloat16 } from '../fixtures/bfloat16.ts';
import type { Hook } from '../../src/contracts/hooks.ts';
import { probeDevice } from '../../src/engine/devices/deviceProbe.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { openSession } from '../../src/engine/sessions/session.ts';
import { hookAt } from '../../src/models/hooks.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { readDictionary } from '../../src/saes/readDictionary.ts';
import { SafetensorsFile, type Tensor, writeSafetensors } from '../../src/weights/safetensors.ts';
import { difference } from './difference.ts';
import { fixture } from './model.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

/*
 * Sessions on WebGPU refuse a graph of which a node would fall to the CPU: what runs here runs there whole. Goldens are
 * transformers' and SAELens' own, differences relative to the largest value of each tensor.
 */

const tolerance = 1e-4;
/** One of each kind of graph: others differ in numbers that are fed. */
const architectures = ['gemma2', 'gemma3', 'gpt2', 'gpt_neox', 'gpt_neox-variant', 'llama'].concat(
  ...['mistral', 'olmo2', 'phi3', 'qwen2-window', 'qwen3'],
);

const skip = useSoftwareGpu() ?? false;
const sessions = new RanOn();
let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'loupe-webgpu-'));
});
after(() => rm(cacheFolder, { recursive: true }));

function open(path: string, device: 'cpu' | 'webgpu' = 'webgpu'): Promise<ModelRunner> {
  // Nothing here may fall back to the CPU.
  const warn = (line: string): never => assert.fail(line);
  return ModelRunner.open(
    { path, cacheFolder, threads: 1, device, precision: 'float32' },
    { warn },
  );
}

async function idsOf(goldens: SafetensorsFile): Promise<Uint32Array> {
  const { data } = await goldens.read('ids');
  return Uint32Array.from(data as BigInt64Array, Number);
}

describe('a model on WebGPU', { skip }, () => {
  for (const name of architectures) {
    it(`agrees with transformers in every hook and its logits: ${name}`, async t => {
      sessions.are(`model, ${name}: segments, head`);
      const path = fixture(`architectures/${name}`);
      const goldens = await SafetensorsFile.open(join(path, 'goldens.safetensors'));
      const model = await open(path);
      assert.equal(model.info.device, 'WebGPU');
      const tokenIds = await idsOf(goldens);
      const hooks = [...goldens.tensors.keys()].filter((of): of is Hook =>
        of.startsWith('blocks.'),
      );
      const worst = { of: '', difference: 0 };
      const run = await model.run({ tokenIds, hooks, head: 'logits' });
      for (const of of ['logits', ...hooks] as const) {
        const found = of === 'logits' ? run.logits : run.hooks.get(of);
        const apart = difference(found, await goldens.readFloat32(of));
        if (apart > worst.difference) Object.assign(worst, { of, difference: apart });
      }
      t.diagnostic(`max relative difference ${worst.difference.toExponential(1)} at ${worst.of}`);
      assert.ok(worst.difference < tolerance, JSON.stringify(worst));
      await model.dispose();
    });
  }

  // onnxruntime's own attention is right for fewer than 16 tokens, and wrong for more.
  for (const name of ['gemma2', 'gemma3', 'llama']) {
    it(`agrees with the CPU on longer text, whole and after a kept prefix: ${name}`, async t => {
      sessions.are(`model, ${name}: segments, head`);
      const path = fixture(`architectures/${name}`);
      const [gpu, cpu] = [await open(path), await open(path, 'cpu')];
      const tokenIds = Uint32Array.from({ length: 60 }, (_, i) => 1 + ((7 * i) % 40));
      const asked = { hooks: [], head: 'logits', keep: true } as const;
      const { logits } = await cpu.run({ ...asked, tokenIds });
      const run = await gpu.run({ ...asked, tokenIds });
      run.cache?.letGo();
      const whole = difference(run.logits, logits);
      // Of what is kept only a part still holds, as after an edit.
      const { cache } = await gpu.run({ ...asked, tokenIds: tokenIds.subarray(0, 37) });
      assert.ok(cache?.isOnDevice);
      const past = cache.prefix(23);
      const rest = await gpu.run({ ...asked, tokenIds: tokenIds.subarray(23), past });
      const after = difference(rest.logits, logits?.subarray(23 * cpu.config.vocabulary));
      t.diagnostic(`relative ${whole.toExponential(1)}, after a prefix ${after.toExponential(1)}`);
      assert.ok(whole < tolerance && after < tolerance);
      for (const kept of [cache, rest.cache]) kept?.letGo();
      await Promise.all([gpu.dispose(), cpu.dispose()]);
    });
  }

  it('routes keys and values as the CPU does: LIMe', async () => {
    sessions.are('model, LIMe: segments, head');
    const [gpu, cpu] = [await open(fixture('lime/gqa4')), await open(fixture('lime/gqa4'), 'cpu')];
    const tokenIds = Uint32Array.from({ length: 20 }, (_, i) => 1 + ((7 * i) % 20));
    const run = { tokenIds, hooks: [hookAt(2)], head: 'logits' } as const;
    const [a, b] = [await gpu.run(run), await cpu.run(run)];
    assert.ok(difference(a.logits, b.logits) < tolerance);
    await Promise.all([gpu.dispose(), cpu.dispose()]);
  });

  it('gives surprisal, predictions, splices and unembedded rows as the CPU does', async () => {
    sessions.are('model, llama: head with loss, splices, unembedding');
    const path = fixture('architectures/llama');
    const [gpu, cpu] = [await open(path), await open(path, 'cpu')];
    const tokenIds = Uint32Array.from({ length: 12 }, (_, i) => 1 + i);
    const both = async <T>(of: (model: ModelRunner) => Promise<T>) => [
      await of(gpu),
      await of(cpu),
    ];
    const loss = { hooks: [], head: 'loss', labels: tokenIds, predictions: 3 } as const;
    const [a, b] = await both(model => model.run({ ...loss, tokenIds }));
    assert.ok(difference(a?.surprisal, b?.surprisal) < tolerance);
    assert.ok(difference(a?.probabilities, b?.probabilities) < tolerance);
    assert.deepEqual(a?.predictedIds, b?.predictedIds);
    const hook: Hook = 'blocks.1.hook_mlp_out';
    const rows = Float32Array.from({ length: 12 * cpu.config.width }, (_, i) => Math.sin(i));
    const [c, d] = await both(model =>
      model.splice({ hook, activations: rows, residual: rows, head: 'logits' }),
    );
    assert.ok(difference(c?.logits, d?.logits) < tolerance);
    const [e, f] = await both(model => model.unembed(rows.subarray(0, cpu.config.width), 4));
    const ids = (tokens: typeof e) => tokens?.map(({ raised }) => raised.map(({ id }) => id));
    assert.deepEqual(ids(e), ids(f));
    await Promise.all([gpu.dispose(), cpu.dispose()]);
  });

  it('whose weights have 16 bits computes with them as float32', async () => {
    sessions.are('model, llama of 16-bit weights: segments, head');
    const from = fixture('architectures/llama');
    const file = await SafetensorsFile.open(join(from, 'model.safetensors'));
    const halves: Record<string, Tensor> = {};
    for (const [name, { shape }] of file.tensors) {
      const data = float32ToBfloat16(await file.readFloat32(name));
      halves[name] = { dtype: 'BF16', shape, data };
    }
    const path = await mkdtemp(join(cacheFolder, 'halves-'));
    await copyFile(join(from, 'config.json'), join(path, 'config.json'));
    await writeSafetensors(join(path, 'model.safetensors'), halves);
    const [gpu, cpu] = [await open(path), await open(path, 'cpu')];
    const run = { tokenIds: Uint32Array.of(1, 2, 3, 4), hooks: [], head: 'logits' } as const;
    const [a, b] = [await gpu.run(run), await cpu.run(run)];
    assert.ok(difference(a.logits, b.logits) < tolerance);
    await Promise.all([gpu.dispose(), cpu.dispose()]);
  });
});

describe('an SAE on WebGPU', { skip }, () => {
  const saelens = [
    'standard',
    'standard.scaledInput',
    'topk',
    'topk.decoderNorm',
    'jumprelu',
    'gated',
  ];
  for (const kind of saelens) {
    it(`computes what SAELens computes: ${kind}`, async t => {
      sessions.are(`SAE, ${kind}: encoder`);
      const goldens = await SafetensorsFile.open(fixture('saelens/goldens.safetensors'));
      const x = await goldens.readFloat32('x'); // (T, D)
      const dictionary = await readDictionary(fixture(`saelens/${kind}`));
      const runner = await SaeRunner.open(dictionary, { threads: 1, device: 'webgpu' });
      const { k, features, activations } = await runner.encode(x);
      const dense = new Float32Array((activations.length / k) * dictionary.width); // (T, F)
      activations.forEach((activation, i) => {
        if (activation === 0) return;
        dense[Math.floor(i / k) * dictionary.width + (features[i] ?? 0)] = activation;
      });
      const apart = difference(dense, await goldens.readFloat32(`${kind}/activations`));
      t.diagnostic(`max relative difference ${apart.toExponential(1)}`);
      assert.ok(apart < tolerance);
      await runner.dispose();
    });
  }

  it("that takes each group's largest runs on the CPU", async () => {
    const dictionary = await readDictionary(fixture('foreign/sparsify/groupmax/layers.3'));
    const x = Float32Array.from({ length: 5 * dictionary.inputWidth }, (_, i) => Math.sin(i));
    const [asked, cpu] = [
      await SaeRunner.open(dictionary, { threads: 1, device: 'webgpu' }),
      await SaeRunner.open(dictionary, { threads: 1 }),
    ];
    assert.deepEqual(await asked.encode(x), await cpu.encode(x));
    await Promise.all([asked.dispose(), cpu.dispose()]);
  });
});

describe('a test run of WebGPU', { skip }, () => {
  it('finds that it works, and that a software GPU is slow', async t => {
    const probe = await probeDevice('webgpu', { slowest: Infinity });
    assert.ok(probe.works, JSON.stringify(probe));
    t.diagnostic(JSON.stringify(probe));
    assert.ok(probe.difference < tolerance);
    // SwiftShader has no arithmetic of 16 bits.
    if (process.platform === 'linux') assert.equal(probe.float16, false);
    const impatient = await probeDevice('webgpu', { slowest: 0 });
    assert.match(
      impatient.works ? '' : impatient.reason,
      /^its test run took \S+ ms, the CPU's \S+ ms$/,
    );
  });
});

describe('a session on WebGPU', { skip }, () => {
  it('refuses a graph of which a node would fall to the CPU', async () => {
    const graph = new Graph();
    const a = graph.input('a', 'int64', ['T']);
    graph.output(graph.op('Add', [a, graph.int64([1])]), 'b', 'int64', ['T']);
    await (await openSession(graph.bytes(), { threads: 1 })).dispose();
    const refused = openSession(graph.bytes(), { threads: 1, device: 'webgpu' });
    await assert.rejects(refused, /assigned to the default CPU EP/);
  });
});
