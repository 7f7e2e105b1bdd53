import {
  formatActivation,
  formatCount,
  formatDecimal,
  formatDuration,
  formatPercent,
} from '../../src/common/numbers.ts';
import type { TrainingProgress } from '../../src/contracts/trainer.ts';
import type {
  CurvePoint,
  JobState,
  JobStatus,
  TrainingKind,
} from '../../src/contracts/trainingPanel.ts';
import { phases } from '../../src/report/trainingProgress.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { createCurveChart, type CurveValue } from './curveChart.ts';

export interface JobActions {
  readonly pause: (id: string) => void;
  readonly resume: (id: string) => void;
  readonly cancel: (id: string) => void;
  readonly remove: (id: string) => void;
  readonly showReport: (domain: string) => void;
  readonly showLayerMap: (id: string) => void;
}

/** The training under way, or the last one: where it stands and how it has gone so far. */
export interface JobView {
  readonly element: HTMLElement;
  update(job: JobState): void;
}

export function createJobView(actions: JobActions): JobView {
  let shown: JobState | undefined;
  const on =
    (action: (id: string) => void): (() => void) =>
    () => {
      if (shown) action(shown.id);
    };
  const heading = element('h1', { attributes: { dir: 'auto' } });
  const state = element('p', { class: 'state' });
  const left = element('p', { class: 'left dim' });
  const bar = element('progress', { attributes: { max: '1', 'aria-label': 'Whole training' } });
  const steps = element('ol', { class: 'phases', attributes: { 'aria-label': 'Phases' } });
  const drawPhases = ({ kind, status, progress }: JobState): void => {
    const names = phases[kind].map(({ phase }) => phase);
    const present = names.findIndex(phase => phase === progress?.phase);
    steps.replaceChildren(
      ...names.map((phase, i) => {
        const isNow = i === present && status !== 'done';
        const place = status === 'done' || i < present ? 'past' : isNow ? 'now' : 'next';
        const item = element('li', isNow ? { attributes: { 'aria-current': 'step' } } : {}, phase);
        item.dataset['place'] = place;
        return item;
      }),
    );
  };
  const failure = element('p', { class: 'failure', attributes: { role: 'alert' } });
  const notice = element('p', { class: 'warning' });
  const buttons = {
    report: button('Show Report', () => shown && actions.showReport(shown.name)),
    map: button('Show Layer Map', on(actions.showLayerMap)),
    pause: button('Pause', on(actions.pause), 'secondary'),
    resume: button('Resume', on(actions.resume)),
    cancel: button('Cancel Training', on(actions.cancel), 'secondary'),
    remove: button('Remove', on(actions.remove), 'secondary'),
  };
  const tiles = measures.map(measure => ({ measure, value: element('dd') }));
  const loss = createCurveChart({ title: 'Loss', format: formatLoss, leastSpan: 1e-6 });
  const domain = createCurveChart({
    title: 'EV, domain text',
    format: formatDecimal,
    leastSpan: 0.02,
  });
  const general = createCurveChart({
    title: 'EV, general text',
    format: formatDecimal,
    leastSpan: 0.02,
  });
  const view = element(
    'section',
    { class: 'job', attributes: { 'aria-label': 'Training' } },
    element(
      'header',
      {},
      heading,
      element('div', { class: 'commands' }, ...Object.values(buttons)),
    ),
    element('div', { class: 'progress' }, element('div', { class: 'standing' }, state, left), bar),
    steps,
    failure,
    notice,
    element(
      'dl',
      { class: 'tiles' },
      ...tiles.map(({ measure, value }) =>
        element('div', { title: measure.meaning }, element('dt', {}, measure.name), value),
      ),
    ),
    element('div', { class: 'charts' }, loss.element, domain.element, general.element),
  );
  return {
    element: view,
    update: job => {
      shown = job;
      const { progress, curve, status } = job;
      view.dataset['status'] = status;
      setText(heading, job.name);
      setText(state, stateText(job));
      setText(left, leftText(job));
      bar.value = job.fraction;
      bar.hidden = status === 'queued' || status === 'cancelled';
      drawPhases(job);
      failure.hidden = job.failure === null;
      setText(failure, job.failure ?? '');
      notice.hidden = job.notice === null;
      setText(notice, job.notice ?? '');
      for (const [name, made] of Object.entries(buttons)) {
        made.hidden = !offered[status].includes(name) || name === otherKinds[job.kind];
      }
      for (const { measure, value } of tiles) {
        setText(value, progress ? measure.value(progress, job) : '–');
        const isOther = measure.ofFeatures === true && job.kind !== 'residual';
        if (value.parentElement) value.parentElement.hidden = isOther;
      }
      domain.element.hidden = general.element.hidden = job.kind !== 'residual';
      loss.update(valuesOf(curve, 'loss'), null);
      domain.update(valuesOf(curve, 'domainEv'), progress?.domainEvBase ?? null);
      general.update(valuesOf(curve, 'generalEv'), progress?.generalEvBase ?? null);
    },
  };
}

