import { formatActivation, formatPercent } from '../../src/common/numbers.ts';
import type { FeatureCard } from '../../src/contracts/engine.ts';
import { element, setVariable } from '../shared/dom.ts';
import { tokenText } from '../shared/tokenText.ts';

interface Column {
  readonly name: string;
  readonly meaning: string;
}

const tokenColumn: Column = { name: 'token', meaning: 'A token of the model’s vocabulary' };
const shareColumn: Column = {
  name: 'share',
  meaning: 'Share of the feature’s summed activation that falls on this token',
};
const meanColumn: Column = {
  name: 'mean',
  meaning: 'Mean activation on this token where it fires',
};
const logitColumn: Column = {
  name: 'logit',
  meaning: 'The unembedding times the feature’s decoder row, the final norm’s gain folded in',
};

/** A line of a token table: the token, a bar (0 to 1) and its numbers. */
interface TokenLine {
  readonly token: string;
  readonly bar: number;
  readonly numbers: readonly string[];
}

/** The tokens on which the feature fires, with their share of its activations. */
export function topTokensTable({ topTokens }: FeatureCard): HTMLElement {
  const most = largest(topTokens.map(({ share }) => share));
  const lines = topTokens.map(({ token, share, mean }) => ({
    token,
    bar: most > 0 ? share / most : 0,
    numbers: [formatPercent(share), formatActivation(mean)],
  }));
  return tokenTable('Top tokens', 'heat', [shareColumn, meanColumn], lines);
}

/** The tokens whose logit the decoder row raises most. */
export function promotedTable({ promoted, suppressed }: FeatureCard): HTMLElement {
  return logitTable('Promotes', 'raise', promoted, scaleOf(promoted, suppressed));
}

/** The tokens whose logit the decoder row lowers most. */
export function suppressedTable({ promoted, suppressed }: FeatureCard): HTMLElement {
  return logitTable('Suppresses', 'lower', suppressed, scaleOf(promoted, suppressed));
}

type Logits = FeatureCard['promoted'];

function logitTable(
  title: string,
  kind: 'raise' | 'lower',
  logits: Logits,
  scale: number,
): HTMLElement {
  const lines = logits.map(({ token, logit }) => ({
    token,
    bar: scale > 0 ? Math.abs(logit) / scale : 0,
    numbers: [`${logit < 0 ? '−' : '+'}${formatActivation(Math.abs(logit))}`],
  }));
  return tokenTable(title, kind, [logitColumn], lines);
}

/** Both tables share one scale, so that their bars can be compared. */
function scaleOf(promoted: Logits, suppressed: Logits): number {
  return largest([...promoted, ...suppressed].map(({ logit }) => Math.abs(logit)));
}

function tokenTable(
  title: string,
  kind: 'heat' | 'raise' | 'lower',
  columns: readonly Column[],
  lines: readonly TokenLine[],
): HTMLElement {
  const heads = [tokenColumn, ...columns].map(({ name, meaning }, i) =>
    element(
      'th',
      { class: i === 0 ? 'wide' : 'amount', title: meaning, attributes: { scope: 'col' } },
      name,
    ),
  );
  const rows = lines.map(({ token, bar, numbers }) => {
    const text = element('bdi', { class: 'tokenText showSpaces' }, ...tokenText(token));
    const name = element('td', { class: `wide ${kind}` }, text);
    setVariable(name, '--share', `${Math.min(100, 100 * bar)}%`);
    const amounts = numbers.map(number => element('td', { class: 'amount' }, number));
    return element('tr', {}, name, ...amounts);
  });
  if (rows.length === 0) {
    const none = element(
      'td',
      { class: 'dim', attributes: { colspan: `${heads.length}` } },
      'none',
    );
    rows.push(element('tr', {}, none));
  }
  return element(
    'table',
    { class: 'tokens' },
    element('caption', {}, title),
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...rows),
  );
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
