import { formatCount } from '../../src/common/numbers.ts';
import type { Route } from '../../src/contracts/layerMap.ts';
import { checkbox } from '../shared/controls.ts';
import { element, setText } from '../shared/dom.ts';
import { send } from '../shared/host.ts';
import { keyValueHead, type PageActions, type PageState } from './page.ts';
import { formatShare } from './heatMap/scale.ts';

/** The selected route by its numbers, and the switch that tints the file by it. */
export interface RouteBar {
  readonly element: HTMLElement;
  update(page: PageState, hasMap: boolean): void;
  /** Says what is pointed at. */
  say(sentence: string): void;
}

export function createRouteBar({ host, select }: PageActions): RouteBar {
  let page: PageState | undefined;
  const [layer, head, buffer] = [numberField('Layer'), numberField('Head'), numberField('Buffer')];
  const readout = element('output', { class: 'readout', attributes: { 'aria-live': 'polite' } });
  const share = element('p', { class: 'routeShare' });
  const outcome = element('p', { class: 'dim', attributes: { 'aria-live': 'polite' } });
  const tint = checkbox('Tint the file by this route', on => send(host.call('setTint', { on })));
  const change = (): void => {
    if (!page) return;
    const { layers, queryHeads } = page.map;
    const chosen = clamp(layer.input.valueAsNumber, 1, layers - 1);
    select({
      layer: chosen,
      head: clamp(head.input.valueAsNumber, 0, queryHeads - 1),
      buffer: clamp(buffer.input.valueAsNumber, 0, chosen),
    });
  };
  for (const { input } of [layer, head, buffer]) input.addEventListener('change', change);
  return {
    element: element(
      'section',
      { class: 'routeBar', attributes: { 'aria-label': 'Selected route' } },
      readout,
      element('div', { class: 'routeFields' }, layer.element, head.element, buffer.element, share),
      element('div', { class: 'routeTint' }, tint.element, outcome),
    ),
    say: sentence => {
      setText(readout, sentence === '' ? hint : sentence);
      readout.classList.toggle('dim', sentence === '');
    },
    update: (next, hasMap) => {
      page = next;
      readout.hidden = !hasMap;
      const { selection } = next.state;
      const { route } = selection;
      const { layers, queryHeads } = next.map;
      layer.update(route?.layer, 1, layers - 1);
      head.update(route?.head, 0, queryHeads - 1);
      buffer.update(route?.buffer, 0, route?.layer ?? layers - 1);
      setText(share, route ? shareText(route, next) : '');
      tint.value = selection.tint;
      tint.element.toggleAttribute('disabled', route === null);
      setText(outcome, outcomeText(next));
    },
  };
}

const hint = 'Point at a cell, or use the arrow keys; a click or Enter selects its route.';

interface NumberField {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  update(value: number | undefined, min: number, max: number): void;
}

function numberField(label: string): NumberField {
  const input = element('input', { class: 'numberField', attributes: { type: 'number' } });
  return {
    element: element('label', { class: 'labelled' }, element('span', {}, label), input),
    input,
    update: (value, min, max) => {
      input.min = `${min}`;
      input.max = `${max}`;
      const text = value === undefined ? '' : `${value}`;
      if (input.value !== text) input.value = text;
    },
  };
}

function clamp(value: number, min: number, max: number): number {
  return Number.isFinite(value) ? Math.max(min, Math.min(max, Math.round(value))) : min;
}

/** What the maps say of the route. */
function shareText(route: Route, { map, state }: PageState): string {
  const of = (perHead: Float32Array): string => {
    const at = (route.layer * map.heads + keyValueHead(route.head, map)) * map.layers;
    return formatShare(perHead[at + route.buffer] ?? NaN);
  };
  const group =
    map.heads === map.queryHeads ? '' : ` (key-value head ${keyValueHead(route.head, map)})`;
  const weight = `weight ${of(map.routers.perHead)}, initially ${of(map.initial.perHead)}${group}`;
  const { document } = state;
  return document.kind === 'ready'
    ? `${weight}; by contribution ${of(document.value.contribution.perHead)}`
    : weight;
}

function outcomeText({ state: { selection, document } }: PageState): string {
  const { tint, tinted, problem } = selection;
  if (!tint) return '';
  if (problem !== null) return problem;
  if (!tinted) return document.kind === 'none' ? document.reason : 'Running the document…';
  const { tokens, mean, max } = tinted;
  const few = `${formatCount(tokens)} ${tokens === 1 ? 'token' : 'tokens'}`;
  return `${few}, mean share ${formatShare(mean)}; the strongest tint is ${formatShare(max)}.`;
}