const offered: Readonly<Record<JobStatus, readonly string[]>> = {
  queued: ['cancel'],
  running: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  done: ['report', 'map', 'remove'],
  failed: ['resume', 'remove'],
  cancelled: ['remove'],
};

/** What there is to see at the end of a training of the other kind. */
const otherKinds: Readonly<Record<TrainingKind, string>> = { residual: 'map', routers: 'report' };

interface Measure {
  readonly name: string;
  readonly meaning: string;
  /** Whether only trainings of residual SAEs have it. */
  readonly ofFeatures?: true;
  readonly value: (progress: TrainingProgress, job: JobState) => string;
}

const measures: readonly Measure[] = [
  {
    name: 'Live features',
    ofFeatures: true,
    meaning: 'Features of the residual SAE that have fired lately',
    value: ({ alive }, { width }) =>
      alive === null || width === null ? '–' : `${formatCount(alive)} of ${formatCount(width)}`,
  },
  {
    name: 'Dead',
    ofFeatures: true,
    meaning: 'Fraction of the features that has not fired lately',
    value: ({ dead }) => (dead === null ? '–' : formatPercent(dead)),
  },
  {
    name: 'Tokens',
    meaning: 'Tokens trained on so far, counted with repetition',
    value: ({ tokens }) => formatCount(tokens),
  },
  {
    name: 'Tokens per second',
    meaning: 'Measured lately',
    value: ({ tokensPerSecond }) =>
      tokensPerSecond === null ? '–' : formatCount(Math.round(tokensPerSecond)),
  },
];

function stateText({ status, progress, fraction }: JobState): string {
  const percent = `${Math.floor(100 * fraction)} %`;
  switch (status) {
    case 'queued':
      return 'Waits for its turn';
    case 'running':
      return progress ? `${capitalised(progress.phase)} · ${percent}` : 'Starting the trainer';
    case 'paused':
      return `Paused at ${percent}`;
    case 'failed':
      return `Stopped at ${percent}`;
    case 'cancelled':
      return 'Cancelled';
    case 'done':
      return 'Done';
  }
}

function leftText({ status, progress }: JobState): string {
  if (!progress || status === 'done' || status === 'cancelled') return '';
  const { step, steps, secondsLeft, device } = progress;
  const parts = steps > 0 ? [`step ${formatCount(step)} of ${formatCount(steps)}`] : [];
  if (device !== undefined) parts.push(`on ${device}`);
  if (status === 'running' && secondsLeft !== null) {
    parts.push(`about ${formatDuration(secondsLeft)} left`);
  }
  return parts.join(' · ');
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function formatLoss(loss: number): string {
  return formatActivation(Math.max(0, loss));
}

function valuesOf(
  curve: readonly CurvePoint[],
  name: 'loss' | 'domainEv' | 'generalEv',
): readonly CurveValue[] {
  return curve.flatMap(point => {
    const value = point[name];
    return value === null ? [] : [{ step: point.step, value }];
  });
}
