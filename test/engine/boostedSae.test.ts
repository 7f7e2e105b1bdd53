import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { cellsOf } from '../../src/engine/analysis/cells.ts';
import type { SaeReading } from '../../src/engine/saes/saeReading.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import type { Dictionary } from '../../src/saes/dictionary.ts';
import { requireResidual } from '../../src/saes/requireResidual.ts';
import { randomResidual } from '../fixtures/randomSae.ts';

const D = 24;
const K = 9;
const T = 40;
const shape = {
  inputWidth: D,
  hook: 'blocks.3.hook_resid_post',
  width: 12,
  threshold: 0.9,
} as const;
const random = new Random(8);
const x = Float32Array.from({ length: T * D }, () => random.normal());
const base: Dictionary = {
  ...randomResidual('base', { ...shape, width: 40, seed: 1 }),
  decoderBias: Float32Array.from({ length: D }, () => 0.1 * random.normal()),
  rule: { kind: 'topk', maxK: K },
};
const residuals = [
  randomResidual('a', { ...shape, seed: 2 }),
  randomResidual('b', { ...shape, seed: 3, scale: 0.4, width: 7 }),
];

async function read(dictionaries: readonly Dictionary[]): Promise<SaeReading> {
  const open = (dictionary: Dictionary) => SaeRunner.open(dictionary, { threads: 1 });
  const domains = [];
  let first = base.width;
  for (const dictionary of dictionaries) {
    domains.push({ first, runner: await open(dictionary) });
    first += dictionary.width;
  }
  const sae = new BoostedSae(await open(base), domains);
  try {
    return await sae.read({ x, target: x, from: 0, startsWindow: true });
  } finally {
    await sae.dispose();
  }
}

/** Float64 pre-activations of a token. */
function preActivations({ encoder, encoderBias, width }: Dictionary, t: number): number[] {
  return Array.from({ length: width }, (_, f) => {
    let h = encoderBias[f] ?? NaN;
    for (let d = 0; d < D; d++) h += (encoder[f * D + d] ?? NaN) * (x[t * D + d] ?? NaN);
    return h;
  });
}

/** What is left of x when these features are taken from it, float64. */
function without(
  from: readonly number[],
  dictionary: Dictionary,
  acts: ReadonlyMap<number, number>,
) {
  return from.map((value, d) => {
    let rest = value;
    for (const [f, a] of acts) rest -= a * (dictionary.decoder[f * D + d] ?? NaN);
    return rest;
  });
}

function firing(dictionary: Dictionary, t: number): Map<number, number> {
  const threshold = dictionary.rule.kind === 'jumprelu' ? dictionary.rule.threshold : undefined;
  const all = preActivations(dictionary, t).map((h, f) => [f, h] as const);
  return new Map(all.filter(([f, h]) => h > (threshold?.[f] ?? 0)));
}

