import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { InferenceSession } from 'onnxruntime-node';
import { Failure } from '../../src/common/failure.ts';
import { DeviceInUse } from '../../src/engine/devices/deviceInUse.ts';
import { float16Deviation } from '../../src/engine/model/float16Deviation.ts';
import { isFloat16, loadModel, type LoadedModel } from '../../src/engine/model/loadModel.ts';
import { ModelBody } from '../../src/engine/model/modelBody.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { inPrecision, withDeviation } from '../../src/engine/model/precision.ts';
import { weightBytes } from '../../src/engine/model/weightBytes.ts';
import { buildDecoder } from '../../src/models/decoder.ts';
import { hookAt } from '../../src/models/hooks.ts';
import { Graph } from '../../src/onnx/graph.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { fixture } from './model.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-float16-'));
  await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
});
after(() => rm(folder, { recursive: true }));

const tiny = () => load(join(folder, 'tiny.gguf'));
const load = (path: string) => loadModel({ path, cacheFolder: folder, threads: 1 }, {});

/** The tiny model on a device with arithmetic of float16, which `inDisguise` plays. */
async function onDevice(): Promise<LoadedModel> {
  const program = join(folder, 'probe.mjs');
  const found = { difference: 0, milliseconds: 1, cpuMilliseconds: 2, float16: true };
  await writeFile(program, `process.send(${JSON.stringify(found)}); setInterval(() => 0, 1000);`);
  return { ...(await tiny()), on: await DeviceInUse.choose('webgpu', { program }) };
}

/** With sessions on the CPU whatever their device, of graphs that are changed first, or refused. */
async function inDisguise<T>(
  change: (graph: Uint8Array, device: unknown) => Uint8Array,
  body: () => Promise<T>,
): Promise<T> {
  const create = InferenceSession.create.bind(InferenceSession) as (
    graph: Uint8Array,
    options: InferenceSession.SessionOptions,
  ) => Promise<InferenceSession>;
  const disguised = async (graph: Uint8Array, options: InferenceSession.SessionOptions) =>
    create(change(graph, options.executionProviders?.[0]), {
      intraOpNumThreads: 1,
      extra: external,
    });
  Object.assign(InferenceSession, { create: disguised });
  try {
    return await body();
  } finally {
    Object.assign(InferenceSession, { create });
  }
}

/** Where the graphs' weights are looked for. */
const external = {
  session: { model_external_initializers_file_folder_path: parse(process.cwd()).root },
};

function isInFloat16(graph: Uint8Array): boolean {
  return Graph.read(graph).proto.node.some(
    ({ opType, attribute }) =>
      opType === 'Cast' && attribute.some(({ i }) => i === BigInt(DataType.FLOAT16)),
  );
}

/** The graph of all layers, for WebGPU. */
function graphOf({ config, weights }: LoadedModel, float16: boolean): Graph {
  const hooks = [hookAt(2 * config.layers)];
  const request = { hooks, head: 'logits', cache: true, device: 'webgpu', float16 } as const;
  return Graph.read(buildDecoder(config, weights, request));
}

/**
 * On the CPU onnxruntime takes casts there and back away, and computes in float32. Rounding to float16's 11 bits stands in
 * for them: c - (c - x) for c = (2^13 + 1) x. Source: Dekker 1971, doi 10.1007/BF01397083, section 5 (Veltkamp's).
 */
function roundInPlaceOfCasts(model: Uint8Array): Uint8Array {
  const graph = Graph.read(model);
  for (const node of graph.proto.node.splice(0)) {
    const [input = '', output = ''] = [node.input[0], node.output[0]];
    if (node.opType !== 'Cast') {
      graph.proto.node.push(node);
      continue;
    }
    const x = { name: input };
    const c = graph.op('Mul', [x, graph.float32(Float32Array.of(2 ** 13 + 1), [])]);
    graph.alias(graph.op('Sub', [c, graph.op('Sub', [c, x])]), output);
  }
  return graph.bytes();
}

