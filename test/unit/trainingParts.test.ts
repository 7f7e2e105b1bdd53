import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { domainNameFrom, domainNameProblem } from '../../src/common/domainName.ts';
import { Failure } from '../../src/common/failure.ts';
import type { BoostPlan, PlanRequest, TrainerContract } from '../../src/contracts/trainer.ts';
import { TrainingPlanner } from '../../src/editor/training/trainingPlanner.ts';
import type { StartTrainer, Trainer } from '../../src/editor/training/trainingQueue.ts';
import { TrainingReports } from '../../src/editor/training/trainingReports.ts';
import { createCaller, serve, type CallContext } from '../../src/messages/calls.ts';
import { inMemoryPair } from '../fixtures/inMemory.ts';
import { findToken } from '../../src/report/findToken.ts';
import { overallFraction, phases, stageText } from '../../src/report/trainingProgress.ts';
import { boostReport } from '../fixtures/boostReport.ts';
import { boostPlan } from '../webview/trainingStates.ts';
import { boostRequest } from './fakes/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'loupe-training-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('the name of a domain', () => {
  it('is also a folder on every system', () => {
    for (const name of ['chemistry', 'Химия 2', 'org_chem-1.2', '日本語', 'été'])
      assert.equal(domainNameProblem(name), undefined, name);
    for (const name of [
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'a\\b',
      'a:b',
      ' x',
      'x ',
      'x.',
      '-x',
      'a\nb',
    ])
      assert.ok(domainNameProblem(name), JSON.stringify(name));
    for (const name of ['base', 'General', 'CON', 'nul.txt', 'com1', 'x'.repeat(41)])
      assert.ok(domainNameProblem(name), name);
  });

  it('is made from any folder', () => {
    assert.equal(domainNameFrom('chemistry notes'), 'chemistry notes');
    assert.equal(domainNameFrom('.notes (2024)'), 'notes -2024');
    for (const odd of ['', '...', '///', 'base', '🥐', 'x'.repeat(100), 'con'])
      assert.equal(domainNameProblem(domainNameFrom(odd)), undefined, odd);
  });
});

describe('a token of a report', () => {
  const text = 'aa the acid is strong.\nbb the acid is weak.\ncc';
  const known = { before: '…bb the ', token: 'acid', after: ' is weak.' };
  const start = text.lastIndexOf('acid');

  it('is where it was in a file that is what it was', () => {
    assert.deepEqual(findToken(text, start, known), { start, same: true });
  });

  it('is found where text was put before it, told from its like by its context', () => {
    for (const added of ['x', 'a longer line\n'.repeat(9)])
      assert.deepEqual(findToken(added + text, start, known), {
        start: start + added.length,
        same: false,
      });
    assert.equal(findToken(text.slice(10), start, known)?.start, start - 10);
  });

  it('is the nearest of several that are alike', () => {
    const twice = `${text}${' '.repeat(500)}${text}`;
    assert.equal(findToken(twice, start + 3, known)?.start, start);
    assert.equal(findToken(twice, twice.length - 9, known)?.start, start + text.length + 500);
  });

  it('is nowhere once its text is gone', () => {
    assert.equal(findToken(text.replace('weak', 'mild'), start, known), undefined);
    assert.equal(findToken('', 0, known), undefined);
    const first = { before: '', token: 'aa', after: ' the acid' };
    assert.deepEqual(findToken(text, 0, first), { start: 0, same: true });
  });
});

describe('the progress of a training', () => {
  for (const kind of ['residual', 'routers'] as const)
    it(`grows from 0 to 1 over the phases: ${kind}`, () => {
      const fractions = phases[kind].flatMap(({ phase }) =>
        [0, 0.5, 1].map(fraction => overallFraction(kind, { phase, fraction })),
      );
      assert.equal(fractions[0], 0);
      assert.ok(Math.abs((fractions.at(-1) ?? 0) - 1) < 1e-12);
      assert.ok(fractions.every((value, i) => i === 0 || value >= (fractions[i - 1] ?? 2) - 1e-12));
      assert.equal(overallFraction(kind, { phase: 'loading', fraction: -3 }), 0);
    });
});

