import type {
  JobState,
  TrainingHost,
  TrainingState,
  TrainingView,
} from '../../src/contracts/trainingPanel.ts';
import { announce } from '../shared/announce.ts';
import { element, setText } from '../shared/dom.ts';
import { keepState, openHost, readKeptState, send } from '../shared/host.ts';
import { createEmptyView } from './emptyView.ts';
import { createJobView, type JobActions } from './jobView.ts';
import { createListView, link } from './listView.ts';
import { createPlanView } from './planView.ts';
import { createReportView } from './reportView.ts';
import './main.css';

const host = openHost<TrainingHost, TrainingView>({
  show: state => {
    show(state);
    return null;
  },
});

const actions: JobActions & { readonly train: () => void } = {
  pause: id => send(host.call('pause', { id })),
  resume: id => send(host.call('resume', { id })),
  cancel: id => send(host.call('cancel', { id })),
  remove: id => send(host.call('remove', { id })),
  showReport: domain => send(host.call('showReport', { domain })),
  showLayerMap: id => send(host.call('showLayerMap', { id })),
  train: () => send(host.call('train', null)),
};

const obstacle = element('p', { class: 'warning' });
const failure = element('p', { class: 'failure', attributes: { role: 'alert' } });
const empty = createEmptyView(() => actions.train());
const plan = createPlanView(host);
const job = createJobView(actions);
const lists = createListView(actions);
const back = element(
  'nav',
  { attributes: { 'aria-label': 'Trainings' } },
  link('← Trainings', () => send(host.call('showReport', { domain: null }))),
);
const underWay = element('span', { class: 'dim' });
back.append(underWay);
const report = element('div');
const main = element(
  'main',
  {},
  back,
  obstacle,
  failure,
  empty,
  plan.element,
  job.element,
  report,
  lists.element,
);
document.body.append(main);

/** The report on the page; a new stamp means new content. */
let drawn: TrainingState['shown'] = null;
let told = '';

main.dataset['state'] = 'loading';
for (const part of [back, obstacle, failure, empty, plan.element, job.element, lists.element]) {
  part.hidden = true;
}
host.call('ready', null).then(show, (error: unknown) => {
  main.dataset['state'] = 'failed';
  fail(error);
});
document.addEventListener('scroll', () => keepState({ scroll: window.scrollY }), { passive: true });

function show(state: TrainingState): void {
  const shown = state.plan ? null : state.shown;
  const present = shown || state.plan ? undefined : presentJob(state.jobs);
  const kind = state.plan ? 'plan' : shown ? 'report' : present ? 'training' : 'empty';
  main.dataset['state'] = kind;
  obstacle.hidden = state.obstacle === null;
  setText(obstacle, state.obstacle ?? '');
  if (kind !== 'report') failure.hidden = true;
  back.hidden = kind !== 'report';
  empty.hidden = kind !== 'empty' || state.obstacle !== null;
  plan.element.hidden = kind !== 'plan';
  job.element.hidden = kind !== 'training';
  report.hidden = kind !== 'report';
  lists.element.hidden =
    kind === 'report' ||
    (state.jobs.length === 0 && state.reports.length === 0) ||
    (kind === 'plan' && state.jobs.length === 0);
  if (state.plan) plan.update(state.plan);
  if (present) job.update(present);
  lists.update(state, present);
  setText(underWay, underWayText(state.jobs));
  if (shown) void drawReport(shown);
  else drawn = null;
  tell(state, present);
}

/** The one that runs or is paused, or waits first, or ended last. */
function presentJob(jobs: readonly JobState[]): JobState | undefined {
  return (
    jobs.find(({ status }) => status === 'running' || status === 'paused') ??
    jobs.find(({ status }) => status === 'queued') ??
    jobs.at(-1)
  );
}

async function drawReport(shown: NonNullable<TrainingState['shown']>): Promise<void> {
  if (drawn?.domain === shown.domain && drawn.stamp === shown.stamp) return;
  const isFirst = drawn === null && report.childElementCount === 0;
  drawn = shown;
  try {
    const content = await host.call('report', { domain: shown.domain });
    if (drawn !== shown) return;
    failure.hidden = true;
    report.replaceChildren(createReportView(content, host));
    window.scrollTo(0, isFirst ? (readKeptState()['scroll'] ?? 0) : 0);
    announce(`Report of ${shown.domain}`);
  } catch (error) {
    if (drawn !== shown) return;
    report.replaceChildren();
    fail(error);
  }
}

function fail(error: unknown): void {
  failure.hidden = false;
  setText(failure, error instanceof Error ? error.message : String(error));
}

function underWayText(jobs: readonly JobState[]): string {
  const active = jobs.find(({ status }) => status === 'running' || status === 'paused');
  if (!active) return '';
  const percent = `${Math.floor(100 * active.fraction)} %`;
  return active.status === 'paused'
    ? `${active.name} paused at ${percent}`
    : `training ${active.name}, ${percent}`;
}

/** Says phases and ends, not every number. */
function tell(state: TrainingState, present: JobState | undefined): void {
  const sentence = state.plan
    ? state.plan.kind === 'ready'
      ? `The plan for ${state.plan.name} is ready`
      : ''
    : present
      ? `${present.name}: ${present.status === 'running' ? (present.progress?.phase ?? 'starting') : present.status}`
      : '';
  if (sentence === told) return;
  told = sentence;
  if (sentence !== '') announce(sentence);
}
