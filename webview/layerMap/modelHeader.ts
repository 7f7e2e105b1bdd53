import { formatCount, formatDecimal } from '../../src/common/numbers.ts';
import type { LayerMap, RouterFit, RouterOrigin } from '../../src/contracts/layerMap.ts';
import type { RouterSets } from '../../src/contracts/layerMapPanel.ts';
import { button } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import type { PageActions } from './page.ts';
import { createSelect } from './select.ts';

/** Which model and which routers are shown, and what they are. */
export interface ModelHeader {
  readonly element: HTMLElement;
  update(map: LayerMap | undefined, routers: RouterSets): void;
}

const badges: Readonly<Record<RouterOrigin, string>> = {
  trained: 'Trained with routers',
  fitted: 'Fitted, not trained',
  identity: 'No routers: identity',
};

/** Said of a fit that there is no other to compare with. */
const onlyFit =
  'One fit does not say how stable its map is: fit again under another name, which takes the text in another order.';

/** The value that stands for the model's own routers: no path is empty. */
const own = '';

export function createModelHeader({ host }: PageActions): ModelHeader {
  const name = element('h1', { attributes: { dir: 'auto' } });
  const badge = element('span', { class: 'badge' });
  const facts = element('p', { class: 'dim' });
  const fit = element('p', { class: 'fit' });
  const agreement = element('p', { class: 'dim' });
  const picker = createSelect('Routers', path =>
    send(host.call('chooseRouters', { path: path === own ? null : path })),
  );
  const offer = button('Fit LIMe Routers on Workspace', () =>
    send(host.call('run', { command: 'fitRouters' })),
  );
  const identity = element(
    'div',
    { class: 'identity' },
    element(
      'p',
      {},
      'This model was trained without routers: each layer reads its own keys and values only, so the identity is its true map. Routers fitted to the frozen model would show which other layers it could use.',
    ),
    offer,
  );
  return {
    element: element(
      'header',
      {},
      element('div', { class: 'headline' }, name, badge, picker.element),
      facts,
      fit,
      agreement,
      identity,
    ),
    update: (map, { sets, chosen, agreements }) => {
      name.hidden = badge.hidden = facts.hidden = !map;
      fit.hidden = agreement.hidden = !map?.fit;
      setText(agreement, agreements.length > 0 ? agreements.join(' ') : onlyFit);
      identity.hidden = map?.origin !== 'identity';
      picker.element.hidden = sets.length === 0;
      picker.update(
        [
          { value: own, label: 'The model’s own' },
          ...sets.map(({ name: label, path }) => ({ value: path, label: `Fitted: ${label}` })),
        ],
        chosen ?? own,
      );
      if (!map) return;
      setText(name, map.model);
      setText(badge, badges[map.origin]);
      badge.dataset['origin'] = map.origin;
      setText(facts, factsOf(map));
      if (map.fit) setText(fit, fitText(map.fit));
    },
  };
}

function factsOf({ layers, heads, queryHeads }: LayerMap): string {
  const readers =
    heads === queryHeads
      ? `${heads} heads`
      : `${heads} key-value heads, ${queryHeads} heads of queries`;
  return `${layers} layers, ${readers}; all are counted from 0.`;
}

function fitText({ name, tokens, heldOutTokens, ceBefore, ceAfter }: RouterFit): string {
  const ce = `${formatDecimal(ceBefore)} → ${formatDecimal(ceAfter)} nats per token`;
  return `Routers “${name}”, fitted to the frozen model on ${formatCount(tokens)} tokens: held-out CE ${ce} (${formatCount(heldOutTokens)} tokens).`;
}