describe('a model in float16', () => {
  for (const name of ['gemma2', 'gpt2', 'gpt_neox', 'llama', 'qwen3']) {
    it(`multiplies by weights in float16, and computes all else in float32: ${name}`, async () => {
      const { node, output } = graphOf(await load(fixture(`architectures/${name}`)), true).proto;
      const made = new Map(node.flatMap(of => of.output.map(out => [out, of] as const)));
      const isHalf = (of: string | undefined) =>
        made.get(of ?? '')?.attribute.find(({ name }) => name === 'to')?.i ===
        BigInt(DataType.FLOAT16);
      const products = node.filter(({ opType }) => opType === 'Gemm');
      assert.ok(products.length > 4);
      for (const { input, output } of products) {
        assert.ok(input.length === 2 && input.every(isHalf));
        const readers = node.filter(of => of.input.includes(output[0] ?? ''));
        assert.deepEqual(
          readers.map(({ opType }) => opType),
          ['Cast'],
        );
      }
      const others = node.filter(of => of.opType !== 'Gemm' && of.input.some(isHalf));
      assert.deepEqual(others, []);
      assert.ok(output.every(({ name }) => !isHalf(name)));
    });
  }

  it('is as far from float32 as the rounding of 11 bits lets it be', async t => {
    // Of each product of D or F terms, factors are rounded to one part in 2^11; the layers' add up.
    const model = await onDevice();
    const found = await inDisguise(roundInPlaceOfCasts, () => float16Deviation(model));
    t.diagnostic(JSON.stringify(found));
    assert.ok(!('failed' in found));
    assert.ok(found.activations > 1e-5 && found.activations < 1e-2);
    assert.ok(found.divergence > 0 && found.divergence < 1e-3);
    const { float16 } = withDeviation(model, 'auto', found);
    assert.match(float16 ?? '', /^float16: activations differ by up to 0\.\d+ %, KL \de-\d+$/);
  });

  it('is refused by itself where it is far from float32, but not where it was asked for', async () => {
    const model = await tiny();
    for (const far of [
      { activations: NaN, divergence: NaN },
      { activations: 0.02, divergence: 1e-5 },
    ]) {
      const auto = withDeviation(model, 'auto', far);
      assert.ok(!auto.float16);
      assert.match(auto.info.precision, /^float32.* \(not float16: activations differ by/);
      assert.match(withDeviation(model, 'float16', far).float16 ?? '', /^float16: activations/);
    }
  });

  for (const [failed, what, fails] of [
    ['float32', 'does not fit', (graph: Uint8Array) => !isInFloat16(graph)],
    ['float16', 'does not run', isInFloat16],
  ] as const) {
    it(`leaves no device for a measurement of which ${failed} ${what}`, async () => {
      const message = what === 'does not fit' ? 'Failed to allocate memory' : 'no such kernel';
      const model = await onDevice();
      const refuse = (graph: Uint8Array) => {
        if (fails(graph)) throw new Error(message);
        return graph;
      };
      const [auto, asked] = await inDisguise(refuse, async () => [
        await inPrecision(model, 'auto', {}),
        await inPrecision(model, 'float16', {}),
      ]);
      assert.deepEqual(model.on.told, { device: 'WebGPU' });
      assert.equal(auto.float16, undefined);
      assert.match(
        auto.info.precision,
        failed === 'float32'
          ? /^float32.* \(not float16: float32 did not fit, and what was not compared/
          : /^float32.* \(not float16: it failed there\)$/,
      );
      if (failed === 'float32') {
        assert.equal(asked.float16, 'float16, not compared: float32 did not fit');
      } else assert.equal(asked.float16, undefined);
    });
  }

  it('is cancelled while it is measured', async () => {
    const model = await onDevice();
    const signal = AbortSignal.abort();
    const measured = inDisguise(
      graph => graph,
      () => inPrecision(model, 'float16', { signal }),
    );
    await assert.rejects(measured, error => Failure.is(error, 'cancelled'));
  });

  it('is held at half the size, but for the rows that are looked up', async () => {
    const wide = await onDevice();
    const half = { ...wide, float16: 'float16: as measured' };
    // V = 260, D = 64, two layers of queries and outputs, keys and values, three of the feed-forward part; the embedding is tied.
    const [embedding, norms] = [260 * 64, 5 * 64];
    const matrices = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 96);
    assert.equal(weightBytes(wide), 4 * (embedding + norms + matrices));
    assert.equal(weightBytes(half), 4 * (embedding + norms) + 2 * (embedding + matrices));
    half.on.sessionOptions.deviceFailed?.(new Failure('internal', 'Device is lost.'));
    assert.equal(weightBytes(half), weightBytes(wide));
  });

  it('is float32 from the failure of its device on', async () => {
    const half = { ...(await onDevice()), float16: 'float16: as measured' };
    const graphs: boolean[] = [];
    const run = async (model: LoadedModel) => {
      const body = new ModelBody(model);
      await body.run({
        ...{ start: undefined, input: Uint32Array.of(1, 2, 3), past: undefined, hooks: [] },
        ...{ toEnd: true, keep: false, replaced: undefined, buffers: new Map() },
        ...{ keepBuffers: false, leave: false, signal: undefined },
      });
      await body.dispose();
    };
    await inDisguise(
      (graph, device) => {
        graphs.push(isInFloat16(graph));
        if (device === 'webgpu') throw new Error('Device is lost.');
        return roundInPlaceOfCasts(graph);
      },
      async () => {
        await run(half); // refused by the device
        await run(half); // opened on the CPU
      },
    );
    assert.deepEqual(graphs, [true, false, false]);
    assert.equal(half.on.device, 'cpu');
    assert.ok(isFloat16(half, 'webgpu') && !isFloat16(half, half.on.device));
  });

  it('is float32 on the CPU, and says so where float16 was asked for', async () => {
    const request = { path: join(folder, 'tiny.gguf'), cacheFolder: folder, threads: 1 } as const;
    const [auto, asked] = [
      await ModelRunner.open({ ...request, precision: 'auto' }),
      await ModelRunner.open({ ...request, precision: 'float16' }),
    ];
    assert.match(auto.info.precision, /^float32/);
    assert.ok(!auto.info.precision.includes('float16:'));
    assert.match(asked.info.precision, /\(not float16: the CPU has no arithmetic of float16\)$/);
    const run = { tokenIds: Uint32Array.of(1, 2, 3), hooks: [], head: 'logits' } as const;
    assert.deepEqual((await asked.run(run)).logits, (await auto.run(run)).logits);
    await Promise.all([auto.dispose(), asked.dispose()]);
  });
});
