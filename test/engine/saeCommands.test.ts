import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import type { Command } from '../../src/cli/command.ts';
import { describeCommand } from '../../src/cli/describe.ts';
import { evaluateCommand } from '../../src/cli/evaluate.ts';
import { Failure } from '../../src/common/failure.ts';
import type { EvaluateResult } from '../../src/contracts/commandLine.ts';
import { readSaeLens, writeSaeLens } from '../../src/saes/formats/saelens.ts';
import { SafetensorsFile } from '../../src/weights/safetensors.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { ggufBytes, tinyLlama } from '../fixtures/tinyGguf.ts';
import { fixture } from './model.ts';

// Random weights of a few kilobytes: the numbers themselves are held to others' in evaluate.test.ts.
let folder = '';
let sae = '';
let text = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-sae-commands-'));
  await writeFile(join(folder, 'tiny.gguf'), ggufBytes(tinyLlama()));
  sae = join(folder, 'sae');
  await writeRandomSae(sae, 96, 64);
  const provenance = { context_size: 50 };
  await writeSaeLens(
    { ...(await readSaeLens(sae)), hook: 'blocks.0.hook_resid_post', provenance },
    sae,
  );
  text = join(folder, 'text.txt');
  await writeFile(text, 'hello, hello: the quick brown fox. '.repeat(12));
});
after(async () => rm(folder, { recursive: true, force: true }));

/** Runs a command as the program would. */
async function run(command: Command, ...args: string[]) {
  const model = [
    '--model',
    join(folder, 'tiny.gguf'),
    '--cache',
    join(folder, 'cache'),
    '--threads',
    '1',
  ];
  const { values, positionals } = parseArgs({
    args: [...model, ...args],
    options: command.options,
    allowPositionals: true,
  });
  const log: string[] = [];
  const input = { values: values as Record<string, string>, positionals };
  const result = await command.run({
    ...input,
    signal: new AbortController().signal,
    log: line => log.push(line),
  });
  return { result, log, printed: command.format(result) };
}

function failure(code: string, ...parts: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    for (const part of parts)
      assert.ok(error.message.includes(part), `"${part}" in: ${error.message}`);
    return true;
  };
}

describe('loupe evaluate', () => {
  it("gives the contract's document, in windows of the length that the SAE was trained on", async () => {
    const { result, log, printed } = await run(
      evaluateCommand,
      '--sae',
      sae,
      '--text',
      text,
      '--k',
      '1,64',
      '--tokens',
      '220',
    );
    const { tokens, excluded, convention, results } = result as EvaluateResult;
    assert.deepEqual([tokens, excluded], [4 * 49, 4]);
    assert.match(convention, /Windows of 50 tokens at blocks\.0\.hook_resid_post/);
    assert.deepEqual(
      results.map(({ k }) => k),
      [1, 64],
    );
    const { clean, sae: spliced, zero, delta, score } = results[1]?.ce ?? assert.fail('no result');
    assert.equal(delta, spliced - clean);
    assert.equal(score, (zero - spliced) / (zero - clean));
    assert.ok(log.some(line => line.startsWith('200 of 200 tokens')));
    assert.match(printed, /EV\s+MSE\s+cosine/);
  });

  it('takes several paths, and text shorter than a window', async () => {
    const short = join(folder, 'short.txt');
    await writeFile(short, 'the quick brown fox');
    const { result } = await run(evaluateCommand, '--sae', sae, '--text', short, '--k', '2');
    assert.equal((result as EvaluateResult).tokens, 11);
    const both = await run(
      evaluateCommand,
      '--sae',
      sae,
      '--text',
      short,
      text,
      '--k',
      '2',
      '--tokens',
      '100',
    );
    assert.equal((both.result as EvaluateResult).tokens, 98);
  });

  it('says what cannot be done', async () => {
    const evaluate = (...args: string[]) => run(evaluateCommand, ...args);
    await assert.rejects(evaluate('--sae', sae), failure('usage', '--text'));
    for (const k of ['0', '65', 'x', '1,,2', '-1']) {
      await assert.rejects(
        evaluate('--sae', sae, '--text', text, `--k=${k}`),
        failure('usage', 'from 1 to 64'),
      );
    }
    await assert.rejects(
      evaluate('--sae', join(folder, 'none'), '--text', text),
      failure('not-found', 'none'),
    );
    await assert.rejects(
      evaluate('--sae', sae, '--text', join(folder, 'none')),
      failure('not-found', 'none'),
    );
    const empty = join(folder, 'empty.txt');
    await writeFile(empty, '');
    await assert.rejects(evaluate('--sae', sae, '--text', empty), failure('empty', '0 tokens'));
    const other = evaluate('--sae', fixture('evaluation'), '--text', text);
    await assert.rejects(other, failure('mismatch', 'small', 'tiny', '576', '64'));
  });
});

describe('loupe describe', () => {
  it('writes what it measured beside the SAE, and quotes only the examples', async () => {
    const quotable = join(folder, 'quotable.txt');
    await writeFile(quotable, 'HELLO WORLD '.repeat(40));
    const args = [
      '--sae',
      sae,
      '--text',
      text,
      '--examples',
      `Mine=${quotable}`,
      '--tokens',
      '200',
    ];
    const { result, printed } = await run(describeCommand, ...args);
    const path = join(sae, 'features.safetensors');
    assert.equal((result as { file: string }).file, path);
    assert.match(printed, /text: 200 tokens, statistics only\n.*Mine: 200 tokens, quoted/);
    const file = await SafetensorsFile.open(path);
    const { data } = await file.read('exampleTokens');
    const bytes = new Set(Array.from(data, Number));
    assert.ok(bytes.size > 3);
    // Token n < 256 is byte n in the order of their spellings: 'q' is only in the text that may not be quoted.
    const lower = Array.from('qickbrownfx', spelledAt);
    assert.deepEqual(
      lower.filter(id => bytes.has(id)),
      [],
    );
    assert.ok(bytes.has(spelledAt('W')));
    assert.equal(file.metadata.get('sources'), '["text","Mine"]');
  });

  it('says what cannot be done, and writes nothing then', async () => {
    const before = await readFile(join(sae, 'features.safetensors'));
    await assert.rejects(run(describeCommand, '--sae', sae), failure('usage', '--text'));
    const short = join(folder, 'short.txt');
    await writeFile(short, 'too short');
    await assert.rejects(
      run(describeCommand, '--sae', sae, '--text', short),
      failure('empty', '50'),
    );
    assert.ok(before.equals(await readFile(join(sae, 'features.safetensors'))));
  });
});

/** The id of a letter in the tiny model, whose first 256 tokens are the bytes. */
function spelledAt(letter: string): number {
  return letter.charCodeAt(0);
}
