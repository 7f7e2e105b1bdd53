// A plan on screen when a setting is changed that it was made from; VS Code is a fake, and so is the trainer.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { boostPlan } from '../webview/trainingStates.ts';
import { fakeVscode } from './fakes/vscode.ts';
import { set } from './fakes/vscodeParts.ts';

/** What is used of it here: the module needs VS Code's types. */
interface TrainingModule {
  readonly Training: new (
    context: object,
    program: object,
    domains: object,
    log: object,
  ) => {
    readonly here: () => {
      readonly planner: {
        readonly state: { readonly kind: string; readonly plan?: { formats: unknown } } | null;
        drop(): void;
      };
    };
    readonly onDidChange: (listener: () => void) => unknown;
    plan(name: string, folders: readonly object[]): Promise<void>;
    dispose(): void;
  };
}

fakeVscode();
const folder = mkdtempSync(join(tmpdir(), 'loupe-plan-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A trainer whose plans tell what they were made from. */
function plannerProgram(): string {
  const path = join(folder, 'trainer.mjs');
  const module = (file: string): string => new URL(`../../src/${file}.ts`, import.meta.url).href;
  writeFileSync(
    path,
    `import { register } from '${import.meta.resolve('tsx/esm/api')}';
     register();
     const { serve } = await import('${module('messages/calls')}');
     const { connectParent } = await import('${module('messages/childProcess')}');
     const { engineProtocol: protocol } = await import('${module('contracts/engine')}');
     serve(connectParent(), {
       hello: () => ({ protocol, pid: process.pid, runtime: 'fake' }),
       plan: ({ model, basePath, tensorflow }) => ({
         ...${JSON.stringify(boostPlan)},
         formats: [model.path, basePath, model.device, model.threads, tensorflow?.path ?? ''],
       }),
     });`,
  );
  return path;
}

it('a plan is made anew, once each, when model, SAE, device, threads or TensorFlow are others', async () => {
  const settings = {
    ...{ 'model.path': '/a', 'sae.path': '/s', device: 'cpu', threads: 1, 'tensorflow.path': '' },
    'training.include': [],
    'training.exclude': [],
    'training.useGitIgnore': true,
    'training.width': 16,
    'training.k': 1,
    'training.tokens': 0,
    'training.mixGeneral': 0,
    'training.diskBudget': 1,
    'training.generalText': [],
  };
  for (const [name, value] of Object.entries(settings)) set(`loupe.${name}`, value);
  const path: string = new URL('../../src/editor/training/training.ts', import.meta.url).href;
  const { Training } = (await import(path)) as TrainingModule;
  const quiet = (): void => undefined;
  const memory = { get: quiet, update: () => Promise.resolve() };
  const context = {
    ...{ extensionPath: folder, workspaceState: memory },
    storageUri: { scheme: 'file', fsPath: folder },
    globalStorageUri: { fsPath: folder },
  };
  let started = 0;
  const program = { path: plannerProgram(), environment: () => ({ COUNT: String(started++) }) };
  const domains = { refresh: quiet, turn: quiet, foldersOn: () => [] };
  const log = { info: quiet, warn: quiet, error: quiet };
  const training = new Training(context, program, domains, log);
  const { planner } = training.here();
  const planOf = (): string => {
    const state = planner.state;
    return state?.plan ? JSON.stringify(state.plan.formats) : (state?.kind ?? 'none');
  };
  const becomes = (expected: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${planOf()} is not ${expected}`)), 20_000);
      const look = (): void => {
        if (planOf() !== expected) return;
        clearTimeout(late);
        resolve();
      };
      training.onDidChange(look);
      look();
    });
  await training.plan('notes', [{ name: 'notes', uri: { scheme: 'file', fsPath: folder } }]);
  assert.equal(planOf(), '["/a","/s","cpu",1,""]');
  const changes = [
    ['model.path', '/b', '["/b","/s","cpu",1,""]'],
    ['sae.path', '/t', '["/b","/t","cpu",1,""]'],
    ['device', 'webgpu', '["/b","/t","webgpu",1,""]'],
    ['threads', 2, '["/b","/t","webgpu",2,""]'],
    ['tensorflow.path', '/tf', '["/b","/t","webgpu",2,"/tf"]'],
  ] as const;
  for (const [name, value, expected] of changes) {
    set(`loupe.${name}`, value);
    await becomes(expected);
  }
  assert.equal(started, 1 + changes.length, 'one process for each');
  planner.drop();
  set('loupe.threads', 3);
  assert.equal(planner.state, null, 'no plan is on screen');
  training.dispose();
});
