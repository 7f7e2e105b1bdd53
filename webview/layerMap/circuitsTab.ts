import { formatCount } from '../../src/common/numbers.ts';
import type { CircuitToken, Circuits, Route } from '../../src/contracts/layerMap.ts';
import type { FoundCircuits } from '../../src/contracts/layerMapPanel.ts';
import { tokenInContext } from '../shared/context.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { heatToken } from '../shared/tokenHeat.ts';
import { tokenText } from '../shared/tokenText.ts';
import type { PageActions, TabView } from './page.ts';
import { formatShare } from './heatMap/scale.ts';
import { createWorkView } from './workView.ts';

/** The tokens of the workspace on which the selected route matters most: the paper's depthwise circuits. */
export function createCircuitsTab({ host }: PageActions): TabView {
  const find = (): void => send(host.call('findCircuits', null));
  const start = button('Find', find);
  const cancel = button('Cancel', () => send(host.call('cancelCircuits', null)), 'secondary');
  const target = element('p');
  const work = createWorkView(find);
  const results = element('div', { class: 'circuits' });
  let drawn: FoundCircuits | undefined;
  return {
    id: 'circuits',
    label: 'Circuits',
    ofDocument: false,
    element: element(
      'section',
      {},
      element(
        'p',
        { class: 'lead' },
        'Runs the files of the workspace and finds the tokens on which the selected route has the largest share of its head’s output.',
      ),
      target,
      element('div', { class: 'commands' }, start, cancel),
      work.element,
      results,
    ),
    update: ({ state: { circuits, selection } }) => {
      const { route } = selection;
      setText(target, route ? `Route: ${routeName(route)}.` : 'Select a route in a map first.');
      start.toggleAttribute('disabled', route === null);
      start.hidden = circuits.kind === 'busy';
      cancel.hidden = circuits.kind !== 'busy';
      work.update(circuits);
      results.hidden = circuits.kind !== 'ready';
      if (circuits.kind !== 'ready' || circuits.value === drawn) return;
      drawn = circuits.value;
      const open = (index: number): void => send(host.call('openCircuit', { index }));
      results.replaceChildren(...resultParts(circuits.value, open));
    },
    copies: () => null,
  };
}

function routeName({ layer, head, buffer }: Route): string {
  return `layer ${layer}, head ${head}, buffer ${buffer}`;
}

function resultParts({ route, found }: FoundCircuits, open: (index: number) => void): Node[] {
  if (found.found.length === 0)
    return [element('p', {}, 'No token was found: the workspace has no text that can be run.')];
  const max = found.found[0]?.share ?? 0;
  return [
    element('h2', {}, `Strongest tokens of ${routeName(route)}`),
    element(
      'p',
      { class: 'dim' },
      `${formatCount(found.tokens)} tokens were run. ${found.convention}`,
    ),
    frequentTokens(found),
    element(
      'ol',
      { class: 'found' },
      ...found.found.map((token, i) => foundItem(token, max, () => open(i))),
    ),
  ];
}

/** Which tokens come up most often among the strongest. */
function frequentTokens({ byText }: Circuits): HTMLElement {
  const items = byText
    .slice(0, 24)
    .map(({ text, count, mean }) =>
      element(
        'li',
        { title: `mean share ${formatShare(mean)}` },
        element('span', { class: 'tokenText showSpaces' }, ...tokenText(text)),
        element('span', { class: 'dim' }, `× ${count}`),
      ),
    );
  return element(
    'ul',
    { class: 'byText', attributes: { 'aria-label': 'Most frequent' } },
    ...items,
  );
}

function foundItem(token: CircuitToken, max: number, open: () => void): HTMLElement {
  const { before, text, after, path, share } = token;
  const name = path.split(/[/\\]/).at(-1) ?? path;
  const link = element('button', {
    class: 'link place',
    title: path,
    attributes: { type: 'button', 'aria-label': `Open the token in ${name}` },
  });
  link.append(name);
  link.addEventListener('click', open);
  return element(
    'li',
    {},
    element('span', { class: 'amount' }, formatShare(share)),
    tokenInContext(before, heatToken(text, share, max), after),
    link,
  );
}
