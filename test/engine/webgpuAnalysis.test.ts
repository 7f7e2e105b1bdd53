import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { Failure } from '../../src/common/failure.ts';
import type { AnalysisPart, Device, DomainPart } from '../../src/contracts/engine.ts';
import { OnDevice } from '../../src/engine/sessions/activations.ts';
import { Analysis } from '../../src/engine/analysis/analysis.ts';
import type { ReadRequest } from '../../src/engine/saes/saeReading.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { DeviceSae } from '../../src/engine/saes/deviceSae.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { type ActivationRule, type Dictionary, largestK } from '../../src/saes/dictionary.ts';
import type { Residual } from '../../src/saes/residualsGraph.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { difference } from './difference.ts';
import { normals, plain, random } from './plainDictionary.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const skip = useSoftwareGpu() ?? false;
const sessions = new RanOn();

/** What is left on the device, counted where onnxruntime gives it and where it is let go of. */
const left = { most: 0, now: 0 };
/** What comes back from the runs of an SAE. */
const back = new Set<string>();
/** Each fails a run once, one after the other, as a device that is lost. */
let failing: ((feeds: object) => boolean)[] = [];
const create = InferenceSession.create.bind(InferenceSession) as (
  graph: Uint8Array,
  options: InferenceSession.SessionOptions,
) => Promise<InferenceSession>;
Object.assign(InferenceSession, {
  create: async (graph: Uint8Array, options: InferenceSession.SessionOptions) => {
    const session = await create(graph, options);
    const run = session.run.bind(session) as (...all: unknown[]) => Promise<Record<string, Tensor>>;
    const counted = async (feeds: object, ...rest: unknown[]) => {
      if (failing[0]?.(feeds)) {
        failing.shift();
        throw new Error('Device is lost.');
      }
      const outputs = await run(feeds, ...rest);
      for (const [name, tensor] of Object.entries(outputs)) {
        if (tensor.location === 'cpu' && 'cells' in feeds) back.add(name);
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

const { inputWidth: D, width: F } = plain;
const thresholds = Float32Array.from({ length: 70 }, () => 0.02 * (1 + random.uniform()));
const residuals = [
  residual(F, 70, { kind: 'jumprelu', threshold: thresholds }),
  residual(F + 70, 40, { kind: 'topk', maxK: 5 }),
];

function residual(first: number, width: number, rule: ActivationRule): Residual {
  const rows = normals(width * D, 1 / Math.sqrt(D));
  const weights = { encoder: rows, decoder: rows, encoderBias: normals(width, 0.01) };
  const dictionary: Dictionary = { ...plain, ...weights, width, rule, decoderBias: undefined };
  return { dictionary, first, maxK: largestK(rule) ?? width };
}

describe('an analysis on WebGPU', { skip }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'loupe-webgpu-analysis-'));
    await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  });
  after(() => rm(folder, { recursive: true }));

  const text = 'hellohelloabcdefghelloxyzhehello'.repeat(5);
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
      const sae = await BoostedSae.open(dictionary, residuals, { threads: 1 });
      return { model, sae, analysis: new Analysis(model, sae, { blockLength: 64 }) };
    }
    // As 'auto' has it, which does not take a device as slow as this one.
    Object.assign(model.on, { mayFail: true });
    const options = { threads: 1, ...model.on.sessionOptions };
    const sae = await DeviceSae.open(dictionary, residuals, options);
    return { model, sae, analysis: new Analysis(model, sae, { blockLength: 64 }) };
  }

  async function analysed(
    analysis: Analysis,
    { signal = new AbortController().signal, edited = text, documentId = 'a' } = {},
  ) {
    const parts: AnalysisPart[] = [];
    await analysis.analyze(
      { documentId, text: edited, visible: { start: 0, end: 1 }, predictions: 2 },
      { signal, report: part => parts.push(part) },
    );
    return parts.sort((a, b) => a.firstToken - b.firstToken);
  }

  function assertSame(
    t: TestContext,
    found: readonly AnalysisPart[],
    expected: readonly AnalysisPart[],
  ): void {
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
    const apart: Record<string, number> = {};
    const compare = (of: string, a: Float32Array | undefined, b: Float32Array) => {
      apart[of] = Math.max(apart[of] ?? 0, difference(a, b));
    };
    for (const [i, part] of expected.entries()) {
      for (const of of ['activations', 'squaredError', 'probabilities', 'gram'] as const) {
        compare(of, found[i]?.[of], part[of]);
      }
      assert.equal(part.domains.length, residuals.length);
      for (const [d, domain] of part.domains.entries()) {
        const own = found[i]?.domains[d];
        assert.ok(own && domain.k > 0);
        assert.deepEqual([own.k, firing(own)], [domain.k, firing(domain)]);
        for (const of of ['activations', 'products'] as const) {
          compare(`${of} of domains`, own[of], domain[of]);
        }
      }
    }
    t.diagnostic(JSON.stringify(apart));
    assert.ok(Math.max(...Object.values(apart)) < 1e-4, JSON.stringify(apart));
  }

  /** The numbers of the features that fire, 0 elsewhere. */
  function firing({ features, activations }: DomainPart): number[] {
    return Array.from(features, (feature, i) => ((activations[i] ?? 0) > 0 ? feature : 0));
  }

  it('leaves the activations there, and says what the CPU says', async t => {
    sessions.are('analysis: segments, head with loss, SAE and domains');
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
    assertSame(t, await analysed(gpu.analysis), expected);
    assert.ok(seen.length > 0 && seen.every(Boolean), JSON.stringify(seen));
    t.diagnostic(`on the device: ${left.most} at most, ${left.now} in the end`);
    // Keys and values, for the next analysis.
    const kept = 2 * gpu.model.config.layers;
    assert.deepEqual([left.most > kept, left.now], [true, kept]);
    assert.deepEqual([...back].sort(), [
      ...['activations', 'activations0', 'activations1', 'features', 'features0', 'features1'],
      ...['gram', 'products', 'squaredError', 'squaredNorm', 'sums', 'within'],
    ]);

    // Of what is kept only what comes before the edit still holds.
    const edited = `${text.slice(0, 50)}world${text.slice(50)}`;
    const before = back.size;
    assertSame(
      t,
      await analysed(gpu.analysis, { edited }),
      await analysed(cpu.analysis, { edited }),
    );
    assert.deepEqual([left.now, back.size, gpu.model.info.device], [kept, before, 'WebGPU']);

    const stop = new AbortController();
    gpu.analysis.forget('a');
    assert.equal(left.now, 0);
    Object.assign(gpu.sae, {
      read: () => {
        stop.abort(new Failure('cancelled', 'Enough.'));
        throw new Failure('internal', 'The SAE fails.');
      },
    });
    await assert.rejects(analysed(gpu.analysis, stop), /The SAE fails/);
    assert.equal(left.now, 0);
    Object.assign(gpu.sae, { read });

    // Cancelled while the head runs, when the activations at the hook are there.
    const cancel = new AbortController();
    gpu.analysis.forget('a');
    failing = [
      feeds => {
        if ('labels' in feeds) cancel.abort(new Failure('cancelled', 'Enough.'));
        return false;
      },
    ];
    left.most = 0;
    await assert.rejects(analysed(gpu.analysis, cancel), /Enough/);
    assert.deepEqual([left.most > 0, left.now], [true, 0]);

    // The head fails, which reads what is here: the activations at the hook are lost all the same.
    gpu.analysis.forget('a');
    failing = [feeds => 'labels' in feeds];
    await analysed(gpu.analysis);
    gpu.analysis.dispose();
    assert.deepEqual([gpu.model.info.device, left.now], ['CPU', 0]);
    await Promise.all([gpu.model, gpu.sae, cpu.model, cpu.sae].map(one => one.dispose()));
  });

  const holdsPast = (feeds: object): boolean =>
    Object.entries(feeds as Record<string, Tensor>).some(
      ([name, { location }]) => name.startsWith('past.') && location !== 'cpu',
    );
  const readsCells = (feeds: object): boolean => 'cells' in feeds;
  for (const [held, fails] of [
    ['the activations that it holds', [readsCells]],
    ['the keys and values that it holds', [holdsPast]],
    ['both, one after the other', [readsCells, holdsPast]],
  ] as const) {
    it(`goes on on the CPU where the device is lost with ${held}`, async t => {
      sessions.are('analysis: segments, head with loss, SAE and domains');
      const [gpu, cpu] = [await open('webgpu'), await open('cpu')];
      left.most = left.now = 0;
      failing = [...fails];
      assertSame(t, await analysed(gpu.analysis), await analysed(cpu.analysis));
      gpu.analysis.dispose();
      assert.deepEqual([gpu.model.info.device, failing, left.now], ['CPU', [], 0]);
      assert.match(gpu.model.info.deviceNote ?? '', /WebGPU was lost, and the CPU goes on/);
      await Promise.all([gpu.model, gpu.sae, cpu.model, cpu.sae].map(one => one.dispose()));
    });
  }

  it('lets go of what it kept of other documents when the model has left the device', async () => {
    sessions.are('analysis: segments, head with loss, SAE and domains');
    const gpu = await open('webgpu');
    left.most = left.now = 0;
    await analysed(gpu.analysis);
    const kept = 2 * gpu.model.config.layers;
    assert.equal(left.now, kept);
    failing = [feeds => 'ids' in feeds];
    await analysed(gpu.analysis, { documentId: 'b' });
    // The layers behind the hook have a session of their own, which has not failed.
    assert.deepEqual([gpu.model.info.device, failing, left.now], ['CPU', [], kept / 2]);
    await analysed(gpu.analysis);
    gpu.analysis.dispose();
    assert.equal(left.now, 0);
    await Promise.all([gpu.model, gpu.sae].map(one => one.dispose()));
  });
});
