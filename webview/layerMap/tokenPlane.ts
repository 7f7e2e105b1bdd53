import type { CollapsePlace, TokenPoints } from '../../src/contracts/collapse.ts';
import type { NamedCollapse } from '../../src/contracts/layerMapPanel.ts';
import { element, svgElement } from '../shared/dom.ts';
import { createRadios } from './radios.ts';
import { createSelect } from './select.ts';

/** The words' tokens as points, by layer, of one model or two side by side. */
export interface TokenPlane {
  readonly element: HTMLElement;
  update(models: readonly NamedCollapse[]): void;
}

const size = 300;
/** Shapes of words, so that they are told apart without colours; more words begin again. */
const shapes = [
  'M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0Z',
  'M-3-3H3V3H-3Z',
  'M0-3.6L3.6 3H-3.6Z',
  'M0-4L4 0L0 4L-4 0Z',
  'M-4-1.2H-1.2V-4H1.2V-1.2H4V1.2H1.2V4H-1.2V1.2H-4Z',
  'M0 3.6L3.6-3H-3.6Z',
] as const;

export function createTokenPlane(): TokenPlane {
  let models: readonly NamedCollapse[] = [];
  const draw = (): void => {
    const layers = layersOf(models);
    const layer = layers.includes(Number(select.value)) ? Number(select.value) : layers.at(-1);
    const options = layers.map(one => ({ value: `${one}`, label: `${one}` }));
    select.update(options, `${layer ?? ''}`);
    whole.hidden = layer === undefined;
    if (layer === undefined) return;
    planes.replaceChildren(
      ...models.map(model => planeOf(model, pointsOf(model, layer, place.value), place.value)),
    );
    key.replaceChildren(
      ...(models[0]?.result.words ?? []).map(({ word }, i) =>
        element('li', {}, keySymbol(i), word),
      ),
    );
  };
  const select = createSelect('Layer', draw);
  const place = createRadios<CollapsePlace>(
    'Of',
    [
      { value: 'values', label: 'Values' },
      { value: 'hiddenStates', label: 'Hidden states' },
    ],
    draw,
  );
  const planes = element('div', { class: 'planes' });
  const key = element('ul', { class: 'chartKey', attributes: { 'aria-label': 'Words' } });
  const whole = element(
    'div',
    { class: 'tokenPlanes' },
    element('h2', {}, 'Tokens of the words (t-SNE)'),
    element('div', { class: 'collapseOptions' }, select.element, place.element),
    key,
    planes,
  );
  return {
    element: whole,
    update: next => {
      models = next;
      draw();
    },
  };
}

/** Layers of which any model has points. */
function layersOf(models: readonly NamedCollapse[]): number[] {
  const all = models.flatMap(({ result }) => result.projections.map(({ layer }) => layer));
  return [...new Set(all)].sort((a, b) => a - b);
}

function pointsOf({ result }: NamedCollapse, layer: number, place: CollapsePlace) {
  return result.projections.find(found => found.layer === layer && found.place === place);
}

function planeOf(
  { name, result }: NamedCollapse,
  found: TokenPoints | undefined,
  place: CollapsePlace,
): HTMLElement {
  const caption = element('figcaption', {}, name);
  if (!found) {
    return element(
      'figure',
      {},
      caption,
      element('p', { class: 'dim' }, 'Not measured at this layer.'),
    );
  }
  const { points, words, layer } = found;
  const largest = points.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  const at = (value: number): string => ((0.5 + (0.47 * value) / largest) * size).toFixed(1);
  const svg = svgElement('svg', {
    viewBox: `0 0 ${size} ${size}`,
    role: 'img',
    'aria-label': `${words.length} tokens of ${name} at layer ${layer}, ${place === 'values' ? 'values' : 'hidden states'}: near ones are alike.`,
  });
  words.forEach((word, n) => {
    const [x, y] = [points[2 * n] ?? 0, points[2 * n + 1] ?? 0];
    const mark = symbol(word);
    mark.setAttribute('transform', `translate(${at(x)} ${at(y)})`);
    const tip = svgElement('title');
    tip.textContent = result.words[word]?.word ?? '';
    mark.append(tip);
    svg.append(mark);
  });
  return element('figure', {}, caption, svg);
}

function symbol(word: number): SVGPathElement {
  const index = word % shapes.length;
  return svgElement('path', { class: `mark mark${index}`, d: shapes[index] ?? shapes[0] });
}

function keySymbol(word: number): SVGElement {
  return svgElement(
    'svg',
    { viewBox: '-5 -5 10 10', class: 'keySymbol', 'aria-hidden': 'true' },
    symbol(word),
  );
}
