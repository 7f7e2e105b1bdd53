import type { DocumentState } from '../../src/contracts/panels.ts';
import { Latest } from '../shared/latest.ts';
import { createLineChart } from '../shared/lineChart.ts';
import { createSlider } from '../shared/slider.ts';
import { element } from '../shared/dom.ts';
import { formatFraction } from './metrics.ts';

/** The sparsity slider over the curve of explained variance, which shares its horizontal scale. */
export interface SparsityPanel {
  readonly element: HTMLElement;
  update(document: DocumentState): void;
}

export function createSparsityPanel(setK: (k: number) => Promise<unknown>): SparsityPanel {
  const wanted = new Latest(setK);
  const chart = createLineChart('EV by k', formatFraction);
  let evByK: ArrayLike<number> = [];
  const slider = createSlider({
    id: 'k',
    label: 'Sparsity (k)',
    explanation:
      'Features kept per token: the k strongest. Moving k re-ranks stored activations: the model does not run again.',
    onInput: k => {
      wanted.push(k);
      chart.update(evByK, k);
    },
  });
  return {
    element: element(
      'section',
      { class: 'sparsity', attributes: { 'aria-label': 'Sparsity' } },
      slider.element,
      chart.element,
    ),
    update: document => {
      wanted.accept(document.k);
      evByK = document.evByK;
      // While the user drags, the host's snapshots are older than the thumb.
      if (!slider.held && !wanted.busy) slider.update(document.k, document.maxK);
      chart.update(evByK, slider.value);
    },
  };
}
