// An engine that ends before it has answered at all; VS Code is a fake.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fakeVscode } from './fakes/vscode.ts';

/** What is used of the editor's engine here: its module needs VS Code's types. */
interface EngineModule {
  readonly Engine: new (
    program: { readonly path: string; readonly environment: () => object },
    selection: () => Promise<never>,
    log: object,
  ) => {
    readonly state: { readonly kind: string; readonly failure?: Error };
    readonly onDidStop: (listener: (stop: object) => void) => unknown;
    readonly onDidRestart: (listener: () => unknown) => unknown;
    ready(): Promise<unknown>;
    connect(): Promise<object>;
    restart(): Promise<void>;
    renew(): Promise<void>;
    dispose(): void;
  };
}

fakeVscode();
const folder = mkdtempSync(join(tmpdir(), 'loupe-start-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** An engine of a program; what it is to load is never known. */
async function openEngine(program: string): Promise<InstanceType<EngineModule['Engine']>> {
  const path: string = new URL('../../src/editor/engine/engine.ts', import.meta.url).href;
  const { Engine } = (await import(path)) as EngineModule;
  const quiet = (): void => undefined;
  return new Engine(
    { path: program, environment: () => ({}) },
    () => Promise.reject(new Error('nothing is selected')),
    { info: quiet, warn: quiet, error: quiet },
  );
}

/** Writes a program that answers to `hello`, and then goes on. */
function answeringProgram(name: string, then: string): string {
  const program = join(folder, name);
  const module = (file: string): string => new URL(`../../src/${file}.ts`, import.meta.url).href;
  writeFileSync(
    program,
    `import { register } from '${import.meta.resolve('tsx/esm/api')}';
     register();
     const { serve } = await import('${module('messages/calls')}');
     const { connectParent } = await import('${module('messages/childProcess')}');
     const { engineProtocol: protocol } = await import('${module('contracts/engine')}');
     serve(connectParent(), { hello: () => ({ protocol, pid: process.pid, runtime: 'fake' }) });
     ${then}`,
  );
  return program;
}

it('is started again once, and then has failed', async () => {
  const started = join(folder, 'started');
  const program = join(folder, 'engine.mjs');
  writeFileSync(
    program,
    `import { appendFileSync } from 'node:fs';
     process.once('message', () => { appendFileSync(${JSON.stringify(started)}, 'x'); process.exit(3); });`,
  );
  const engine = await openEngine(program);
  const stops: object[] = [];
  engine.onDidStop(stop => void stops.push(stop));
  await assert.rejects(engine.ready(), /has ended/);
  assert.equal(readFileSync(started, 'utf8'), 'xx');
  const reason = 'exit code 3';
  assert.deepEqual(stops, [
    { reason, restarting: true },
    { reason, restarting: false },
  ]);
  assert.equal(engine.state.kind, 'failed');
  assert.match(engine.state.failure?.message ?? '', /stopped again \(exit code 3\)/);
  engine.dispose();
});

it('has its process ended by another device, also where only its calls are used, and says so', async () => {
  const engine = await openEngine(answeringProgram('answers.mjs', ''));
  let told = 0;
  engine.onDidRestart(() => told++);
  const first = await engine.connect();
  assert.equal(await engine.connect(), first);
  assert.equal(engine.state.kind, 'off');
  await engine.renew();
  assert.deepEqual([engine.state.kind, told], ['off', 1]);
  const second = await engine.connect();
  assert.notEqual(second, first);
  await assert.rejects(engine.restart(), /nothing is selected/);
  assert.equal(told, 2);
  const third = await engine.connect();
  assert.notEqual(third, second);
  await engine.renew();
  assert.deepEqual([engine.state.kind, told], ['failed', 3]);
  assert.notEqual(await engine.connect(), third);
  engine.dispose();
});

it('loads nothing after a crash of a process of which only calls were used', async () => {
  const engine = await openEngine(
    answeringProgram('crashes.mjs', 'setTimeout(() => process.exit(5), 300);'),
  );
  const stopped = new Promise(resolve => void engine.onDidStop(resolve));
  await engine.connect();
  assert.deepEqual(await stopped, { reason: 'exit code 5', restarting: true });
  assert.equal(engine.state.kind, 'off');
  await engine.connect(); // the next call has another
  engine.dispose();
});
