import { formatActivation } from '../../src/common/numbers.ts';
import { visibleText } from '../../src/common/visibleText.ts';
import { element, setVariable } from './dom.ts';
import { tokenText } from './tokenText.ts';

/** Activations at or below this are drawn as silence (Neuronpedia's rule). */
const silent = 5e-5;

/**
 * How strongly a token is tinted, 0 to 1: 0.05 + 0.95 log10(1 + 9 a / max), so that weak activations still show.
 * Source: Neuronpedia's activation colours.
 */
export function heat(activation: number, max: number): number {
  if (!(activation > silent) || !(max > 0)) return 0;
  return 0.05 + 0.95 * Math.log10(1 + 9 * Math.min(1, activation / max));
}

/** A passage whose tokens are tinted by activation (T), on the scale of `max`; each active token's tooltip has its number. */
export function tokenHeat(
  tokens: readonly string[],
  activations: ArrayLike<number>,
  max: number,
): HTMLElement {
  const spans = tokens.map((token, t) => heatToken(token, activations[t] ?? 0, max));
  return element('p', { class: 'passage', attributes: { dir: 'auto' } }, ...spans);
}

/** One tinted token. */
export function heatToken(token: string, activation: number, max: number): HTMLElement {
  const made = element('span', { class: 'token' }, ...tokenText(token));
  const strength = heat(activation, max);
  if (strength === 0) return made;
  made.classList.add('active');
  setVariable(made, '--heat', strength.toFixed(3));
  made.title = `“${visibleText(token)}”  ${formatActivation(activation)}`;
  return made;
}
