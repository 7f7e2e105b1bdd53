import assert from 'node:assert/strict';
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { unzipSync } from 'fflate';
import type * as TfjsCore from '@tensorflow/tfjs-core';
import type * as Unpdf from 'unpdf';
import { hostTarget, targets, vsixPath } from '../../scripts/targets.ts';
import { embeddedModel, embeddedSae } from '../../src/common/embedded.ts';
import type { AnalyzeResult } from '../../src/contracts/commandLine.ts';
import {
  engineProtocol,
  type AnalysisPart,
  type EngineContract,
} from '../../src/contracts/engine.ts';
import { createCaller } from '../../src/messages/calls.ts';
import { connectChild } from '../../src/messages/childProcess.ts';
import { writeRandomSae } from '../fixtures/randomSae.ts';
import { makePdf } from '../unit/training/corpusFolder.ts';
import { listFiles, readGolden } from './fileLists.ts';

const largestVsix = 150_000_000;
const text =
  'The melting point of ice is zero degrees; der Schmelzpunkt von Eis, точка плавления льда, 冰的熔点 🧊.';

const target = hostTarget() ?? 'linux-x64';
const golden = readGolden();

describe('the files of the VSIX', () => {
  for (const name of targets) {
    it(`are the expected ones for ${name}`, () => {
      assert.deepEqual(listFiles(name), [...golden.everywhere, ...golden[name]].sort());
    });
  }
});

describe(`the VSIX of ${target}, unzipped away from the repository`, () => {
  let folder: string;
  let extension: string;
  let files: readonly string[];
  let child: ChildProcess | undefined;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'loupe-package-'));
    extension = join(folder, 'extension');
    files = unzip(vsixPath(target), folder);
  });
  after(() => {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  it('is below its size ceiling', () => {
    assert.ok(statSync(vsixPath(target)).size < largestVsix);
  });

  it('holds exactly the files that vsce lists', () => {
    const shipped = files.flatMap(file =>
      file.startsWith('extension/') ? [file.slice(10).toLowerCase()] : [],
    );
    // vsce renames the readme, the licence and the change log.
    const listed = listFiles(target).map(file =>
      file.toLowerCase().replace(/^license$/, 'license.txt'),
    );
    assert.deepEqual([...shipped].sort(), [...listed].sort());
  });

  it('has an extension that loads neither onnxruntime nor a model', () => {
    const source = readFileSync(join(extension, 'dist/extension.cjs'), 'utf8');
    assert.doesNotMatch(source, /require\(["']onnxruntime/);
    assert.ok(source.length < 200_000);
  });

  it('has a PDF library of its own file, which engine or command line loads when it meets a PDF', async () => {
    const bundle = readFileSync(join(extension, 'dist/cli.js'), 'utf8');
    assert.match(bundle, /import\("\.\/unpdf\.js"\)/);
    assert.doesNotMatch(bundle, /from ?"\.\/unpdf\.js"/);
    const { getDocumentProxy, extractText } = (await import(
      pathToFileURL(join(extension, 'dist/unpdf.js')).href
    )) as typeof Unpdf;
    const pdf = await getDocumentProxy(new Uint8Array(makePdf([['Read me.']])));
    assert.deepEqual((await extractText(pdf)).text, ['Read me.']);
  });

  it('has TensorFlow.js in a file of its own, which a training in TensorFlow loads, and no backend of it', async () => {
    const bundle = readFileSync(join(extension, 'dist/engine.js'), 'utf8');
    assert.match(bundle, /import\("\.\/tfjsCore\.js"\)/);
    assert.doesNotMatch(bundle, /from ?"\.\/tfjsCore\.js"/);
    const core = (await import(
      pathToFileURL(join(extension, 'dist/tfjsCore.js')).href
    )) as typeof TfjsCore;
    assert.equal(core.version_core, '4.22.0');
    assert.ok(!readGolden().everywhere.some(file => file.includes('node_modules/@tensorflow')));
  });

  it('has an engine that answers and analyses', async () => {
    child = fork(join(extension, 'dist/engine.js'), [], {
      cwd: folder,
      env: isolated(),
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const engine = createCaller<EngineContract>(connectChild(child));
    const hello = await engine.call('hello', { protocol: engineProtocol });
    assert.equal(hello.protocol, engineProtocol);
    assert.equal(hello.pid, child.pid);
    const cacheFolder = join(folder, 'cache');
    mkdirSync(cacheFolder);
    await engine.call('loadModel', {
      path: join(extension, embeddedModel),
      cacheFolder,
      threads: 2,
    });
    const path = await saeFolder(extension, folder);
    const sae = await engine.call('loadSae', { path, domains: [] });
    const parts: AnalysisPart[] = [];
    const summary = await engine.call(
      'analyze',
      { documentId: 'a', text, visible: { start: 0, end: text.length }, predictions: 3 },
      { onProgress: part => void parts.push(part) },
    );
    assert.ok(summary.tokens > 20);
    const [part] = parts;
    assert.ok(part);
    assert.equal(part.k, sae.maxK);
    assert.equal(
      part.surprisal.slice(1).every(nats => nats >= 0 && nats < 100),
      true,
    );
    assert.equal(
      part.features.every(feature => feature < sae.features),
      true,
    );
  });

  it('has a command line that analyses a file', async () => {
    const file = join(folder, 'note.txt');
    writeFileSync(file, text);
    const args = [
      join(extension, 'dist/cli.js'),
      'analyze',
      file,
      '--json',
      '--sae',
      await saeFolder(extension, folder),
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: folder,
      env: { ...isolated(), XDG_CACHE_HOME: join(folder, 'xdg') },
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    assert.equal(status, 0, stderr);
    const result = JSON.parse(stdout) as AnalyzeResult;
    assert.equal(result.tokens[0]?.start, 0);
    assert.equal(result.tokens.at(-1)?.end, text.length);
    assert.ok(result.tokens.slice(1).some(({ features }) => features.length > 0));
  });
});

/** Nothing of the repository, of npm or of this process's Node options. */
function isolated(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME };
}

async function saeFolder(extension: string, folder: string): Promise<string> {
  const embedded = join(extension, embeddedSae);
  if (existsSync(embedded)) return embedded;
  const random = join(folder, 'sae');
  await writeRandomSae(random);
  return random;
}

function unzip(archive: string, folder: string): readonly string[] {
  const entries = Object.entries(unzipSync(readFileSync(archive)));
  for (const [name, bytes] of entries) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    chmodSync(path, 0o444); // an installation may be read-only
  }
  return entries.map(([name]) => name);
}
