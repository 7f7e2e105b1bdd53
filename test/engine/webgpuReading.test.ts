import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { SaeReading } from '../../src/engine/saes/saeReading.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { DeviceSae } from '../../src/engine/saes/deviceSae.ts';
import { openSae } from '../../src/engine/saes/readySae.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import type { Residual } from '../../src/saes/residualsGraph.ts';
import { randomResidual } from '../fixtures/randomSae.ts';
import { difference } from './difference.ts';
import { K, normals, plain } from './plainDictionary.ts';
import { RanOn } from './ranOn.ts';
import { useSoftwareGpu } from './softwareGpu.ts';

const skip = useSoftwareGpu() ?? false;
const sessions = new RanOn();
const tolerance = 1e-5;
const devices = ['cpu', 'webgpu'] as const;

const T = 90;
const { inputWidth: D, width: F } = plain;
const centred: Dictionary = { ...plain, inputNorm: 'layer', centred: true };
const kinds: Readonly<Record<string, Dictionary>> = {
  topk: plain,
  jumprelu: { ...plain, rule: { kind: 'jumprelu', threshold: new Float32Array(F).fill(0.5) } },
  'layer norm, centred': centred,
  'skip transcoder': {
    ...plain,
    subtractDecoderBias: false,
    output: { hook: 'blocks.0.hook_mlp_out', width: 40 },
    decoder: normals(F * 40, 1 / Math.sqrt(40)),
    decoderBias: normals(40),
    skip: normals(40 * D, 1 / D),
  },
};

const shape = { inputWidth: D, hook: plain.hook } as const;
const calibrated: Dictionary = {
  ...randomResidual('calibrated', { ...shape, width: 70, seed: 2 }),
  rule: { kind: 'jumprelu', threshold: normals(70, 0.2).map(value => 1 + value) },
};
/** Its features come in pairs, of which each has the other's activations: which of them is kept is a matter of order. */
const paired: Dictionary = {
  ...pairs(randomResidual('paired', { ...shape, width: 50, seed: 3, scale: 0.4 })),
  rule: { kind: 'topk', maxK: 5 },
};
const normalised: Dictionary = {
  ...randomResidual('normalised', { ...shape, width: 33, seed: 5 }),
  inputNorm: 'layer',
  rule: { kind: 'relu' },
};
const domains: Readonly<Record<string, readonly [Dictionary, Residual[]]>> = {
  'jumprelu and topk': [plain, numbered([calibrated, 1024], [paired, 5])],
  'more than are kept, none, normalised': [
    centred,
    numbered(
      [calibrated, 3],
      [randomResidual('silent', { ...shape, threshold: 1e9 }), 64],
      [normalised, 33],
    ),
  ],
};

describe('an SAE that reads where the activations are', () => {
  for (const [kind, dictionary] of Object.entries(kinds)) {
    for (const device of devices) {
      const isSkipped = device === 'webgpu' && skip !== false;
      it(`says what the plain loops say: ${kind}, ${device}`, { skip: isSkipped }, async t => {
        sessions.are(`SAE, ${kind}: encoding, errors and sums`);
        const { found, expected } = await readBoth(dictionary, [], { device });
        assert.deepEqual(found.features, expected.features);
        assertClose(t, baseApart(found, expected));
      });
    }
  }
});

