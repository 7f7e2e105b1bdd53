import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { AnalysisPart } from '../../src/contracts/engine.ts';
import type { Device } from '../../src/contracts/engine.ts';
import { OnDevice } from '../../src/engine/sessions/activations.ts';
import { Analysis, type ReadRequest } from '../../src/engine/analysis/analysis.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { DeviceSae } from '../../src/engine/saes/deviceSae.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { difference } from './difference.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const skip = useSoftwareGpu() ?? false;
const sessions = new RanOn();
const tolerance = 1e-5;

/** What is left on the device, counted where onnxruntime gives it and where it is let go of. */
const left = { most: 0, now: 0 };
/** Fails a run once, as a device that is lost. */
let failing: ((feeds: object) => boolean) | undefined;
const create = InferenceSession.create.bind(InferenceSession) as (
  graph: Uint8Array,
  options: InferenceSession.SessionOptions,
) => Promise<InferenceSession>;
Object.assign(InferenceSession, {
  create: async (graph: Uint8Array, options: InferenceSession.SessionOptions) => {
    const session = await create(graph, options);
    const run = session.run.bind(session) as (...all: unknown[]) => Promise<Record<string, Tensor>>;
    const counted = async (feeds: object, ...rest: unknown[]) => {
      if (failing?.(feeds)) {
        failing = undefined;
        throw new Error('Device is lost.');
      }
      const outputs = await run(feeds, ...rest);
      for (const tensor of Object.values(outputs)) {
        if (tensor.location === 'cpu') continue;
        left.most = Math.max(left.most, ++left.now);
        const dispose = tensor.dispose.bind(tensor);
        tensor.dispose = () => {
          left.now--;
          dispose();
        };
      }
      return outputs;
    };
    return Object.assign(session, { run: counted });
  },
});

const [D, F, K] = [64, 96, 8];
const random = new Random(4);
const normals = (length: number, scale = 1) =>
  Float32Array.from({ length }, () => scale * random.normal());
const plain: Dictionary = {
  name: 'plain',
  hook: 'blocks.0.hook_resid_post',
  width: F,
  inputWidth: D,
  encoder: normals(F * D, 1 / Math.sqrt(D)),
  encoderBias: normals(F, 0.1),
  decoder: normals(F * D, 1 / Math.sqrt(D)),
  decoderBias: normals(D, 0.1),
  subtractDecoderBias: true,
  rule: { kind: 'topk', maxK: K },
  tokenPolicy: { excludeFirst: true, maxNorm: 9 },
  model: undefined,
  provenance: {},
};
const kinds: Readonly<Record<string, Dictionary>> = {
  topk: plain,
  jumprelu: { ...plain, rule: { kind: 'jumprelu', threshold: new Float32Array(F).fill(0.5) } },
  'layer norm, centred': { ...plain, inputNorm: 'layer', centred: true },
  'skip transcoder': {
    ...plain,
    subtractDecoderBias: false,
    output: { hook: 'blocks.0.hook_mlp_out', width: 40 },
    decoder: normals(F * 40, 1 / Math.sqrt(40)),
    decoderBias: normals(40),
    skip: normals(40 * D, 1 / D),
  },
};

describe('an SAE that reads where the activations are', () => {
  for (const [kind, dictionary] of Object.entries(kinds)) {
    for (const device of ['cpu', 'webgpu'] as const) {
      const isSkipped = device === 'webgpu' && (skip || kind === 'jumprelu');
      it(`says what the plain loops say: ${kind}, ${device}`, { skip: isSkipped }, async t => {
        sessions.are(`SAE, ${kind}: encoding, errors and sums`);
        const x = normals(90 * D);
        const lessMean = x.map((v, i) => v - mean(x.subarray(i - (i % D), i - (i % D) + D)));
        const own = dictionary.centred ? lessMean : x;
        const target = dictionary.output ? normals(90 * dictionary.output.width) : own;
        const open = { threads: 1, device } as const;
        const [sae, loops] = [
          await DeviceSae.open(dictionary, open),
          new BoostedSae(await SaeRunner.open(dictionary, { threads: 1 })),
        ];
        const request = { x, target, from: 3, startsWindow: true };
        const [found, expected] = [await sae.read(request), await loops.read(request)];
        assert.deepEqual(found.features, expected.features);
        const apart = {
          activations: difference(found.activations, expected.activations),
          errors: relative(found.squaredError, expected.squaredError),
          norms: 0,
          sums: 0,
        };
        assert.equal(found.cells.length, expected.cells.length);
        for (const [i, cell] of expected.cells.entries()) {
          const own = found.cells[i];
          assert.deepEqual(own?.excluded, cell.excluded);
          apart.norms = Math.max(apart.norms, relative(own.squaredNorm, cell.squaredNorm));
          const [sum, other] = [own.sum, cell.sum].map(of => Float32Array.from(of));
          apart.sums = Math.max(apart.sums, difference(sum, other));
        }
        t.diagnostic(
          JSON.stringify(apart, (_, of: unknown) =>
            typeof of === 'number' ? of.toExponential(1) : of,
          ),
        );
        assert.ok(Math.max(...Object.values(apart)) < tolerance);
        await Promise.all([sae.dispose(), loops.dispose()]);
      });
    }
  }
});

