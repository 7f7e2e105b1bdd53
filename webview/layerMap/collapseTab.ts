import { formatCount } from '../../src/common/numbers.ts';
import type { MeasuredCollapse } from '../../src/contracts/layerMapPanel.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { collapseCsv, createCollapseView } from './collapseView.ts';
import type { PageActions, PageState, TabView } from './page.ts';
import { createRadios } from './radios.ts';
import { createSelect, type SelectOption } from './select.ts';
import { createWorkView } from './workView.ts';

const usualWords = 'is, are, was, were';

/** Whether the layers of the model, and of another one, tell tokens apart: entropy, close words, their tokens in a plane. */
export function createCollapseTab({ host, redraw }: PageActions): TabView {
  const words = element('input', {
    class: 'textInput',
    attributes: { type: 'text', value: usualWords, spellcheck: 'false' },
  });
  const text = createRadios(
    'Text',
    [
      { value: 'document', label: 'Open document' },
      { value: 'workspace', label: 'Workspace' },
    ],
    redraw,
  );
  const measure = (): void =>
    send(
      host.call('measureCollapse', {
        words: words.value.split(/[\s,]+/).filter(word => word !== ''),
        text: text.value,
      }),
    );
  const against = createSelect('Compare with', value =>
    send(
      host.call('compareCollapse', {
        with: value === 'choose' ? 'file' : value === 'unfitted' ? value : 'none',
      }),
    ),
  );
  const start = button('Measure', measure);
  const cancel = button('Cancel', () => send(host.call('cancelCollapse', null)), 'secondary');
  const work = createWorkView(measure);
  const about = element('p', { class: 'lead' });
  const view = createCollapseView();
  const copy = button(
    'Copy CSV',
    () => {
      if (drawn) send(host.call('copyText', { text: collapseCsv(drawn) }));
    },
    'secondary',
  );
  const results = element(
    'div',
    { class: 'collapse' },
    about,
    view.element,
    element('div', { class: 'commands' }, copy),
  );
  let drawn: MeasuredCollapse | undefined;
  return {
    id: 'collapse',
    label: 'Collapse',
    ofDocument: false,
    withoutRoute: true,
    element: element(
      'section',
      {},
      element(
        'p',
        { class: 'lead' },
        'Runs text and measures, layer by layer, whether values and hidden states still tell tokens apart: ' +
          'the entropy of their directions, and how well a linear classifier knows close words from each other.',
      ),
      element(
        'div',
        { class: 'collapseOptions' },
        element('label', { class: 'labelled' }, element('span', {}, 'Words'), words),
        against.element,
        text.element,
      ),
      element('div', { class: 'commands' }, start, cancel),
      work.element,
      results,
    ),
    update: page => {
      const { work: state } = page.state.collapse;
      const { options, value } = comparisons(page);
      against.update(options, value);
      start.hidden = state.kind === 'busy';
      cancel.hidden = state.kind !== 'busy';
      work.update(state);
      results.hidden = state.kind !== 'ready';
      if (state.kind !== 'ready' || state.value === drawn) return;
      drawn = state.value;
      setText(about, aboutText(drawn));
      view.update(drawn);
    },
    copies: () => null,
  };
}

/** What the model can be compared with, and what it is. */
function comparisons({ map, state }: PageState): { options: SelectOption[]; value: string } {
  const { against } = state.collapse;
  const isFitted = map.origin === 'fitted';
  return {
    options: [
      { value: 'none', label: 'Nothing' },
      ...(isFitted ? [{ value: 'unfitted', label: 'This model without routers' }] : []),
      ...(against?.kind === 'file' ? [{ value: 'file', label: against.name }] : []),
      { value: 'choose', label: 'Another model…' },
    ],
    value: against && (against.kind === 'file' || isFitted) ? against.kind : 'none',
  };
}

function aboutText({ text, models }: MeasuredCollapse): string {
  const parts = models.map(({ name, result }) => {
    const counts = result.words.map(({ word, count }) => `${word} ${formatCount(count)}`);
    const words = counts.length > 0 ? ` (${counts.join(', ')})` : '';
    return `${name}: ${formatCount(result.tokens)} tokens${words}`;
  });
  return `Text: ${text}. ${parts.join('; ')}. ${models[0]?.result.convention ?? ''}`;
}
