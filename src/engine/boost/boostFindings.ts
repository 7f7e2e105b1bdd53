import { throwIfCancelled } from '../../common/cancelled.ts';
import type { BoostReport, ImprovedToken, ReportFeature } from '../../contracts/boostReport.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import { nearestFeatures } from '../../saes/nearestFeatures.ts';
import type { Encoding } from '../../saes/reconstruct.ts';
import { excludedTokens } from '../../saes/tokenPolicy.ts';
import type { ActivationWindow } from '../../training/activations/activations.ts';
import type { PlacedText } from '../../training/corpus/placedText.ts';
import { openResidual } from '../saes/residualRunner.ts';

/** Held-out windows with their errors, and where in the text they stand. */
export interface FoundText {
  readonly text: PlacedText;
  readonly windows: readonly ActivationWindow[];
  /** Number of each in the text. */
  readonly indices: readonly number[];
}

export interface FindingsOptions {
  readonly base: Dictionary;
  readonly residual: Dictionary;
  readonly domain: FoundText;
  readonly general: FoundText;
  readonly labels: readonly string[];
  readonly baseLabels: readonly string[];
  readonly threads: number;
  readonly signal: AbortSignal;
}

const mostFeatures = 200;
const examplesPerFeature = 5;
const neighbours = 3;
const mostImproved = 50;
/** UTF-16 units shown on either side of a token. */
const around = 48;

interface Firing {
  readonly token: number; // in the text
  readonly activation: number;
}

/** What the residual SAE found: its features on held-out domain text, and the tokens whose error shrank most. */
export async function findings(
  options: FindingsOptions,
): Promise<Pick<BoostReport, 'features' | 'improved'>> {
  const { residual, domain, general, threads } = options;
  const sae = await openResidual(residual, threads);
  try {
    const inDomain = new Firings(residual);
    const improved: { readonly token: number; readonly before: number; readonly after: number }[] =
      [];
    for (const { window, first } of placed(domain)) {
      throwIfCancelled(options.signal);
      const encoding = await sae.encode(window.activations);
      const excluded = inDomain.add(window, encoding, first);
      const output = sae.reconstruct(encoding, sae.maxK);
      improved.push(...errorsOf(window, output, excluded, first, residual.inputWidth));
    }
    const inGeneral = new Firings(residual);
    for (const { window, first } of placed(general)) {
      throwIfCancelled(options.signal);
      inGeneral.add(window, await sae.encode(window.activations), first);
    }
    const shrunk = improved.filter(({ before, after }) => after < before);
    shrunk.sort((a, b) => b.before - b.after - (a.before - a.after));
    return {
      features: features(options, inDomain, inGeneral),
      improved: shrunk.slice(0, mostImproved).map(({ token, before, after }): ImprovedToken => ({
        ...domain.text.at(token, around),
        errorBefore: before,
        errorAfter: after,
      })),
    };
  } finally {
    await sae.dispose();
  }
}

function* placed({ windows, indices, text }: FoundText) {
  for (const [i, window] of windows.entries()) {
    yield { window, first: (indices[i] ?? 0) * text.windowLength };
  }
}

/** Where each feature fires, the strongest places kept. */
class Firings {
  tokens = 0;
  readonly counts: Uint32Array; // (F)
  readonly strongest = new Map<number, Firing[]>();
  private readonly residual: Dictionary;

  constructor(residual: Dictionary) {
    this.residual = residual;
    this.counts = new Uint32Array(residual.width);
  }

  /** Returns which tokens of the window are left out, (T). */
  add({ activations: x }: ActivationWindow, encoding: Encoding, first: number): Uint8Array {
    const { inputWidth, tokenPolicy } = this.residual;
    const excluded = excludedTokens(x, inputWidth, true, tokenPolicy);
    excluded.forEach((out, t) => {
      if (out === 1) return;
      this.tokens++;
      for (let j = t * encoding.k; j < (t + 1) * encoding.k; j++) {
        const activation = encoding.activations[j] ?? 0;
        if (activation === 0) break;
        this.fired(encoding.features[j] ?? 0, { token: first + t, activation });
      }
    });
    return excluded;
  }

  private fired(feature: number, firing: Firing): void {
    this.counts[feature] = (this.counts[feature] ?? 0) + 1;
    const places = this.strongest.get(feature) ?? [];
    if (
      places.length === examplesPerFeature &&
      firing.activation <= (places.at(-1)?.activation ?? 0)
    )
      return;
    places.push(firing);
    places.sort((a, b) => b.activation - a.activation);
    places.length = Math.min(places.length, examplesPerFeature);
    this.strongest.set(feature, places);
  }
}

function features(
  { base, residual, domain, labels, baseLabels }: FindingsOptions,
  inDomain: Firings,
  inGeneral: Firings,
): ReportFeature[] {
  const fired = [...inDomain.strongest.keys()].sort(
    (a, b) => (inDomain.counts[b] ?? 0) - (inDomain.counts[a] ?? 0) || a - b,
  );
  return fired.slice(0, mostFeatures).map(feature => {
    const places = inDomain.strongest.get(feature) ?? [];
    return {
      feature,
      label: labels[feature] ?? '',
      domainDensity: (inDomain.counts[feature] ?? 0) / inDomain.tokens,
      generalDensity: (inGeneral.counts[feature] ?? 0) / inGeneral.tokens,
      maxActivation: places[0]?.activation ?? 0,
      examples: places.map(({ token, activation }) => ({
        ...domain.text.at(token, around),
        activation,
      })),
      nearest: nearestFeatures(residual, feature, base, neighbours).map(neighbour => ({
        ...neighbour,
        label: baseLabels[neighbour.feature] ?? '',
      })),
    };
  });
}

/** |e| of each included token before and after the correction. */
function errorsOf(
  { target }: ActivationWindow,
  output: Float32Array, // (T, D)
  excluded: Uint8Array, // (T)
  first: number,
  D: number,
) {
  const errors: { token: number; before: number; after: number }[] = [];
  excluded.forEach((out, t) => {
    if (out === 1) return;
    let [before, after] = [0, 0];
    for (let i = t * D; i < (t + 1) * D; i++) {
      const e = target?.[i] ?? 0;
      before += e * e;
      after += (e - (output[i] ?? 0)) ** 2;
    }
    errors.push({ token: first + t, before: Math.sqrt(before), after: Math.sqrt(after) });
  });
  return errors;
}
