import { join } from 'node:path';
import { Failure } from '../../common/failure.ts';
import { formatFigure } from '../../common/numbers.ts';
import type { BoostReport, VariantName } from '../../contracts/boostReport.ts';
import type { BoostRequest } from '../../contracts/trainer.ts';
import { boostReportText } from '../../report/boostReportText.ts';
import { readFeatureCards } from '../../saes/featureCards.ts';
import { writeSaeLens } from '../../saes/formats/saelens.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import { findings, type FoundText } from './boostFindings.ts';
import type { MeasuredVariant, Variant } from './boostMeasure.ts';
import type { BoostText } from './boostText.ts';
import { toleratedLoss, type Choice } from './chooseVariant.ts';
import type { FrozenBase } from './frozenBase.ts';
import { reportedFeatures } from '../saes/residualRunner.ts';

/** Writes the variant to use into the folder itself, the others into folders in it; returns the one to use. */
export async function writeVariants(
  variants: readonly Variant[],
  name: VariantName,
  folder: string,
): Promise<Variant> {
  for (const variant of variants) {
    await writeSaeLens(variant.dictionary, join(folder, folderOf(variant.name, name)), 'F32');
  }
  const chosen = variants.find(variant => variant.name === name);
  if (!chosen) throw new Failure('internal', `There is no variant ${name}.`);
  return chosen;
}

function folderOf(name: string, chosen: string): string {
  return name === chosen ? '.' : name;
}

/** What a report is made of. */
export interface ReportParts {
  readonly frozen: FrozenBase;
  readonly request: BoostRequest;
  readonly text: BoostText;
  readonly trainedTokens: number;
  readonly measured: readonly MeasuredVariant[];
  readonly chosen: Variant;
  readonly choice: Choice;
  readonly domain: FoundText;
  readonly general: FoundText;
  readonly signal: AbortSignal;
}

/** Writes report.md and report.json into the request's folder. */
export async function writeReport(parts: ReportParts): Promise<BoostReport> {
  const { frozen, request, text, measured, chosen, signal } = parts;
  const { plan, general, train } = text;
  const { tokenizer, info } = frozen.model;
  const cards = await readFeatureCards(request.folder, request.width, tokenizer);
  const base = frozen.runner.dictionary;
  const baseCards = await readFeatureCards(request.basePath, base.width, tokenizer);
  const found = await findings({
    base,
    residual: chosen.dictionary,
    domain: parts.domain,
    general: parts.general,
    labels: cards?.labels.labels ?? [],
    baseLabels: baseCards?.labels.labels ?? [],
    threads: request.model.threads,
    signal,
  });
  const report: BoostReport = {
    format: 1,
    name: request.name,
    model: info.name,
    base: frozen.base,
    width: request.width,
    k: request.k,
    trainedTokens: parts.trainedTokens,
    uniqueTokens: train.tokenIds.length,
    text: {
      domain: {
        description: request.corpus.roots.join(', '),
        files: plan.heldOutFiles,
        tokens: plan.heldOutTokens,
      },
      general: {
        description: general.description,
        files: general.files,
        tokens: general.heldOut.tokenIds.length,
      },
    },
    variants: measured.map(variant => ({
      ...variant,
      folder: folderOf(variant.name, chosen.name),
    })),
    ...found,
    convention: convention(parts),
  };
  const write = (name: string, text: string): Promise<void> =>
    writeAtomically(join(request.folder, name), [new TextEncoder().encode(text)]);
  await write('report.md', boostReportText(report));
  await write('report.json', `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

function convention({ frozen, text, measured, choice }: ReportParts): string {
  const [first] = measured;
  const { excludeFirst, maxNorm } = frozen.runner.dictionary.tokenPolicy;
  const base = frozen.base.k === null ? 'all features that fire' : `k = ${frozen.base.k}`;
  const left = [
    ...(excludeFirst ? ['the first of each window'] : []),
    ...(Number.isFinite(maxNorm) ? [`those with |x| above ${formatFigure(maxNorm, 4)}`] : []),
  ].join('; ');
  return [
    `Base at ${base}; windows of ${text.windowLength} tokens at ${frozen.runner.dictionary.hook}, evenly spread over the`,
    ` held-out text: ${first?.domain.tokens ?? 0} domain tokens and ${first?.general.tokens ?? 0} general ones counted`,
    left === '' ? '' : ` (left out and not replaced: ${left})`,
    `. EV = 1 - sum|x - xhat|^2 / sum|x - mean(x)|^2, the mean over all counted tokens; CE in nats per token with the`,
    ` reconstruction in place of x; delta CE = CE - clean CE; score = (zero - CE) / (zero - clean). Held out:`,
    ` ${text.plan.split}. Of a residual SAE, the ${reportedFeatures} strongest features of a token are looked at, by`,
    ` measures and lists alike: more than fire. Features and tokens listed are of the residual SAE in this folder.`,
    ` Which variant that is was decided on ${choice.tokens} tokens of other general text, the one that thresholds are`,
    ` calibrated on: there the plain variant changes EV by ${percent(choice.evChange)};`,
    choice.name === 'mixed'
      ? ' general text was to be mixed in.'
      : ` below ${percent(-toleratedLoss)}, the calibrated one is used.`,
  ].join('');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}
