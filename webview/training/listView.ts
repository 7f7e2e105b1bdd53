import type { JobState, JobStatus, TrainingState } from '../../src/contracts/trainingPanel.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import type { JobActions } from './jobView.ts';

/** The other trainings of the workspace, and the reports there are. */
export interface ListView {
  readonly element: HTMLElement;
  update(state: TrainingState, shown: JobState | undefined): void;
}

export function createListView(actions: JobActions & { readonly train: () => void }): ListView {
  const queue = element('ul', { class: 'jobs' });
  const queueSection = element('section', {}, element('h2', {}, 'Other trainings'), queue);
  const reports = element('ul', { class: 'reports' });
  const reportSection = element('section', {}, element('h2', {}, 'Reports'), reports);
  const train = button('Train Another Domain', () => actions.train(), 'secondary');
  const rows = new Map<string, Row>();
  let listed = '';
  return {
    element: element(
      'div',
      { class: 'lists' },
      queueSection,
      reportSection,
      element('div', { class: 'commands' }, train),
    ),
    update: (state, shown) => {
      const others = state.jobs.filter(({ id }) => id !== shown?.id);
      queueSection.hidden = others.length === 0;
      reportSection.hidden = state.reports.length === 0;
      train.hidden = state.plan !== null;
      update(queue, rows, others, actions);
      const names = JSON.stringify(state.reports);
      if (names === listed) return;
      listed = names;
      reports.replaceChildren(
        ...state.reports.map(domain =>
          element(
            'li',
            {},
            link(domain, () => actions.showReport(domain)),
          ),
        ),
      );
    },
  };
}

interface Row {
  readonly element: HTMLElement;
  readonly status: HTMLElement;
  shown: JobStatus;
}

/** Rows are made anew only where their job's status changes, so that the focus stays where it is. */
function update(
  list: HTMLElement,
  rows: Map<string, Row>,
  jobs: readonly JobState[],
  actions: JobActions,
): void {
  const ids = new Set(jobs.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  for (const [i, job] of jobs.entries()) {
    let row = rows.get(job.id);
    if (row?.shown !== job.status) {
      row?.element.remove();
      row = makeRow(job, actions);
      rows.set(job.id, row);
    }
    setText(row.status, statusText(job));
    if (list.children[i] !== row.element) list.insertBefore(row.element, list.children[i] ?? null);
  }
}

function makeRow(job: JobState, actions: JobActions): Row {
  const status = element('span', { class: 'dim' });
  const made = element(
    'li',
    {},
    element('span', { class: 'name', attributes: { dir: 'auto' } }, job.name),
    status,
    element('span', { class: 'actions' }, ...links(job, actions)),
  );
  return { element: made, status, shown: job.status };
}

function links({ id, name, status }: JobState, actions: JobActions): HTMLElement[] {
  const cancel = link('Cancel', () => actions.cancel(id), `Cancel the training of ${name}`);
  const remove = link('Remove', () => actions.remove(id), `Remove ${name} from the list`);
  const resume = link('Resume', () => actions.resume(id), `Resume the training of ${name}`);
  const report = link('Report', () => actions.showReport(name), `Report of ${name}`);
  switch (status) {
    case 'queued':
    case 'running':
      return [cancel];
    case 'paused':
      return [resume, cancel];
    case 'failed':
      return [resume, remove];
    case 'done':
      return [report, remove];
    case 'cancelled':
      return [remove];
  }
}

function statusText({ status, fraction, failure }: JobState): string {
  if (status === 'running') return `running, ${Math.floor(100 * fraction)} %`;
  return status === 'failed' && failure !== null ? `failed: ${failure}` : status;
}

/** A button that looks like a link: it leads elsewhere or is one of many. */
export function link(text: string, onClick: () => void, name?: string): HTMLButtonElement {
  const made = element(
    'button',
    {
      class: 'link',
      attributes: { type: 'button', ...(name === undefined ? {} : { 'aria-label': name }) },
    },
    text,
  );
  made.addEventListener('click', onClick);
  return made;
}
