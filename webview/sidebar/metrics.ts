import { formatCount } from '../../src/common/numbers.ts';
import type { DocumentState } from '../../src/contracts/panels.ts';
import { element, setText } from '../shared/dom.ts';

/** The document's numbers at this k, each with its convention. */
export interface MetricsPanel {
  readonly element: HTMLElement;
  update(document: DocumentState): void;
}

interface Metric {
  readonly name: string;
  value(document: DocumentState): string;
  /** What the number is and how it is measured. */
  convention(document: DocumentState): string;
}

const metrics: readonly Metric[] = [
  {
    name: 'L0',
    value: ({ l0 }) => (Number.isNaN(l0) ? '–' : l0.toFixed(1)),
    convention: document =>
      `Mean number of active features per token at this k. ${leftOut(document)}`,
  },
  {
    name: 'EV',
    value: ({ ev }) => formatFraction(ev),
    convention: document =>
      `Explained variance at this k: 1 − Σ|x − x̂|² / Σ|x − mean(x)|² over this document’s tokens. ${leftOut(document)}`,
  },
  {
    name: 'Surprisal',
    value: ({ crossEntropy }) => (Number.isNaN(crossEntropy) ? '–' : crossEntropy.toFixed(2)),
    convention: ({ crossEntropy }) =>
      `Mean of −ln p(token | the tokens before it), in nats per token, of the model as it is${perplexity(crossEntropy)}. It does not depend on k.`,
  },
];

export function createMetricsPanel(): MetricsPanel {
  const cells = metrics.map(metric => {
    const id = `convention-${metric.name}`;
    const value = element('dd');
    const told = element('span', { class: 'unseen', attributes: { id } });
    const box = element(
      'div',
      { class: 'metric', attributes: { tabindex: '0', role: 'group', 'aria-describedby': id } },
      element('dl', {}, element('dt', {}, metric.name), value),
      told,
    );
    return { metric, value, told, box };
  });
  return {
    element: element(
      'section',
      { class: 'metrics', attributes: { 'aria-label': 'This document at this k' } },
      ...cells.map(({ box }) => box),
    ),
    update: document => {
      for (const { metric, value, told, box } of cells) {
        setText(value, metric.value(document));
        setText(told, metric.convention(document));
        box.title = metric.convention(document);
        box.setAttribute('aria-label', `${metric.name} ${metric.value(document)}`);
      }
    },
  };
}

/** Explained variance and the like: three decimals, a dash where unknown. */
export function formatFraction(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(3).replace('-', '−');
}

function leftOut({ tokens, excluded }: DocumentState): string {
  return `Left out: ${formatCount(excluded)} of ${formatCount(tokens)} tokens (the first of a window, and those of outlier norm).`;
}

function perplexity(crossEntropy: number): string {
  return Number.isNaN(crossEntropy) ? '' : ` (perplexity ${Math.exp(crossEntropy).toFixed(1)})`;
}
