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
    ready(): Promise<unknown>;
    dispose(): void;
  };
}

fakeVscode();
const folder = mkdtempSync(join(tmpdir(), 'loupe-start-'));
after(() => rmSync(folder, { recursive: true, force: true }));

it('is started again once, and then has failed', async () => {
  const started = join(folder, 'started');
  const program = join(folder, 'engine.mjs');
  writeFileSync(
    program,
    `import { appendFileSync } from 'node:fs';
     process.once('message', () => { appendFileSync(${JSON.stringify(started)}, 'x'); process.exit(3); });`,
  );
  const path: string = new URL('../../src/editor/engine.ts', import.meta.url).href;
  const { Engine } = (await import(path)) as EngineModule;
  const quiet = (): void => undefined;
  const engine = new Engine(
    { path: program, environment: () => ({}) },
    () => Promise.reject(new Error('never asked')),
    { info: quiet, warn: quiet, error: quiet },
  );
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