describe('a base with the residual SAEs of domains', () => {
  it('gives the error of every subset of domains at every k, as float64 has it', async () => {
    const { squaredError, domains, gram } = await read(residuals);
    let [largest, fired] = [0, 0];
    for (let t = 0; t < T; t++) {
      const bias = Array.from(
        { length: D },
        (_, d) => (x[t * D + d] ?? NaN) - (base.decoderBias?.[d] ?? NaN),
      );
      const ranked = [...firing(base, t)].sort(([, a], [, b]) => b - a);
      for (let k = 1; k <= K; k++) {
        const e = without(bias, base, new Map(ranked.slice(0, k)));
        for (const on of [[], [0], [1], [0, 1]]) {
          const rest = on.reduce((left, d) => {
            const residual = residuals[d];
            assert.ok(residual);
            return without(left, residual, firing(residual, t));
          }, e);
          const expected = rest.reduce((sum, value) => sum + value * value, 0);
          const at = t * K + k - 1;
          let found = squaredError[at] ?? NaN;
          for (const a of on) {
            found -= 2 * (domains[a]?.products[at] ?? NaN);
            for (const b of on) found += gram[(t * 2 + a) * 2 + b] ?? NaN;
          }
          largest = Math.max(largest, Math.abs(found - expected) / (1 + expected));
        }
      }
      fired += residuals.reduce((sum, residual) => sum + firing(residual, t).size, 0);
    }
    assert.ok(fired > T, `${fired} domain features fired`);
    assert.ok(largest < 1e-5, `errors differ by ${largest}`);
  });

  it('lets go of what is open where another cannot be opened', async t => {
    const opened: SaeRunner[] = [];
    const open = SaeRunner.open.bind(SaeRunner);
    t.mock.method(SaeRunner, 'open', async (...args: Parameters<typeof open>) => {
      if (opened.length === 2) throw new Failure('out-of-memory', 'no room');
      const runner = await open(...args);
      opened.push(runner);
      return runner;
    });
    const domains = residuals.map((dictionary, i) => ({ dictionary, first: 40 + i, maxK: 5 }));
    const boosted = BoostedSae.open(base, domains, { threads: 1 });
    await assert.rejects(boosted, error => Failure.is(error, 'out-of-memory'));
    assert.equal(opened.length, 2);
    for (const runner of opened) {
      await assert.rejects(runner.encode(x), error => Failure.is(error, 'stopped'));
    }
  });

  it('numbers the features of domains after those of the base', async () => {
    const { domains } = await read(residuals);
    domains.forEach(({ k, features, activations }, i) => {
      const residual = residuals[i];
      assert.ok(residual);
      const first = base.width + (i === 0 ? 0 : (residuals[0]?.width ?? NaN));
      for (let t = 0; t < T; t++) {
        const found = new Map<number, number>();
        for (let j = t * k; j < (t + 1) * k; j++) {
          const activation = activations[j] ?? 0;
          if (activation > 0) found.set((features[j] ?? 0) - first, activation);
        }
        const expected = firing(residual, t);
        assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort(), `token ${t}`);
        for (const [f, a] of expected) assert.ok(Math.abs((found.get(f) ?? NaN) - a) < 1e-5);
      }
    });
  });

  it('says of the base, bit for bit, what the base says alone', async () => {
    const alone = await read([]);
    const silent = randomResidual('silent', { ...shape, threshold: 1e9 });
    const zero = randomResidual('zero', { ...shape, scale: 0 });
    for (const dictionaries of [residuals, [silent, zero]]) {
      const { domains, gram, ...rest } = await read(dictionaries);
      const { domains: none, gram: empty, ...expected } = alone;
      assert.deepEqual(rest, expected);
      assert.deepEqual([none.length, empty.length], [0, 0]);
      if (dictionaries === residuals) continue;
      assert.ok(domains.every(({ products }) => products.every(product => product === 0)));
      assert.ok(gram.every(product => product === 0));
    }
  });

  it('is cut into cells that hold no more per token than fires in them', async () => {
    const sae = await read(residuals);
    const block = {
      start: 0,
      end: T,
      surprisal: new Float32Array(T),
      predictedIds: new Uint32Array(T),
      probabilities: new Float32Array(T),
    };
    const ids = new Uint32Array(T);
    const cells = cellsOf({
      block,
      first: 0,
      carried: NaN,
      tokens: { ids, starts: ids, ends: ids },
      sae,
      predictions: 1,
      tokenText: String,
    });
    assert.deepEqual(
      cells.map(cell => cell.starts.length),
      [32, 8],
    );
    for (const cell of cells) {
      assert.deepEqual(
        cell.gram,
        sae.gram.slice(cell.firstToken * 4, (cell.firstToken + cell.starts.length) * 4),
      );
      cell.domains.forEach((domain, i) => {
        const residual = residuals[i];
        const counts = Array.from(cell.starts, (_, row) =>
          residual ? firing(residual, cell.firstToken + row).size : NaN,
        );
        assert.equal(domain.k, Math.max(...counts));
        const active = domain.activations.filter(activation => activation > 0).length;
        assert.equal(
          active,
          counts.reduce((a, b) => a + b),
        );
        assert.equal(domain.products.length, cell.starts.length * K);
      });
    }
  });
});

describe('requireResidual', () => {
  const [residual] = residuals as [Dictionary];
  const trainedFor = (hash: string) => ({ ...residual, base: { name: 'other', hash, k: null } });

  it('takes a residual SAE of the same activation, of this base or of none that it names', () => {
    requireResidual(residual, base, 'abc');
    requireResidual(trainedFor('abc'), base, 'abc');
  });

  it('refuses others, naming both and why', () => {
    const cases: [Dictionary, RegExp][] = [
      [base, /base .*for base: it has a decoder bias/],
      [{ ...residual, inputWidth: 12 }, /SAE a .*for base: .*width 12.*24 wide/],
      [{ ...residual, hook: 'blocks.4.hook_resid_post' }, /blocks\.4.*blocks\.3/],
      [trainedFor('abd'), /error of other/],
      [
        { ...residual, output: { hook: 'blocks.3.hook_mlp_out', width: D } },
        /SAE a .*for base: it is a transcoder/,
      ],
    ];
    for (const [dictionary, message] of cases) {
      assert.throws(() => requireResidual(dictionary, base, 'abc'), { code: 'mismatch', message });
    }
  });
});
