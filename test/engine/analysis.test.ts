import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AnalysisPart } from '../../src/contracts/engine.ts';
import { Analysis, type AnalysisOptions } from '../../src/engine/analysis/analysis.ts';
import { BoostedSae } from '../../src/engine/saes/boostedSae.ts';
import { ModelRunner } from '../../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../../src/engine/saes/saeRunner.ts';
import { windowsOf } from '../../src/engine/analysis/windows.ts';
import { readSaeLens } from '../../src/saes/formats/saelens.ts';
import { fixture, modelRequest } from './model.ts';

const small: AnalysisOptions = { windowLength: 128, overlap: 64, blockLength: 64 };
const text = `${'A lens gathers light; a loupe is a lens held to the eye. '.repeat(9)}
Каждый охотник желает знать, где сидит фазан. 灯台下暗し 👩‍🔬 naïve cafe\u0301
function area(radius: number): number { return Math.PI * radius ** 2; }
`;

let model: ModelRunner;
let sae: SaeRunner;
before(async () => {
  model = await ModelRunner.open(modelRequest());
  sae = await SaeRunner.open(await readSaeLens(fixture('evaluation')), { threads: 2 });
});
after(async () => {
  await sae.dispose();
  await model.dispose();
});

/** The results of every token, from the parts of one analysis. */
interface Results {
  readonly surprisal: number[];
  readonly predictions: string[];
  readonly probabilities: number[];
  readonly features: number[][];
  readonly activations: number[][];
  readonly squaredNorm: number[];
  readonly squaredError: number[];
  readonly spans: [number, number][];
}

async function analyze(analysis: Analysis, content: string): Promise<Results> {
  const parts: AnalysisPart[] = [];
  await analysis.analyze(
    { documentId: 'a', text: content, visible: { start: 0, end: 1 }, predictions: 3 },
    { signal: new AbortController().signal, report: part => parts.push(part) },
  );
  parts.sort((a, b) => a.firstToken - b.firstToken);
  const rows = (values: (part: AnalysisPart) => ArrayLike<number>, k: number): number[][] =>
    parts.flatMap(part => {
      const all = Array.from(values(part));
      return Array.from(part.tokenIds, (_id, row) => all.slice(row * k, (row + 1) * k));
    });
  return {
    surprisal: rows(part => part.surprisal, 1).flat(),
    predictions: parts.flatMap(part => part.predictions),
    probabilities: rows(part => part.probabilities, 3).flat(),
    features: rows(part => part.features, sae.maxK),
    activations: rows(part => part.activations, sae.maxK),
    squaredNorm: rows(part => part.squaredNorm, 1).flat(),
    squaredError: rows(part => part.squaredError, sae.maxK).flat(),
    spans: parts.flatMap(({ tokenIds, starts, ends }) =>
      Array.from(tokenIds, (_id, i): [number, number] => [starts[i] ?? NaN, ends[i] ?? NaN]),
    ),
  };
}

/** Largest distance, relative where the values are large; both NaN is no distance. */
function distance(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  return a.reduce((max, value, i) => {
    const other = b[i] ?? NaN;
    if (Number.isNaN(value) && Number.isNaN(other)) return max;
    const apart = Math.abs(value - other) / Math.max(1, Math.abs(other));
    return Number.isNaN(apart) ? Infinity : Math.max(max, apart);
  }, 0);
}

function assertSame(found: Results, expected: Results, tolerance: number): void {
  assert.deepEqual(found.spans, expected.spans);
  assert.deepEqual(found.predictions, expected.predictions);
  for (const name of ['surprisal', 'probabilities', 'squaredNorm', 'squaredError'] as const) {
    const apart = distance(found[name], expected[name]);
    assert.ok(apart < tolerance, `${name} differ by ${apart}`);
  }
  const apart = distance(found.activations.flat(), expected.activations.flat());
  assert.ok(apart < tolerance, `activations differ by ${apart}`);
  // Features of equal activation may change places; where nothing fires the number means nothing.
  const active = ({ features, activations }: Results): number[][] =>
    features.map((row, t) => row.filter((_f, i) => (activations[t]?.[i] ?? 0) > 1e-3).sort());
  assert.deepEqual(active(found), active(expected));
}

describe('analysis with the embedded model', () => {
  it('says in blocks what one run over each window says', async () => {
    const found = await analyze(new Analysis(model, new BoostedSae(sae), small), text);
    const { ids } = model.tokenizer.encode(text);
    assert.ok(ids.length > 200, `${ids.length} tokens make less than three windows`);
    const { hook, inputWidth } = sae.dictionary;
    for (const window of windowsOf(ids.length, { length: 128, overlap: 64 })) {
      const tokenIds = ids.slice(window.start, window.end);
      const labels = Uint32Array.from(tokenIds, (_id, t) => ids[window.start + t + 1] ?? 0);
      const run = await model.run({
        tokenIds,
        hooks: [hook],
        head: 'loss',
        labels,
        predictions: 3,
      });
      const x = run.hooks.get(hook) ?? new Float32Array(); // (T, D)
      for (let token = window.ownStart; token < window.end; token++) {
        const row = token - window.start;
        const surprisal = token === 0 ? NaN : (run.surprisal?.[row - 1] ?? NaN);
        assert.ok(distance([found.surprisal[token] ?? 0], [surprisal]) < 1e-4, `token ${token}`);
        const norm = x
          .subarray(row * inputWidth, (row + 1) * inputWidth)
          .reduce((sum, value) => sum + value * value, 0);
        assert.ok(distance([found.squaredNorm[token] ?? 0], [norm]) < 1e-4, `token ${token}`);
        assert.equal(
          found.predictions[token * 3],
          model.tokenizer.tokenText(run.predictedIds?.[row * 3] ?? 0),
        );
      }
    }
  });

  it('gives the surprisal of a token as the logits before it have it', async () => {
    const found = await analyze(new Analysis(model, new BoostedSae(sae)), text);
    const { ids } = model.tokenizer.encode(text);
    const { logits } = await model.run({ tokenIds: ids, hooks: [], head: 'logits' });
    const { vocabulary } = model.config;
    for (const token of [1, 2, 40, 120, ids.length - 1]) {
      const row = (logits ?? new Float32Array()).subarray(
        (token - 1) * vocabulary,
        token * vocabulary,
      );
      const largest = row.reduce((max, value) => Math.max(max, value), -Infinity);
      const sum = row.reduce((total, value) => total + Math.exp(value - largest), 0);
      const expected = Math.log(sum) + largest - (row[ids[token] ?? 0] ?? NaN);
      assert.ok(distance([found.surprisal[token] ?? NaN], [expected]) < 1e-4, `token ${token}`);
    }
  });

  it('says after edits what a first analysis of the edited text says', async () => {
    for (const options of [{}, small]) {
      const analysis = new Analysis(model, new BoostedSae(sae), options);
      await analyze(analysis, text);
      const middle = Math.floor(text.length / 2);
      const edits = [
        `${text.slice(0, -3)} + 1; }\n`, // at the end
        `${text.slice(0, middle)} 🙂${text.slice(middle)}`, // in the middle
        text.slice(0, middle), // cut off
        `${text.slice(0, middle)}x${text.slice(middle)}`, // and back with a change
      ];
      for (const edited of edits) {
        const fresh = await analyze(new Analysis(model, new BoostedSae(sae), options), edited);
        assertSame(await analyze(analysis, edited), fresh, 1e-5);
      }
    }
  });
});
