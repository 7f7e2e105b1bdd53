// SAELens' own figures of an SAE beside Loupe's, on the same tokens: the embedded SAE and a small one of the tests, on
// general text. `LOUPE_PYTHON` names a Python with torch, transformers, gguf and sae-lens. Results are written to
// docs/results/saelensMetrics.md.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { embeddedModel, embeddedSae, generalText } from '../src/common/embedded.ts';
import type { SaeLensFigures } from '../src/contracts/commandLine.ts';
import { evaluate } from '../src/engine/analysis/evaluate.ts';
import { ModelRunner } from '../src/engine/model/modelRunner.ts';
import { SaeRunner } from '../src/engine/saes/saeRunner.ts';
import { readDictionary } from '../src/saes/readDictionary.ts';
import { readCorpus } from '../src/training/corpus/corpus.ts';
import { packTokens } from '../src/training/corpus/packTokens.ts';
import { markdownTable } from './papers/table.ts';

const threads = 2;
const windowLength = 128;
const windows = 16;

const names: Readonly<Record<keyof SaeLensFigures, string>> = {
  ev: 'explained_variance',
  mse: 'mse',
  cosine: 'cossim',
  l2Ratio: 'l2_ratio',
  l0: 'l0',
  l1: 'l1',
  ceWithoutSae: 'ce_loss_without_sae',
  ceWithSae: 'ce_loss_with_sae',
  ceWithAblation: 'ce_loss_with_ablation',
  ceScore: 'ce_loss_score',
  klWithSae: 'kl_div_with_sae',
  klWithAblation: 'kl_div_with_ablation',
  klScore: 'kl_div_score',
};

/** Both programs' figures of one SAE, and the largest difference relative to SAELens'. */
export interface ComparedMetrics {
  readonly sae: string;
  readonly tokens: number;
  readonly loupe: SaeLensFigures;
  readonly saelens: SaeLensFigures;
}

async function compareMetrics(sae: string, python: string): Promise<ComparedMetrics> {
  const signal = new AbortController().signal;
  const path = inRepository(embeddedModel);
  const request = { path, cacheFolder: inRepository('.cache/weights'), threads };
  const model = await ModelRunner.open(request);
  const dictionary = await readDictionary(inRepository(sae));
  const runner = await SaeRunner.open(dictionary, { threads, maxActive: dictionary.width });
  try {
    const corpus = readCorpus([inRepository(generalText.heldOut)], signal);
    const limit = windowLength * windows;
    const tokenIds = await packTokens(corpus, model.tokenizer, { windowLength, limit, signal });
    const { results } = await evaluate(model, runner, {
      tokenIds,
      windowLength,
      ks: [runner.maxK],
      saelens: { layers: model.config.layers },
    });
    const [loupe] = results.flatMap(({ saelens }) => saelens ?? []);
    if (!loupe) throw new Error('nothing was measured');
    const saelens = await ask(python, {
      model: dirname(path),
      gguf: basename(path),
      sae: inRepository(sae),
      hook: dictionary.hook,
      tokenIds: [...tokenIds],
      windowLength,
    });
    return { sae: basename(sae), tokens: tokenIds.length, loupe, saelens };
  } finally {
    await runner.dispose();
    await model.dispose();
  }
}

async function ask(python: string, request: object): Promise<SaeLensFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'loupe-metrics-'));
  try {
    const file = join(folder, 'request.json');
    await writeFile(file, JSON.stringify(request));
    const script = inRepository('bench/peers/saelensMetrics.py');
    const { stdout } = await promisify(execFile)(python, [script, file]);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as SaeLensFigures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function table({ sae, tokens, loupe, saelens }: ComparedMetrics): string {
  const rows = (Object.keys(names) as (keyof SaeLensFigures)[]).map(key => {
    const [own, other] = [loupe[key], saelens[key]];
    const difference = Math.abs(own - other) / Math.abs(other);
    return [names[key], own.toPrecision(7), other.toPrecision(7), difference.toExponential(1)];
  });
  const head = ['figure', 'Loupe', 'SAELens', 'relative difference'];
  return `## ${sae}, ${tokens} tokens\n\n${markdownTable(head, rows)}`;
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const python = process.env['LOUPE_PYTHON'];
  if (python) {
    const results: ComparedMetrics[] = [];
    for (const sae of [embeddedSae, 'test/fixtures/evaluation'])
      results.push(await compareMetrics(sae, python));
    const text = [
      '# The same figures by Loupe and by SAELens',
      [
        "`loupe evaluate` prints SAELens' own figures beside Loupe's. Here both programs measure the same tokens of the general",
        "text with the embedded model: SAELens 6.54's `evals.py` on transformers' model in float32, Loupe in onnxruntime.",
        'Made by `npm run bench -- saelensMetrics`.',
      ].join('\n'),
      ...results.map(table),
    ].join('\n\n');
    console.log(text);
    await writeFile(inRepository('docs/results/saelensMetrics.md'), `${text}\n`);
  } else {
    console.log('LOUPE_PYTHON names no Python: there is nothing to compare with.');
  }
}