describe('what a training does now', () => {
  it('is said with what takes its steps, and how long it still takes', () => {
    const on = { device: 'WebGPU', secondsLeft: 180 };
    assert.equal(stageText({ ...on, phase: 'training' }), 'training on WebGPU, about 3 min left');
    assert.equal(stageText({ ...on, phase: 'measuring' }), 'measuring, about 3 min left');
    assert.equal(stageText({ phase: 'loading', secondsLeft: null }), 'loading');
  });
});

/** Trainers that answer `plan` by `answer`. */
function planners(
  answer: (
    request: PlanRequest,
    context: CallContext<{ step: string; fraction: number }>,
  ) => unknown,
) {
  const seen: string[] = [];
  const disposed: number[] = [];
  const devices: unknown[] = [];
  let count = 0;
  const start: StartTrainer = ({ device }): Trainer => {
    devices.push(device);
    const [here, there] = inMemoryPair();
    const handlers = { plan: answer } as unknown as Parameters<typeof serve<TrainerContract>>[1];
    serve<TrainerContract>(there, handlers);
    const number = count++;
    return {
      caller: createCaller<TrainerContract>(here),
      ready: Promise.resolve(),
      ended: Promise.resolve('ended'),
      dispose: () => disposed.push(number),
    };
  };
  const planner = new TrainingPlanner(start, () => seen.push(planner.state?.kind ?? 'none'));
  return { planner, seen, disposed, devices };
}

const draft = (name: string) => ({
  name,
  folders: ['notes'],
  request: boostRequest(name, join(folder, name)),
});