describe('an SAE and its domains that read where the activations are', () => {
  for (const [kind, [dictionary, residuals]] of Object.entries(domains)) {
    for (const device of devices) {
      const isSkipped = device === 'webgpu' && skip;
      it(`say what the plain loops say: ${kind}, ${device}`, { skip: isSkipped }, async t => {
        sessions.are(`SAE and domains, ${kind}: encodings, errors and sums`);
        // 32 rows a run: what the runs say of a domain is of as many ranks as fire in each.
        const options = { device, numbersPerRun: 32 * K * D };
        const { found, expected } = await readBoth(dictionary, residuals, options);
        assert.deepEqual(found.features, expected.features);
        const apart: Record<string, number> = baseApart(found, expected);
        assert.equal(found.domains.length, residuals.length);
        for (const [i, domain] of expected.domains.entries()) {
          const own = found.domains[i];
          assert.ok(own);
          const [firing, others] = [own, domain].map(firingOf);
          assert.deepEqual(
            firing?.map(row => row.map(([feature]) => feature)),
            others?.map(row => row.map(([feature]) => feature)),
          );
          const most = Math.max(1, ...(others ?? []).map(row => row.length));
          assert.equal(own.k, most, 'no more come back than fire');
          const name = residuals[i]?.dictionary.name ?? '';
          const [a, b] = [firing, others].map(rows =>
            Float32Array.from((rows ?? []).flat().map(([, activation]) => activation)),
          );
          if (name === 'silent') assert.equal(a?.length, 0);
          else apart[`activations of ${name}`] = difference(a, b);
          if (name === 'silent') assert.ok(own.products.every(product => product === 0));
          else apart[`products of ${name}`] = difference(own.products, domain.products);
        }
        apart['gram'] = difference(found.gram, expected.gram);
        assertClose(t, apart);
      });
    }
  }

  it('are read there only if all of them can be', { skip }, async () => {
    sessions.are('SAE and domains, jumprelu and topk: encodings, errors and sums');
    const groups: Dictionary = { ...paired, rule: { kind: 'groupmax', groups: 5 } };
    const weights = ({ encoder, decoder }: Dictionary) => encoder.byteLength + decoder.byteLength;
    for (const own of [numbered([calibrated, 70]), numbered([calibrated, 70], [groups, 5])]) {
      const isThere = own.length === 1;
      const sae = await openSae(plain, own, { threads: 1, device: 'webgpu' });
      assert.equal(sae.readsOnDevice === true, isThere);
      if (isThere) assert.equal(sae.weightBytes, weights(plain) + weights(calibrated));
      await sae.dispose();
    }
  });
});

interface Open {
  readonly device: (typeof devices)[number];
  readonly numbersPerRun?: number;
}

/** What the graph says, and what the CPU's encoders and plain loops say. */
async function readBoth(dictionary: Dictionary, residuals: readonly Residual[], open: Open) {
  const x = normals(T * D);
  const lessMean = x.map((v, i) => v - mean(x.subarray(i - (i % D), i - (i % D) + D)));
  const own = dictionary.centred ? lessMean : x;
  const target = dictionary.output ? normals(T * dictionary.output.width) : own;
  const sae = await DeviceSae.open(dictionary, residuals, { threads: 1, ...open });
  const loops = await BoostedSae.open(dictionary, residuals, { threads: 1 });
  const request = { x, target, from: 3, startsWindow: true };
  const [found, expected] = [await sae.read(request), await loops.read(request)];
  await Promise.all([sae.dispose(), loops.dispose()]);
  return { found, expected };
}

function baseApart(found: SaeReading, expected: SaeReading) {
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
  return apart;
}

function assertClose(t: TestContext, apart: Readonly<Record<string, number>>): void {
  t.diagnostic(
    JSON.stringify(apart, (_, of: unknown) => (typeof of === 'number' ? of.toExponential(1) : of)),
  );
  assert.ok(Math.max(...Object.values(apart)) < tolerance);
}

/** Number and activation of what fires, token by token. */
function firingOf({ k, features, activations }: SaeReading['domains'][number]) {
  return Array.from({ length: activations.length / k }, (_, t) =>
    Array.from(
      { length: k },
      (_, j) => [features[t * k + j] ?? NaN, activations[t * k + j] ?? NaN] as const,
    ).filter(([, activation]) => activation > 0),
  );
}

function numbered(...saes: readonly (readonly [Dictionary, number])[]): Residual[] {
  let first = F;
  return saes.map(([dictionary, maxK]) => {
    const own = { dictionary, first, maxK: Math.min(maxK, dictionary.width) };
    first += dictionary.width;
    return own;
  });
}

/** Each odd feature with the encoder's row of the one before. */
function pairs(dictionary: Dictionary): Dictionary {
  const encoder = dictionary.encoder.slice();
  for (let row = D; row < encoder.length; row += 2 * D) encoder.copyWithin(row, row - D, row);
  return { ...dictionary, encoder };
}

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
