import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { collapseCommand } from '../../src/cli/collapse.ts';
import type { CommandInput } from '../../src/cli/command.ts';
import { Failure, type FailureCode } from '../../src/common/failure.ts';
import { Random } from '../../src/common/random.ts';
import type { CollapseRequest } from '../../src/contracts/collapse.ts';
import type { CollapseCommandResult } from '../../src/contracts/commandLine.ts';
import { collapseOfText } from '../../src/engine/lime/collapseOfText.ts';
import { spellingOf } from '../../src/models/tokenizers/byteLevel.ts';
import {
  type FolderPieces,
  limePieces,
  llamaPieces,
  writePieces,
} from '../fixtures/llamaFolder.ts';

const vocabulary = 300;
let folder: string;
let llama: string;
let lime: string;
let text: string;

/** A byte-level tokenizer in which " is", " was" and " are" are tokens, and " were" is none. */
function tokenizerJson(): string {
  const merges = ['Ġ i', 'Ġi s', 'Ġ w', 'Ġw a', 'Ġwa s', 'Ġ a', 'Ġa r', 'Ġar e'];
  const bytes = Array.from({ length: 256 }, (_, byte) => spellingOf(byte));
  const tokens = [...bytes, ...merges.map(merge => merge.replace(' ', ''))];
  return JSON.stringify({
    version: '1.0',
    added_tokens: [
      {
        id: tokens.length,
        content: '<|endoftext|>',
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  });
}

function withVocabulary({ config, tensors }: FolderPieces): FolderPieces {
  const random = new Random(8);
  const matrix = () => ({
    dtype: 'F32' as const,
    shape: [vocabulary, 40],
    data: Float32Array.from({ length: vocabulary * 40 }, () => random.normal()),
  });
  return {
    config: { ...config, vocab_size: vocabulary },
    tensors: { ...tensors, 'model.embed_tokens.weight': matrix(), 'lm_head.weight': matrix() },
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-collapse-'));
  const pieces = withVocabulary(llamaPieces());
  llama = await writePieces(join(folder, 'llama'), pieces);
  const { config, tensors } = limePieces(pieces);
  lime = await writePieces(join(folder, 'lime'), { config, tensors });
  for (const path of [llama, lime]) await writeFile(join(path, 'tokenizer.json'), tokenizerJson());
  text = join(folder, 'text.txt');
  const lines = Array.from({ length: 60 }, (_, i) => `It is ${i} and was; they are.\n`);
  await writeFile(text, lines.join(''));
});
after(() => rm(folder, { recursive: true }));

const defaults = { threads: '2', window: '32', words: 'is,was,are', alpha: '1' };

async function run(values: CommandInput['values']): Promise<CollapseCommandResult> {
  const result = await collapseCommand.run({
    values: { ...defaults, cache: join(folder, 'cache'), model: llama, text: [text], ...values },
    positionals: [],
    signal: new AbortController().signal,
    log: () => undefined,
  });
  return result as CollapseCommandResult;
}

describe('loupe collapse', () => {
  it('measures two models side by side: with identity routers, the same', async () => {
    const result = await run({ against: lime, project: '0,2', points: '30' });
    const [a, b] = result.results;
    assert.ok(a && b);
    assert.deepEqual([a.architecture, b.architecture], ['llama', 'lime']);
    assert.ok(a.perWord > 50);
    for (const [layer, row] of a.layers.entries()) {
      for (const place of ['values', 'hiddenStates'] as const) {
        const other = b.layers[layer]?.[place];
        assert.ok(Math.abs(row[place].entropy.mean - (other?.entropy.mean ?? NaN)) < 1e-4);
        const apart = (row[place].separability?.mean ?? NaN) - (other?.separability?.mean ?? NaN);
        assert.ok(Math.abs(apart) < 0.05);
      }
    }
    assert.deepEqual(
      a.projections.map(({ layer, place }) => [layer, place]),
      [
        [0, 'values'],
        [0, 'hiddenStates'],
        [2, 'values'],
        [2, 'hiddenStates'],
      ],
    );
    assert.deepEqual(
      a.projections[0]?.points.map(({ word }) => word),
      ['is', 'was', 'are'].flatMap(word => Array<string>(10).fill(word)),
    );
    // What a typed array is not: a list.
    const written = JSON.parse(JSON.stringify(result)) as CollapseCommandResult;
    assert.deepEqual(written, result);
    const lines = collapseCommand.format(result).split('\n');
    assert.match(lines[0] ?? '', /^A llama \(llama\): is 60, was 59, are 59; 59 of each$/);
    const title = /^layer +A values +B values +A hidden states +B hidden states$/;
    assert.equal(lines.filter(line => title.test(line)).length, 2);
    assert.equal(lines.filter(line => /^ +2( +[\d.]+ ± [\d.]+){4}$/.test(line)).length, 2);
    assert.ok(lines.some(line => line.startsWith('B Values: ') && line.includes('routers mixed')));
  });

  it('measures entropy alone where no words are wanted', async () => {
    const { results } = await run({ words: 'none' });
    assert.equal(results[0]?.chance, null);
    assert.ok(!collapseCommand.format({ results }).includes('guessing'));
  });

  const refused: readonly [string, FailureCode, CommandInput['values'], RegExp][] = [
    ['a word that is no token', 'usage', { words: 'is,were' }, /"were" is 4 tokens/],
    ['no text', 'usage', { text: [] }, /--text is missing/],
    ['a layer that is no number', 'usage', { project: 'last' }, /not 'last'/],
    ['a window beyond the context', 'usage', { window: '500' }, /at most 128 tokens/],
    ['an alpha of 0', 'usage', { alpha: '0' }, /--alpha/],
    ['a text that is not there', 'not-found', { text: ['none.txt'] }, /none\.txt/],
  ];
  for (const [what, code, values, message] of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(run(values), error => {
        assert.ok(Failure.is(error, code), String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

describe("The engine's answer", () => {
  const signal = new AbortController().signal;

  it('is the same of a document and of a folder with it alone, with layers spread to the last', async () => {
    const steps = new Set<string>();
    const context = { signal, report: ({ step }: { step: string }) => void steps.add(step) };
    const asked = (of: CollapseRequest['text']): CollapseRequest => ({
      model: { path: lime, cacheFolder: join(folder, 'cache'), threads: 2 },
      text: of,
      tokens: 20_000,
      words: ['is', 'was'],
      alpha: 0.5,
      samples: 2,
      projected: 2,
      points: 20,
      seed: 1,
    });
    const files = { roots: [text], include: [], exclude: [], useGitIgnore: true };
    const document = await collapseOfText(
      asked({ kind: 'document', text: await readFile(text, 'utf8') }),
      context,
    );
    assert.deepEqual(await collapseOfText(asked({ kind: 'files', ...files }), context), document);
    assert.deepEqual([document.windowLength, document.architecture], [128, 'lime']);
    assert.deepEqual([...new Set(document.projections.map(({ layer }) => layer))], [1, 2]);
    assert.ok(steps.has('Measuring entropy') && steps.has('Laying tokens out'));
  });
});