function mean(row: Float32Array): number {
  return row.reduce((sum, value) => sum + value, 0) / row.length;
}

function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce(
    (most, value, i) => Math.max(most, Math.abs(value / (b[i] ?? NaN) - 1)),
    0,
  );
}

describe('an analysis on WebGPU', { skip }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loupe-webgpu-analysis-'));
    await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  });
  after(() => rm(folder, { recursive: true }));

  const text = 'hellohelloabcdefghelloxyzhehello'.repeat(3);
  const dictionary: Dictionary = {
    ...plain,
    rule: { kind: 'jumprelu', threshold: new Float32Array(F).fill(0.01) },
  };

  async function open(device: Device) {
    const path = join(folder, 'tiny.gguf');
    const model = await ModelRunner.open({
      ...{ path, cacheFolder: folder, threads: 1, device },
      precision: 'float32',
    });
    if (device === 'cpu') {
      const sae = new BoostedSae(await SaeRunner.open(dictionary, { threads: 1 }));
      return { model, sae, analysis: new Analysis(model, sae, { blockLength: 64 }) };
    }
    // As 'auto' has it, which does not take a device as slow as this one.
    Object.assign(model.on, { mayFail: true });
    const sae = await DeviceSae.open(dictionary, { threads: 1, ...model.on.sessionOptions });
    return { model, sae, analysis: new Analysis(model, sae, { blockLength: 64 }) };
  }

  async function analysed(analysis: Analysis, signal = new AbortController().signal) {
    const parts: AnalysisPart[] = [];
    await analysis.analyze(
      { documentId: 'a', text, visible: { start: 0, end: 1 }, predictions: 2 },
      { signal, report: part => parts.push(part) },
    );
    return parts.sort((a, b) => a.firstToken - b.firstToken);
  }

  function assertSame(found: readonly AnalysisPart[], expected: readonly AnalysisPart[]): void {
    assert.deepEqual(
      found.map(part => [part.firstToken, part.k, part.features, part.excluded, part.predictions]),
      expected.map(part => [
        part.firstToken,
        part.k,
        part.features,
        part.excluded,
        part.predictions,
      ]),
    );
    for (const [i, part] of expected.entries()) {
      for (const of of ['activations', 'squaredError', 'probabilities'] as const) {
        assert.ok(difference(found[i]?.[of], part[of]) < 1e-4, of);
      }
    }
  }

  it('leaves the activations there, and says what the CPU says', async t => {
    sessions.are('analysis: segments, head with loss, SAE');
    const [gpu, cpu] = [await open('webgpu'), await open('cpu')];
    left.most = left.now = 0;
    const expected = await analysed(cpu.analysis);
    assert.ok(expected.some(({ activations }) => activations.some(a => a > 0)));
    assert.equal(left.most, 0);
    const read = gpu.sae.read.bind(gpu.sae);
    const seen: boolean[] = [];
    Object.assign(gpu.sae, {
      read: (request: ReadRequest) => {
        seen.push(request.x instanceof OnDevice && request.target instanceof OnDevice);
        return read(request);
      },
    });
    assertSame(await analysed(gpu.analysis), expected);
    assert.ok(seen.length > 0 && seen.every(Boolean), JSON.stringify(seen));
    t.diagnostic(`on the device: ${left.most} at most, ${left.now} in the end`);
    assert.ok(Math.max(left.most) > 0);
    assert.equal(left.now, 0);

    const stop = new AbortController();
    gpu.analysis.forget('a');
    Object.assign(gpu.sae, {
      read: () => {
        stop.abort(new Failure('cancelled', 'Enough.'));
        throw new Failure('internal', 'The SAE fails.');
      },
    });
    await assert.rejects(analysed(gpu.analysis, stop.signal), /The SAE fails/);
    assert.equal(left.now, 0);
    Object.assign(gpu.sae, { read });

    // The head fails, which reads what is here: the activations at the hook are lost all the same.
    gpu.analysis.forget('a');
    failing = feeds => 'labels' in feeds;
    await analysed(gpu.analysis);
    assert.deepEqual([gpu.model.info.device, left.now], ['CPU', 0]);
    await Promise.all([gpu.model, gpu.sae, cpu.model, cpu.sae].map(one => one.dispose()));
  });

  it('goes on on the CPU where the device is lost with what it holds', async () => {
    sessions.are('analysis: segments, head with loss, SAE');
    const [gpu, cpu] = [await open('webgpu'), await open('cpu')];
    left.most = left.now = 0;
    failing = feeds => 'cells' in feeds;
    assertSame(await analysed(gpu.analysis), await analysed(cpu.analysis));
    assert.deepEqual([gpu.model.info.device, left.now], ['CPU', 0]);
    assert.match(gpu.model.info.deviceNote ?? '', /WebGPU was lost, and the CPU goes on/);
    await Promise.all([gpu.model, gpu.sae, cpu.model, cpu.sae].map(one => one.dispose()));
  });
});
