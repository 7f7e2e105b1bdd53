import { Failure } from '../../common/failure.ts';
import type { EvaluateResult, EvaluationAtK } from '../../contracts/commandLine.ts';
import type {
  BoostMeasure,
  ReportVariant,
  SumMeasure,
  VariantName,
} from '../../contracts/boostReport.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import { evenlySpread } from '../../training/activations/evenlySpread.ts';
import type { PlacedText } from '../../training/corpus/placedText.ts';
import type { FrozenBase } from './frozenBase.ts';
import { evaluate } from '../analysis/evaluate.ts';
import { openResidual } from '../saes/residualRunner.ts';
import type { SaeRunner } from '../saes/saeRunner.ts';

/** A residual SAE that the report compares with others. */
export interface Variant {
  readonly name: VariantName;
  readonly description: string;
  readonly dictionary: Dictionary;
  readonly threshold: number;
}

export interface MeasureOptions {
  /** Residual SAEs of other domains. */
  readonly others: readonly Dictionary[];
  readonly threads: number;
  /** Windows of each text, at most. */
  readonly windows: number;
  readonly signal: AbortSignal;
  report(fraction: number): void;
}

/** A variant's measurements; where it is written follows from them. */
export type MeasuredVariant = Omit<ReportVariant, 'folder'>;

/** Measures base and variants on held-out text of the domain and on general text. */
export async function measureVariants(
  frozen: FrozenBase,
  variants: readonly Variant[],
  texts: { readonly domain: PlacedText; readonly general: PlacedText },
  options: MeasureOptions,
): Promise<MeasuredVariant[]> {
  const { others, threads } = options;
  const dictionaries = [...variants.map(({ dictionary }) => dictionary), ...others];
  const residuals: SaeRunner[] = [];
  try {
    for (const dictionary of dictionaries) residuals.push(await openResidual(dictionary, threads));
    const subsets = subsetsOf(variants, options);
    const measure = async (text: PlacedText, part: number): Promise<EvaluateResult> => {
      const { tokenIds, windowLength } = spread(text, options.windows);
      return evaluate(frozen.model, frozen.runner, {
        tokenIds,
        windowLength,
        ks: [frozen.k],
        residuals,
        subsets,
        signal: options.signal,
        report: (done, of) => options.report((part + done / of) / 2),
      });
    };
    const domain = await measure(texts.domain, 0);
    const general = await measure(texts.general, 1);
    return variants.map(({ name, description, threshold }, v) => ({
      name,
      description,
      threshold,
      domain: boostMeasure(domain, v),
      general: boostMeasure(general, v),
      subsets: subsets.flatMap((subset, i) => {
        // Subsets without any variant are told with each.
        const isOwn = subset.includes(v) || !subset.some(index => index < variants.length);
        if (i <= variants.length || !isOwn) return [];
        const domains = subset.map(index => dictionaries[index]?.name ?? '');
        return [{ domains, domain: sumAt(domain, i), general: sumAt(general, i) }];
      }),
    }));
  } finally {
    for (const runner of residuals) await runner.dispose();
  }
}

/** The base alone, each variant alone, the other domains alone, and each variant with each and with all of them. */
function subsetsOf(
  variants: readonly Variant[],
  { others }: MeasureOptions,
): (readonly number[])[] {
  const alone = variants.map((_, v) => [v]);
  const other = others.map((_, i) => variants.length + i);
  const pairs = alone.flatMap(own => other.map(i => [...own, i]));
  const all = other.length > 1 ? alone.map(own => [...own, ...other]) : [];
  return [[], ...alone, ...other.map(i => [i]), ...pairs, ...all];
}

/** Windows evenly spread over a text, as one text. */
function spread(text: PlacedText, count: number): { tokenIds: Uint32Array; windowLength: number } {
  const { tokenIds, windowLength, windows } = text;
  const indices = evenlySpread(count, windows);
  const chosen = new Uint32Array(indices.length * windowLength);
  for (const [i, index] of indices.entries()) {
    const first = index * windowLength;
    chosen.set(tokenIds.subarray(first, first + windowLength), i * windowLength);
  }
  return { tokenIds: chosen, windowLength };
}

function boostMeasure(result: EvaluateResult, variant: number): BoostMeasure {
  const base = sumAt(result, 0);
  const boosted = sumAt(result, variant + 1);
  const { clean, zero } = at(result, 0).ce;
  return {
    tokens: result.tokens,
    excluded: result.excluded,
    clean,
    zero,
    base,
    boosted,
    evChange: (boosted.ev - base.ev) / base.ev,
    deltaCeChange: (boosted.deltaCe - base.deltaCe) / base.deltaCe,
  };
}

function sumAt(result: EvaluateResult, index: number): SumMeasure {
  const { ev, ce, l0, residualL0 } = at(result, index);
  return { ev, ce: ce.sae, deltaCe: ce.delta, score: ce.score, l0, residualL0 };
}

function at({ results }: EvaluateResult, index: number): EvaluationAtK {
  const found = results[index];
  if (!found) throw new Failure('internal', `There is no result ${index}.`);
  return found;
}
