import { formatCount, formatDuration, formatPercent } from '../../src/common/numbers.ts';
import type { PlanChoice, PlanState, TrainingHost } from '../../src/contracts/trainingPanel.ts';
import type { Caller } from '../../src/messages/calls.ts';
import { planSeconds } from '../../src/report/planSeconds.ts';
import { button, checkbox, relabel } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { createProgress } from '../shared/progress.ts';
import { corpusFacts, skippedFiles, warnings } from './corpusView.ts';

type Ready = Extract<PlanState, { kind: 'ready' }>;

/** A training before it is started: what it would read, how long it would take, and what can be changed. */
export interface PlanView {
  readonly element: HTMLElement;
  update(plan: PlanState): void;
}

/** Share of general text where the settings name none. */
const usualMix = 0.25;

export function createPlanView(host: Caller<TrainingHost>): PlanView {
  const heading = element('h1', { attributes: { dir: 'auto' } });
  const progress = createProgress();
  const failure = element('p', { class: 'failure', attributes: { role: 'alert' } });
  const corpus = element('div', { class: 'corpus' });
  const tokens = element('input', {
    class: 'numberField',
    attributes: { id: 'tokens', type: 'number', min: '1', step: '1', 'aria-describedby': 'passes' },
  });
  const passes = element('span', { class: 'dim', attributes: { id: 'passes' } });
  const time = element('span', { class: 'time' });
  const size = element('span');
  const mix = checkbox('Mix general text into the training', () => redraw());
  const start = button('Start Training', () => begin());
  const dropped = button('Cancel', () => send(host.call('dropPlan', null)), 'secondary');
  const settings = button('Settings…', () => send(host.call('openSettings', null)), 'secondary');
  const log = button('Show Log', () => send(host.call('showLog', null)), 'secondary');
  const form = element(
    'div',
    { class: 'form' },
    element('label', { attributes: { for: 'tokens' } }, 'Training tokens'),
    element('div', { class: 'field' }, tokens, passes),
    element('span', {}, 'Estimated time'),
    time,
    element('span', {}, 'Residual SAE'),
    element('div', { class: 'field' }, size),
    element('span', {}, 'General text'),
    element('div', {}, mix.element, element('p', { class: 'hint dim' }, mixHint)),
  );
  let shown: Ready | undefined;
  const share = (): number =>
    shown && shown.choice.mixGeneral > 0 ? shown.choice.mixGeneral : usualMix;
  const redraw = (): void => {
    if (!shown) return;
    const wanted = tokens.valueAsNumber;
    const isValid = Number.isFinite(wanted) && wanted >= 1;
    start.toggleAttribute('disabled', !isValid);
    tokens.setAttribute('aria-invalid', (!isValid).toString());
    setText(passes, isValid ? passesText(wanted / shown.plan.corpus.tokens) : 'a whole number');
    setText(
      time,
      isValid
        ? `about ${formatDuration(planSeconds(shown.plan, chosen()))} on this machine now`
        : '–',
    );
  };
  const chosen = (): PlanChoice => ({
    tokens: tokens.valueAsNumber,
    mixGeneral: mix.value ? share() : 0,
  });
  const begin = (): void => send(host.call('start', chosen()));
  tokens.addEventListener('input', redraw);
  const ready = element('div', { class: 'ready' }, corpus, form);
  const commands = element('div', { class: 'commands' }, start, dropped, settings, log);
  return {
    element: element(
      'section',
      { class: 'plan', attributes: { 'aria-label': 'Plan' } },
      heading,
      progress.element,
      failure,
      ready,
      commands,
    ),
    update: plan => {
      setText(heading, `Train a residual SAE: ${plan.name}`);
      progress.element.hidden = plan.kind !== 'reading';
      failure.hidden = log.hidden = plan.kind !== 'failed';
      ready.hidden = start.hidden = settings.hidden = plan.kind !== 'ready';
      if (plan.kind === 'reading') progress.update(plan.step, plan.fraction);
      if (plan.kind === 'failed') setText(failure, plan.message);
      if (plan.kind !== 'ready') {
        shown = undefined;
        return;
      }
      if (JSON.stringify(shown) === JSON.stringify(plan)) return;
      shown = plan;
      corpus.replaceChildren(...warnings(plan.plan), corpusFacts(plan), skippedFiles(plan.plan));
      tokens.value = plan.choice.tokens.toString();
      mix.value = plan.choice.mixGeneral > 0;
      relabel(mix, `Mix in general text: ${formatPercent(share())} of the training`);
      setText(size, `${formatCount(plan.width)} features, ${plan.k} per token of the domain`);
      redraw();
    },
  };
}

const mixHint =
  'Off: the paper’s plain method. With little text, mixing keeps general text from suffering; the report shows both.';

function passesText(passes: number): string {
  if (!Number.isFinite(passes)) return '';
  return passes === 1
    ? 'one pass over the text'
    : `${passes.toFixed(passes < 10 ? 1 : 0)} passes over the text`;
}
