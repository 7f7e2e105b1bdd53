import { join } from 'node:path';
import type { FrozenBase } from '../../../src/engine/boost/frozenBase.ts';
import type { Dictionary } from '../../../src/saes/dictionary.ts';
import { rememberedModel } from '../rememberedModel.ts';
import { isResidualArm, nameOf, type Arm } from './arms.ts';
import { HeldOutText } from './heldOutText.ts';
import { Ledger } from './ledger.ts';
import type { Body } from './material.ts';
import type { Results, Row, SumRow, TextMeasures, Variant } from './results.ts';
import { trainArm } from './training.ts';
import { contendersOf } from './variants.ts';

export interface Experiment {
  readonly frozen: FrozenBase;
  readonly domains: readonly Body[];
  readonly general: Body;
  readonly arms: readonly Arm[];
  readonly settings: Results['settings'];
  readonly ceWindows: number;
  readonly threads: number;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** Called with what is known whenever it is more. */
  report(results: Pick<Results, 'base' | 'rows' | 'sums'>): Promise<void>;
}

/** Trains and measures every arm, in order. */
export async function runExperiment(experiment: Experiment): Promise<void> {
  const { frozen, domains, general, arms, settings, threads, signal, log } = experiment;
  const { ceWindows, folder } = experiment;
  const sae = frozen.runner.dictionary;
  const ledger = await Ledger.open(join(folder, 'measures.json'));
  const model = rememberedModel(frozen.model);
  const text = (body: Body): HeldOutText =>
    new HeldOutText(body, sae, { model, ledger, threads, ceWindows, signal });
  const generalText = text(general);
  const base: Record<string, TextMeasures> = {};
  const rows: Row[] = [];
  const main = new Map<Variant, Map<string, Dictionary>>(); // of the paper's method, by domain
  const onDomains = new Map(domains.map(body => [body.name, { body, heldOut: text(body) }]));
  const texts = [...[...onDomains.values()].map(({ heldOut }) => heldOut), generalText];
  for (const one of texts) {
    log(`the base on ${one.name}`);
    const [measures] = await one.measure([{ name: 'base', sae, residuals: [], withCe: true }]);
    if (measures) base[one.name] = measures;
  }
  for (const arm of arms) {
    const domain = onDomains.get(arm.domain);
    if (!domain) continue;
    log(nameOf(arm));
    const { width } = settings;
    const trained = await trainArm(arm, domain.body, {
      ...{ frozen, general, width, threads, folder, signal, log },
    });
    const { k, tokens } = settings;
    const isFull = arm.seed === 0 && arm.tokens === tokens;
    const isMain = isFull && arm.k === k;
    const contenders = await contendersOf(arm, trained.dictionary, domain.body, {
      ...{ frozen, general, width, threads, isMain, isFull, signal },
    });
    // Those with the same SAE are measured together; SAEs in the place of the base, one by one.
    const groups = isResidualArm(arm) ? [contenders] : contenders.map(one => [one]);
    for (const group of groups) {
      const domainText = await domain.heldOut.measure(group);
      const onGeneral = await generalText.measure(group);
      group.forEach(({ variant, residuals }, i) => {
        const [own, other] = [domainText[i], onGeneral[i]];
        if (!own || !other) return;
        rows.push({ ...arm, variant, domainText: own, generalText: other, dead: trained.dead });
        const [residual] = residuals;
        if (!isMain || arm.method !== 'boost' || !residual) return;
        if (!main.has(variant)) main.set(variant, new Map());
        main.get(variant)?.set(arm.domain, residual);
      });
    }
    await experiment.report({ base, rows, sums: [] });
  }
  log('sums of several domains');
  const sums: SumRow[] = [];
  for (const [variant, residuals] of main)
    sums.push(...(await sumsOf(sae, variant, residuals, texts)));
  await experiment.report({ base, rows, sums });
}

/** Every sum of several domains on every text; the model is run with that of all. */
async function sumsOf(
  sae: Dictionary,
  variant: Variant,
  residuals: ReadonlyMap<string, Dictionary>,
  texts: readonly HeldOutText[],
): Promise<SumRow[]> {
  const subsets = subsetsOf([...residuals.keys()]).filter(({ length }) => length > 0);
  const contenders = subsets.map(domains => ({
    name: `sum.${variant}.${domains.join('+')}`,
    sae,
    residuals: domains.flatMap(domain => residuals.get(domain) ?? []),
    withCe: domains.length === residuals.size,
  }));
  const measures: (readonly [string, TextMeasures[]])[] = [];
  for (const text of texts) measures.push([text.name, await text.measure(contenders)]);
  return subsets.map((domains, i) => ({
    ...{ domains, variant },
    texts: Object.fromEntries(
      measures.flatMap(([name, all]) => all.slice(i, i + 1).map(one => [name, one] as const)),
    ),
  }));
}

function subsetsOf(names: readonly string[]): string[][] {
  const all = names.reduce<string[][]>(
    (subsets, name) => [...subsets, ...subsets.map(subset => [...subset, name])],
    [[]],
  );
  return all.sort((a, b) => a.length - b.length);
}