describe('the plan of a training', () => {
  it('is made in a process of its own, and starts a training with the choice', async () => {
    const { planner, seen, disposed } = planners((_request, { report }): BoostPlan => {
      report({ step: 'Reading', fraction: 0.5 });
      return boostPlan;
    });
    await planner.begin(draft('chemistry'));
    assert.deepEqual(seen, ['reading', 'reading', 'ready']);
    assert.deepEqual(disposed, [0]);
    const { state } = planner;
    assert.ok(state?.kind === 'ready');
    assert.deepEqual(state.choice, { tokens: boostPlan.tokens, mixGeneral: 0 });
    const request = planner.take({ tokens: 5_000.4, mixGeneral: 0.25 });
    assert.deepEqual(request, { ...draft('chemistry').request, tokens: 5_000, mixGeneral: 0.25 });
    assert.equal(planner.state, null);
    assert.equal(planner.take({ tokens: 1, mixGeneral: 0 }), undefined, 'only once');
  });

  it('says why there is none', async () => {
    const { planner, disposed } = planners(() => {
      throw new Failure('empty', 'There is no text.', { action: 'Add some.' });
    });
    await planner.begin(draft('chemistry'));
    assert.deepEqual(planner.state, {
      kind: 'failed',
      name: 'chemistry',
      message: 'There is no text. Add some.',
    });
    assert.deepEqual(disposed, [0]);
  });

  it('is made on the CPU where the device fails or ends the trainer, said, and so is its training', async () => {
    const lost = new Failure('device-lost', 'WebGPU failed: the device was lost.');
    const stopped = new Failure('stopped', 'The process has ended.');
    for (const [failure, why] of [
      [lost, /^WebGPU failed: the device was lost, and the plan is the CPU's/],
      [stopped, /^The trainer stopped \(ended\), and the plan is the CPU's/],
    ] as const) {
      const { planner, disposed, devices } = planners(({ model, tensorflow }): BoostPlan => {
        if (model.device !== 'cpu' || tensorflow) throw failure;
        return boostPlan;
      });
      const { request } = draft('chemistry');
      const model = { ...request.model, device: 'auto' } as const;
      const asked = { ...request, model, tensorflow: {} };
      await planner.begin({ ...draft('chemistry'), request: asked });
      assert.deepEqual(devices, ['auto', 'cpu']);
      assert.deepEqual([...new Set(disposed)], [0, 1]);
      assert.ok(planner.state?.kind === 'ready');
      const { warnings } = planner.state.plan.corpus;
      assert.match(warnings[0]?.message ?? '', why);
      assert.deepEqual(warnings.slice(1), boostPlan.corpus.warnings);
      const taken = planner.take({ tokens: 5_000, mixGeneral: 0 });
      assert.deepEqual([taken?.model.device, taken?.tensorflow], ['cpu', undefined]);
    }
  });

  it('fails where the CPU ends the trainer too, or was all that was asked for', async () => {
    for (const [device, tried] of [
      ['cuda', ['cuda', 'cpu']],
      ['cpu', ['cpu']],
    ] as const) {
      const { planner, devices } = planners(() => {
        throw new Failure('stopped', 'The process has ended.');
      });
      const { request } = draft('chemistry');
      const asked = { ...request, model: { ...request.model, device } };
      await planner.begin({ ...draft('chemistry'), request: asked });
      assert.deepEqual(devices, tried);
      const message = 'The trainer stopped (ended). Try again, or look at the log.';
      assert.deepEqual(planner.state, { kind: 'failed', name: 'chemistry', message });
    }
  });

  it('fails where no trainer can be started', async () => {
    const planner = new TrainingPlanner(
      () => {
        throw new Error('spawn EAGAIN');
      },
      () => undefined,
    );
    await planner.begin(draft('chemistry'));
    assert.deepEqual(planner.state, { kind: 'failed', name: 'chemistry', message: 'spawn EAGAIN' });
  });

  it('gives way to a later one, and to nothing', async () => {
    const { planner, disposed } = planners(({ tokens }) =>
      tokens === 0 ? new Promise(() => undefined) : boostPlan,
    );
    const first = planner.begin(draft('chemistry'));
    const { request } = draft('russian');
    await planner.begin({ ...draft('russian'), request: { ...request, tokens: 7 } });
    await first;
    assert.equal(planner.state?.name, 'russian');
    assert.ok(disposed.includes(0) && disposed.includes(1));
    const last = planner.begin(draft('speeches'));
    planner.drop();
    await last;
    assert.equal(planner.state, null);
  });
});

describe('the reports of a workspace', () => {
  const reports = new TrainingReports(join(folder, 'domains'));
  const write = (domain: string, text: string): void => {
    mkdirSync(join(folder, 'domains', domain), { recursive: true });
    writeFileSync(join(folder, 'domains', domain, 'report.json'), text);
  };

  it('are those of the domains that have one', async () => {
    await reports.refresh();
    assert.deepEqual(reports.all, []);
    write('russian', '{}');
    write('chemistry', JSON.stringify(boostReport()));
    mkdirSync(join(folder, 'domains', 'unfinished'));
    await reports.refresh();
    assert.deepEqual(
      reports.all.map(({ domain }) => domain),
      ['chemistry', 'russian'],
    );
    assert.deepEqual(await reports.read('chemistry'), boostReport());
  });

  it('are written as Markdown beside the JSON', async () => {
    const path = await reports.writeMarkdown('chemistry');
    assert.equal(path, join(folder, 'domains', 'chemistry', 'report.md'));
    assert.match(readFileSync(path, 'utf8'), /^# Residual SAE “chemistry”/);
  });

  it('are refused where they are no reports, or outside', async () => {
    const refused = (code: Failure['code']) => (error: unknown) => Failure.is(error, code);
    await assert.rejects(reports.read('russian'), refused('bad-file'));
    await assert.rejects(reports.read('../../etc'), refused('not-found'));
    rmSync(join(folder, 'domains', 'chemistry', 'report.json'));
    await assert.rejects(reports.read('chemistry'), refused('not-found'));
  });
});
