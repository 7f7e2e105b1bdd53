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
  let shown: Pick<DocumentState, 'evByK' | 'boostedEvByK'> | undefined;
  // With domains on, theirs is the curve and the base's the one to compare with.
  const draw = (k: number): void => {
    if (!shown) return;
    const { evByK, boostedEvByK } = shown;
    if (boostedEvByK) chart.update(boostedEvByK, k, { name: 'base', values: evByK });
    else chart.update(evByK, k);
  };
  const slider = createSlider({
    id: 'k',
    label: 'Sparsity (k)',
    explanation:
      'Features kept per token: the k strongest. Moving k re-ranks stored activations: the model does not run again.',
    onInput: k => {
      wanted.push(k);
      draw(k);
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
      shown = document;
      // While the user drags, the host's snapshots are older than the thumb.
      if (!slider.held && !wanted.busy) slider.update(document.k, document.maxK);
      draw(slider.value);
    },
  };
}
