import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AnalyzeResult, FailureResult } from '../../src/contracts/commandLine.ts';
import { writeRandomResidual } from '../fixtures/randomSae.ts';
import { fixture, modelRequest } from './model.ts';

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const text = `\ufeffA loupe – 放大镜 – is a lens. Лупа 👩‍🔬 cafe\u0301 naïve\r\n\tfor (const x of xs) { x(); }\n`;
let folder = '';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly said: string;
}

function loupe(args: readonly string[], onSaid?: (kill: () => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    env: { ...process.env, LOUPE_CACHE: modelRequest().cacheFolder },
  });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    onSaid?.(() => child.kill('SIGINT'));
  });
  return new Promise(resolve => child.once('close', code => resolve({ code, out, said })));
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const sae = ['--sae', fixture('evaluation')];

async function analyze(path: string, ...more: string[]): Promise<AnalyzeResult> {
  const { code, out, said } = await loupe(['analyze', path, ...sae, '--json', ...more]);
  assert.equal(code, 0, said);
  return JSON.parse(out) as AnalyzeResult;
}

async function failure(code: number, args: readonly string[]): Promise<FailureResult['error']> {
  const ended = await loupe([...args, '--json']);
  assert.equal(ended.code, code, ended.said + ended.out);
  return (JSON.parse(ended.out) as FailureResult).error;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loupe-command-'));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('loupe analyze', () => {
  it('prints one JSON document with exact UTF-16 spans', async () => {
    const result = await analyze(await file('text.txt', text));
    assert.deepEqual(
      [result.model, result.sae, result.k],
      ['SmolLM2-135M-Instruct.Q4_1', 'small', 16],
    );
    let covered = 0;
    result.tokens.forEach((token, index) => {
      assert.equal(token.index, index);
      assert.equal(token.text, text.slice(token.start, token.end));
      assert.ok(token.start <= covered && token.end >= covered, `token ${index} leaves a gap`);
      covered = token.end;
      assert.equal(token.surprisal === null, index === 0);
      assert.ok(token.features.length <= 16);
      const activations = token.features.map(({ activation }) => activation);
      assert.deepEqual(
        activations,
        [...activations].sort((a, b) => b - a),
      );
      assert.ok(activations.every(activation => activation > 0));
      assert.ok(token.features.every(({ id, source }) => id < 64 && source === 'base'));
    });
    assert.equal(covered, text.length);
  });

  it('keeps the k strongest features and lists the first of them', async () => {
    const path = await file('short.txt', 'The lens is round.');
    const all = await analyze(path);
    const four = await analyze(path, '--k', '4');
    const two = await analyze(path, '--k', '4', '--top', '2');
    assert.deepEqual([four.k, two.k], [4, 4]);
    all.tokens.forEach(({ features }, i) => {
      assert.deepEqual(four.tokens[i]?.features, features.slice(0, 4));
      assert.deepEqual(two.tokens[i]?.features, features.slice(0, 2));
    });
  });

  it('adds the features of residual SAEs, counted within each, and leaves the base as it is', async () => {
    const path = await file('boosted.txt', 'The lens is round, and it gathers light.');
    const hook = 'blocks.4.hook_resid_post';
    const folders = [join(folder, 'optics'), join(folder, 'more', 'optics')];
    await writeRandomResidual(folders[0] ?? '', { hook, threshold: 6 });
    await writeRandomResidual(folders[1] ?? '', { hook, threshold: 6, seed: 9, width: 16 });
    const boost = folders.flatMap(path => ['--boost', path]);
    const plain = await analyze(path, '--k', '4');
    const boosted = await analyze(path, '--k', '4', ...boost);
    const sources = new Set<string>();
    boosted.tokens.forEach(({ features }, i) => {
      const ofBase = features.filter(({ source }) => source === 'base');
      assert.deepEqual(ofBase, plain.tokens[i]?.features);
      const activations = features.map(({ activation }) => activation);
      assert.deepEqual(
        activations,
        [...activations].sort((a, b) => b - a),
      );
      for (const { id, source } of features) {
        sources.add(source);
        assert.ok(id < (source === 'optics (2)' ? 16 : 64), `${id} of ${source}`);
      }
    });
    assert.deepEqual([...sources].sort(), ['base', 'optics', 'optics (2)']);
    const table = await loupe(['analyze', path, ...sae, ...boost]);
    assert.match(table.out, /lens +optics \d+: \d+\.\d\d, /);
    const unfit = ['--boost', fixture('saelens/topk')];
    const { code, message } = await failure(1, ['analyze', path, ...sae, ...unfit]);
    assert.deepEqual([code, message.includes('topk')], ['mismatch', true]);
  });

  it('prints a table for people', async () => {
    const { code, out } = await loupe(['analyze', await file('t.txt', 'A lens.\x1b[2J'), ...sae]);
    assert.equal(code, 0);
    assert.match(out, /^SmolLM2-135M-Instruct\.Q4_1, small, k = 16: \d+ tokens/);
    assert.match(out, /^ +\d+ +\d+\.\d\d +lens +\d+: \d+\.\d\d, /m);
    assert.ok(!out.includes('\x1b'), 'an escape sequence of the file reached the terminal');
  });

  it('says why it does not analyse a file', async () => {
    const cases: [string, string | Uint8Array, string][] = [
      ['empty.txt', '', 'empty'],
      ['zeros.bin', Uint8Array.of(65, 0, 66), 'bad-file'],
      ['latin1.txt', Uint8Array.of(99, 97, 102, 233), 'bad-file'],
      ['long.txt', 'é'.repeat(2 ** 20 + 1), 'too-large'],
    ];
    for (const [name, content, code] of cases) {
      const error = await failure(1, ['analyze', await file(name, content), ...sae]);
      assert.equal(error.code, code);
      assert.ok(error.message.includes(name), error.message);
    }
    const huge = await file('huge.log', '');
    await truncate(huge, 50 * 2 ** 20);
    const error = await failure(1, ['analyze', huge, ...sae]);
    assert.equal(error.code, 'too-large');
    assert.match(error.message, /50\.0 MB.*1,048,576/);
    assert.equal((await failure(1, ['analyze', folder, ...sae])).code, 'bad-file');
    assert.equal((await failure(1, ['analyze', join(folder, 'none'), ...sae])).code, 'not-found');
  });

  it('says which of model and SAE it cannot use', async () => {
    const path = await file('a.txt', 'A lens.');
    const other = await failure(1, ['analyze', path, '--sae', fixture('saelens/topk')]);
    assert.equal(other.code, 'mismatch');
    const none = await failure(1, ['analyze', path, ...sae, '--model', join(folder, 'm.gguf')]);
    assert.equal(none.code, 'not-found');
    assert.ok(none.message.includes('m.gguf'));
  });

  it('exits with 2 when it is used wrongly', async () => {
    const path = await file('a.txt', 'A lens.');
    const wrong = [
      ['analyze'],
      ['analyze', path, path],
      ['analyze', path, '--nonsense'],
      ['analyze', path, '--k', 'two'],
      ['analyze', path, '--k', '0'],
      ['analyze', path, '--sae', ''],
      ['conjure', path],
    ];
    for (const args of wrong) assert.equal((await failure(2, args)).code, 'usage', args.join(' '));
    const beyond = await failure(2, ['analyze', path, ...sae, '--k', '17']);
    assert.match(beyond.message, /16/);
    const plain = await loupe(['analyze']);
    assert.deepEqual([plain.code, plain.out], [2, '']);
    assert.match(plain.said, /^loupe: FILE is missing\.\n/);
    assert.equal((await loupe([])).code, 2);
  });

  it('helps', async () => {
    for (const args of [['--help'], ['help'], ['-h']]) {
      const { code, out } = await loupe(args);
      assert.equal(code, 0);
      assert.match(out, /^ +analyze +/m);
    }
    for (const args of [
      ['help', 'analyze'],
      ['analyze', '--help'],
    ]) {
      const { code, out } = await loupe(args);
      assert.equal(code, 0);
      assert.match(out, /^Usage: loupe analyze FILE/);
      assert.match(out, /--top/);
    }
  });

  it('ends with 130 on Ctrl-C', async () => {
    const path = await file('much.txt', 'A lens gathers light. '.repeat(4000));
    const { code, out } = await loupe(['analyze', path, ...sae, '--json'], kill => kill());
    assert.equal(code, 130);
    assert.equal((JSON.parse(out) as FailureResult).error.code, 'cancelled');
  });
});
