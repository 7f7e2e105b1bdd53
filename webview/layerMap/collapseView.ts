import { formatDecimal } from '../../src/common/numbers.ts';
import type { CollapsePlace, MeanAndDeviation } from '../../src/contracts/collapse.ts';
import type { MeasuredCollapse, NamedCollapse } from '../../src/contracts/layerMapPanel.ts';
import { element } from '../shared/dom.ts';
import { csvText } from './heatMap/csv.ts';
import { layerChart, type LayerSeries } from './layerChart.ts';
import { createTokenPlane } from './tokenPlane.ts';

/** What a collapse measurement found: two charts by layer, the numbers as a table, the words' tokens in a plane. */
export interface CollapseView {
  readonly element: HTMLElement;
  update(measured: MeasuredCollapse): void;
}

const places: readonly { readonly place: CollapsePlace; readonly label: string }[] = [
  { place: 'values', label: 'values' },
  { place: 'hiddenStates', label: 'hidden states' },
];

type Measure = 'entropy' | 'separability';

export function createCollapseView(): CollapseView {
  const charts = element('div', { class: 'layerCharts' });
  const key = element('ul', { class: 'chartKey', attributes: { 'aria-label': 'Lines' } });
  const table = element('div', { class: 'numbers' });
  const plane = createTokenPlane();
  const numbers = element('details', {}, element('summary', {}, 'Numbers'), table);
  return {
    element: element('div', { class: 'collapseView' }, charts, key, numbers, plane.element),
    update: ({ models }) => {
      const chance = models[0]?.result.chance ?? null;
      const accuracy = seriesOf(models, 'separability');
      charts.replaceChildren(
        layerChart({ title: 'Matrix entropy by layer, nats', series: seriesOf(models, 'entropy') }),
        ...(accuracy.some(({ values }) => values.some(Number.isFinite))
          ? [
              layerChart({
                title: 'Separability of words by layer, accuracy',
                series: accuracy,
                most: 1,
                chance,
              }),
            ]
          : []),
      );
      key.replaceChildren(
        ...accuracy.map(({ name, kind }) =>
          element('li', {}, element('span', { class: `swatch ${kind}` }), name),
        ),
      );
      table.replaceChildren(numberTable(models));
      plane.update(models);
    },
  };
}

function seriesOf(models: readonly NamedCollapse[], measure: Measure): LayerSeries[] {
  return models.flatMap(({ name, result }, m) =>
    places.map(({ place, label }) => ({
      name: models.length > 1 ? `${name}, ${label}` : label,
      kind: `${place}${m}`,
      values: result.layers.map(layer => layer[place][measure]?.mean ?? NaN),
      deviations: result.layers.map(layer => layer[place][measure]?.deviation ?? NaN),
    })),
  );
}

interface Column {
  readonly title: string;
  readonly of: (layer: number) => MeanAndDeviation | null;
}

function columnsOf(models: readonly NamedCollapse[]): Column[] {
  return (['entropy', 'separability'] as const).flatMap(measure =>
    models.flatMap(({ name, result }) =>
      places.map(({ place, label }) => ({
        title: [...(models.length > 1 ? [name] : []), label, measure].join(', '),
        of: (layer: number) => result.layers[layer]?.[place][measure] ?? null,
      })),
    ),
  );
}

function layersOf(models: readonly NamedCollapse[]): number[] {
  const count = Math.max(...models.map(({ result }) => result.layers.length));
  return Array.from({ length: count }, (_, layer) => layer);
}

function numberTable(models: readonly NamedCollapse[]): HTMLElement {
  const columns = columnsOf(models);
  const head = ['Layer', ...columns.map(({ title }) => title)].map(title =>
    element('th', { attributes: { scope: 'col' } }, title),
  );
  const rows = layersOf(models).map(layer =>
    element(
      'tr',
      {},
      element('th', { attributes: { scope: 'row' } }, `${layer}`),
      ...columns.map(({ of }) => {
        const measured = of(layer);
        const text = measured
          ? `${formatDecimal(measured.mean)} ± ${formatDecimal(measured.deviation)}`
          : '–';
        return element('td', {}, text);
      }),
    ),
  );
  return element(
    'table',
    {},
    element(
      'caption',
      { class: 'unseen' },
      'Entropy and separability by layer: mean and deviation',
    ),
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  );
}

/** The same numbers, a line for each layer of each model. */
export function collapseCsv({ models }: MeasuredCollapse): string {
  const header = ['model', 'layer', 'of', 'entropy', 'entropy sd', 'accuracy', 'accuracy sd'];
  const lines = models.flatMap(({ name, result }) =>
    result.layers.flatMap((layer, index) =>
      places.map(({ place, label }) => {
        const { entropy, separability } = layer[place];
        return [
          `"${name.replaceAll('"', '""')}"`,
          index,
          label,
          entropy.mean,
          entropy.deviation,
          separability?.mean ?? '',
          separability?.deviation ?? '',
        ].join(',');
      }),
    ),
  );
  return csvText(header, lines);
}
