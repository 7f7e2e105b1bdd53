import { formatCount, isKnown } from '../../src/common/numbers.ts';
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
  /** A second line beneath it, '' where there is nothing to add. */
  detail(document: DocumentState): string;
  /** What the number is and how it is measured. */
  convention(document: DocumentState): string;
}

const metrics: readonly Metric[] = [
  {
    name: 'L0',
    value: ({ l0, domainL0 }) => formatL0(l0 + domainL0),
    detail: document =>
      [
        document.boostedEvByK ? `${formatL0(document.l0)} + ${formatL0(document.domainL0)}` : '',
        document.capped > 0 ? `at most ${document.maxK}` : '',
      ]
        .filter(Boolean)
        .join(', '),
    convention: document =>
      `Mean number of active features per token at this k${ofDomains(document)}. ${leftOut(document)}${cap(document)}`,
  },
  {
    name: 'EV',
    value: ({ ev, k, boostedEvByK }) =>
      formatFraction(boostedEvByK ? (boostedEvByK[k - 1] ?? NaN) : ev),
    detail: ({ ev, boostedEvByK }) => (boostedEvByK ? `base ${formatFraction(ev)}` : ''),
    convention: document =>
      document.boostedEvByK
        ? `Explained variance at this k: 1 − Σ|x − x̂ − Σê|² / Σ|x − mean(x)|² over this document’s tokens, ê of the domains that are on. ${leftOut(document)}`
        : `Explained variance at this k: 1 − Σ|x − x̂|² / Σ|x − mean(x)|² over this document’s tokens. ${leftOut(document)}`,
  },
  {
    name: 'Surprisal',
    value: ({ crossEntropy }) => (!isKnown(crossEntropy) ? '–' : crossEntropy.toFixed(2)),
    detail: () => '',
    convention: ({ crossEntropy }) =>
      `Mean of −ln p(token | the tokens before it), in nats per token, of the model as it is${perplexity(crossEntropy)}. It does not depend on k.`,
  },
];

export function createMetricsPanel(): MetricsPanel {
  const cells = metrics.map(metric => {
    const id = `convention-${metric.name}`;
    const value = element('dd');
    const detail = element('dd', { class: 'detail' });
    const told = element('span', { class: 'unseen', attributes: { id } });
    const box = element(
      'div',
      { class: 'metric', attributes: { tabindex: '0', role: 'group', 'aria-describedby': id } },
      element('dl', {}, element('dt', {}, metric.name), value, detail),
      told,
    );
    return { metric, value, detail, told, box };
  });
  return {
    element: element(
      'section',
      { class: 'metrics', attributes: { 'aria-label': 'This document at this k' } },
      ...cells.map(({ box }) => box),
    ),
    update: document => {
      const hasDetails = cells.some(({ metric }) => metric.detail(document) !== '');
      for (const { metric, value, detail, told, box } of cells) {
        setText(value, metric.value(document));
        setText(told, metric.convention(document));
        box.title = metric.convention(document);
        const more = metric.detail(document);
        detail.hidden = !hasDetails;
        setText(detail, more);
        const name = `${metric.name} ${metric.value(document)}`;
        box.setAttribute('aria-label', more === '' ? name : `${name} (${more})`);
      }
    },
  };
}

/** Explained variance and the like: three decimals, a dash where unknown. */
export function formatFraction(value: number): string {
  return !isKnown(value) ? '–' : value.toFixed(3).replace('-', '−');
}

/** A difference of such values, with its sign. */
export function formatChange(value: number): string {
  if (!isKnown(value)) return '–';
  const text = Math.abs(value).toFixed(3);
  return `${Number(text) === 0 ? '±' : value < 0 ? '−' : '+'}${text}`;
}

function formatL0(value: number): string {
  return !isKnown(value) ? '–' : value.toFixed(1);
}

function ofDomains({ l0, domainL0, boostedEvByK }: DocumentState): string {
  if (!boostedEvByK) return '';
  return `: ${formatL0(l0)} of the base and ${formatL0(domainL0)} of the domains that are on`;
}

/** An SAE without a top k may fire more features than are kept. */
function cap({ capped, maxK }: DocumentState): string {
  if (capped === 0) return '';
  return ` The ${maxK} strongest features of a token are kept: on ${formatCount(capped)} tokens more may fire, and L0 and EV are those of the ${maxK}.`;
}

function leftOut({ tokens, excluded }: DocumentState): string {
  return `Left out: ${formatCount(excluded)} of ${formatCount(tokens)} tokens (the first of a window, and those of outlier norm).`;
}

function perplexity(crossEntropy: number): string {
  return !isKnown(crossEntropy) ? '' : ` (perplexity ${Math.exp(crossEntropy).toFixed(1)})`;
}
