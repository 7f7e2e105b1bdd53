import { Failure } from '../../common/failure.ts';
import { generalText } from '../../common/embedded.ts';
import type { ExportResult } from '../../contracts/commandLine.ts';
import type { ModelRequest } from '../../contracts/engine.ts';
import type { Dictionary } from '../../saes/dictionary.ts';
import { dictionaryHash } from '../../saes/dictionaryHash.ts';
import { writeSaeLens } from '../../saes/formats/saelens.ts';
import { writeSparsify } from '../../saes/formats/sparsify.ts';
import { readDictionary } from '../../saes/readDictionary.ts';
import { requireResidual } from '../../saes/requireResidual.ts';
import { stitch } from '../../saes/stitch.ts';
import { windowLengthOf } from '../../saes/windowLength.ts';
import { includedRows, thresholdForL0, withThreshold } from '../../training/calibrate.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import { packTokens } from '../../training/corpus/packTokens.ts';
import { evaluate } from '../analysis/evaluate.ts';
import { installedFile } from '../installedFile.ts';
import { ModelRunner } from '../model/modelRunner.ts';
import { requireModelFit } from './requireModelFit.ts';
import { SaeRunner } from './saeRunner.ts';
import { ModelActivations } from '../training/trainerSource.ts';

export interface ExportRequest {
  readonly model: ModelRequest;
  readonly saePath: string;
  /** Residual SAEs to make one dictionary with it. */
  readonly stitched: readonly string[];
  /** For a top-k base in a stitched dictionary: features per token that its threshold is calibrated for. */
  readonly k: number | undefined;
  /** Text to calibrate on and to measure on; empty: the general text that comes with Loupe. */
  readonly textPaths: readonly string[];
  readonly folder: string;
  readonly format: ExportFormat;
}

/** Formats that SAEs are written in. */
export const exportFormats = ['saelens', 'sparsify'] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface ExportOptions {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

/** Features looked at per token where thresholds decide. */
const maxActive = 1024;
const calibrationTokens = 8_192;
const measuredTokens = 4_096;

/** Writes an SAE, or a base and residual SAEs as one, for another tool. */
export async function exportSae(
  request: ExportRequest,
  options: ExportOptions,
): Promise<ExportResult> {
  const { stitched, saePath } = request;
  const sae = await readDictionary(saePath);
  if (stitched.length === 0) {
    const folder = await write(sae, request);
    return { folder, features: sae.width, rule: sae.rule.kind, exact: true };
  }
  if (request.format === 'sparsify') {
    throw new Failure(
      'unsupported',
      'SAEs stitched together fire by thresholds, and sparsify has top-k SAEs only.',
      { action: 'Export them with --format saelens.' },
    );
  }
  const hash = dictionaryHash(sae);
  const residuals: Dictionary[] = [];
  for (const path of stitched) {
    const residual = await readDictionary(path);
    requireResidual(residual, sae, hash);
    residuals.push(residual);
  }
  const name = [sae, ...residuals].map(part => part.name).join(' + ');
  if (sae.rule.kind !== 'topk' || request.k === undefined) {
    const dictionary = stitch(sae, residuals, name);
    const folder = await write(dictionary, request);
    return { folder, features: dictionary.width, rule: 'jumprelu', exact: true };
  }
  return stitchCalibrated(request, sae, residuals, name, options);
}

/** The folder that was written: of sparsify, one named after the module, within that which was asked for. */
async function write(
  dictionary: Dictionary,
  { folder, format }: Pick<ExportRequest, 'folder' | 'format'>,
): Promise<string> {
  if (format === 'sparsify') return writeSparsify(dictionary, folder);
  await writeSaeLens(dictionary, folder);
  return folder;
}

/** A top-k base by one threshold, and what that changes: measured against the top-k sum on text. */
async function stitchCalibrated(
  request: ExportRequest,
  base: Dictionary,
  residuals: readonly Dictionary[],
  name: string,
  { signal, log }: ExportOptions,
): Promise<ExportResult> {
  const { model: modelRequest, k = 1, textPaths } = request;
  const { threads } = modelRequest;
  const maxK = base.rule.kind === 'topk' ? base.rule.maxK : k;
  if (k > maxK) {
    throw new Failure('usage', `${base.name} was trained for up to ${maxK} features, not ${k}.`);
  }
  const model = await ModelRunner.open({ ...modelRequest, device: 'cpu' }, { signal });
  const runners: SaeRunner[] = [];
  const open = async (dictionary: Dictionary): Promise<SaeRunner> => {
    const runner = await SaeRunner.open(dictionary, { threads, maxActive });
    runners.push(runner);
    return runner;
  };
  try {
    requireModelFit(base, model);
    const windowLength = windowLengthOf(base, model.info.contextLength);
    const tokens = (paths: readonly string[], limit: number): Promise<Uint32Array> =>
      packTokens(readCorpus(paths, signal), model.tokenizer, { windowLength, limit, signal });
    const own = textPaths.length > 0;
    const calibrated = own ? textPaths : [installedFile(generalText.mix)];
    const measured = own ? textPaths : [installedFile(generalText.heldOut)];
    log(`Calibrating the base's threshold for ${k} features per token`);
    const threshold = await calibrate(model, base, k, {
      tokenIds: await tokens(calibrated, calibrationTokens),
      windowLength,
      threads,
      signal,
    });
    const dictionary = stitch(withThreshold(base, threshold), residuals, name);
    log('Measuring the difference');
    const text = { tokenIds: await tokens(measured, measuredTokens), windowLength, signal };
    const topK = await evaluate(model, await open(base), {
      ...text,
      ks: [k],
      residuals: await inTurn(residuals, open),
    });
    const exported = await open(dictionary);
    const thresholds = await evaluate(model, exported, { ...text, ks: [exported.maxK] });
    const folder = await write(dictionary, request);
    const figures = ({ results }: typeof topK) => {
      const [found] = results;
      if (!found) throw new Failure('internal', 'Nothing was measured.');
      return { ev: found.ev, ce: found.ce.sae, l0: found.l0 };
    };
    return {
      folder,
      features: dictionary.width,
      rule: 'jumprelu',
      exact: false,
      calibrated: {
        k,
        threshold,
        tokens: topK.tokens,
        topK: figures(topK),
        jumprelu: figures(thresholds),
      },
    };
  } finally {
    for (const runner of runners) await runner.dispose();
    await model.dispose();
  }
}

interface CalibrationOptions {
  readonly tokenIds: Uint32Array;
  readonly windowLength: number;
  readonly threads: number;
  readonly signal: AbortSignal;
}

async function calibrate(
  model: ModelRunner,
  base: Dictionary,
  k: number,
  { threads, signal, ...text }: CalibrationOptions,
): Promise<number> {
  const { hook, inputWidth: width } = base;
  const source = new ModelActivations(model, { hook, width, ...text });
  const windows = await source.read(0, source.windows, signal);
  const { x, target } = includedRows(windows, base);
  const maxK = Math.min(base.width, 4 * k);
  const sae = await SaeRunner.open({ ...base, rule: { kind: 'topk', maxK } }, { threads });
  try {
    return thresholdForL0({ encoding: await sae.encode(x), target }, k);
  } finally {
    await sae.dispose();
  }
}

async function inTurn<A, B>(items: readonly A[], act: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = [];
  for (const item of items) results.push(await act(item));
  return results;
}
