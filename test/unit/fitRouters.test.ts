// A fit of routers asked for in the editor, whose trainer may die while it plans; VS Code is a fake.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Failure } from '../../src/common/failure.ts';
import type { RouterFitRequest } from '../../src/contracts/routerFit.ts';
import type { TrainerContract } from '../../src/contracts/trainer.ts';
import type { StartTrainer } from '../../src/editor/training/trainingQueue.ts';
import { createCaller, serve } from '../../src/messages/calls.ts';
import { inMemoryPair } from '../fixtures/inMemory.ts';
import { boostPlan } from '../webview/trainingStates.ts';
import { boostRequest } from './fakes/trainer.ts';
import { fakeVscode } from './fakes/vscode.ts';
import { shown, user, workspace } from './fakes/vscodeParts.ts';

/** What is used of them here: the modules need VS Code's types. */
interface FitModule {
  readonly fitRouters: (targets: object) => Promise<void>;
}
interface FailureModule {
  readonly presentFailure: (failure: Failure, subject: string) => void;
}

fakeVscode();
const source = (name: string): string =>
  new URL(`../../src/editor/${name}.ts`, import.meta.url).href;

const stop = new Failure('stopped', 'The process has ended.');
const plan = { corpus: boostPlan.corpus, tokens: 7, seconds: 1, secondsPerToken: 1, bytes: 1e9 };
const replace = 'warn Replace the routers notes?';

/** A workspace whose trainers stop on these devices. */
function workspaceOf(stopsOn: readonly unknown[], fitted: readonly string[] = []) {
  const devices: unknown[] = [];
  const queued: RouterFitRequest[] = [];
  const startTrainer: StartTrainer = ({ device }) => {
    devices.push(device);
    const [here, there] = inMemoryPair();
    const planFit = (): unknown => {
      if (stopsOn.includes(device)) throw stop;
      return plan;
    };
    const handlers = { planFit } as unknown as Parameters<typeof serve<TrainerContract>>[1];
    serve<TrainerContract>(there, handlers);
    return {
      caller: createCaller<TrainerContract>(here),
      ready: Promise.resolve(),
      ended: Promise.resolve('signal SIGSEGV'),
      dispose: () => undefined,
    };
  };
  const { model, corpus } = boostRequest('notes', '/routers/notes');
  const queue = {
    add: ({ request }: { readonly request: RouterFitRequest }) => {
      queued.push(request);
      return Promise.resolve();
    },
  };
  const training = {
    here: () => ({ queue, startTrainer }),
    fittedNames: () => Promise.resolve(fitted),
    fitRequest: (name: string) => ({
      ...{ name, corpus, folder: `/routers/${name}`, tokens: 0, seed: 1 },
      model: { ...model, device: 'webgpu' },
    }),
  };
  let panels = 0;
  const targets = { training, panel: { show: () => panels++ } };
  return { targets, devices, queued, panels: () => panels };
}

async function fit(targets: object): Promise<void> {
  const { fitRouters } = (await import(source('training/fitRouters'))) as FitModule;
  await fitRouters(targets);
}

beforeEach(() => {
  Object.assign(workspace, {
    workspaceFolders: [{ name: 'notes', uri: { scheme: 'file', fsPath: '/notes' } }],
  });
  shown.length = 0;
  user.answer = asked => (asked.startsWith('input') ? 'notes' : { count: 7 });
});
afterEach(() => Object.assign(workspace, { workspaceFolders: undefined }));

describe('a fit of routers', () => {
  it('whose device ends the trainer is planned and queued on the CPU, and the user is told', async () => {
    const { targets, devices, queued, panels } = workspaceOf(['webgpu']);
    await fit(targets);
    assert.deepEqual(devices, ['webgpu', 'cpu']);
    assert.deepEqual(
      queued.map(({ model, tokens }) => [model.device, tokens]),
      [['cpu', 7]],
    );
    const told = shown.filter(text => text.startsWith('warn'));
    assert.equal(told.length, 1);
    assert.match(
      told[0] ?? '',
      /The trainer stopped \(signal SIGSEGV\), and the plan is the CPU's/,
    );
    assert.equal(panels(), 1);
  });

  it('that the CPU cannot plan either fails, which is shown', async () => {
    const { targets, devices, queued } = workspaceOf(['webgpu', 'cpu']);
    const failure = await fit(targets).catch((error: unknown) => error);
    assert.ok(Failure.is(failure, 'stopped'));
    assert.deepEqual([devices, queued], [['webgpu', 'cpu'], []]);
    const { presentFailure } = (await import(source('presentFailure'))) as FailureModule;
    presentFailure(failure, 'trainer');
    const text = 'The trainer stopped (signal SIGSEGV). Try again, or look at the log.';
    assert.equal(shown.at(-1), `fail Loupe: ${text}`);
    shown.length = 0;
    presentFailure(new Failure('stopped', 'x'), 'document');
    assert.deepEqual(shown, [], 'the end of the engine is told by itself');
  });

  it('asks before it takes the place of another, also of other capitals', async () => {
    for (const [fitted, answer, count] of [
      [['Notes'], undefined, 0],
      [['notes'], 'Replace', 1],
      [['others'], undefined, 1],
    ] as const) {
      const { targets, queued, panels } = workspaceOf([], fitted);
      shown.length = 0;
      user.answer = asked =>
        asked.startsWith('input') ? 'notes' : asked === replace ? answer : { count: 7 };
      await fit(targets);
      assert.deepEqual([queued.length, panels()], [count, count]);
      assert.equal(shown.includes(replace), fitted[0].toLowerCase() === 'notes');
    }
  });

  it('that is cancelled while it is planned is not queued', async () => {
    const { targets, queued, panels } = workspaceOf([]);
    user.cancels = () => true;
    const never = { ...targets.training.here(), startTrainer: hanging };
    const training = { ...targets.training, here: () => never };
    await fit({ ...targets, training });
    user.cancels = () => false;
    assert.deepEqual([queued, panels()], [[], 0]);
  });
});

/** One that never answers, and ends when it is asked to. */
const hanging: StartTrainer = () => {
  let end: () => void = () => undefined;
  return {
    ...({ caller: {} } as ReturnType<StartTrainer>),
    ready: new Promise((_resolve, reject) => (end = () => reject(stop))),
    ended: Promise.resolve('ended'),
    dispose: () => end(),
  };
};
