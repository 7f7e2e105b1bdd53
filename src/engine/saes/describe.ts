import { Failure } from '../../common/failure.ts';
import type { Corpus } from '../../saes/describedCorpus.ts';
import { largestK } from '../../saes/dictionary.ts';
import { FeatureIndexBuilder } from '../../saes/featureIndex.ts';
import { measureFeatures } from '../../saes/featureMeasures.ts';
import {
  exampleCount,
  histogramBins,
  promotedCount,
  type FeatureTable,
} from '../../saes/featureTable.ts';
import { targetHook, writesStream } from '../../saes/target.ts';
import { excludedTokens } from '../../saes/tokenPolicy.ts';
import type { ActivationSource } from '../../training/activations/activations.ts';
import type { ModelRunner } from '../model/modelRunner.ts';
import type { SaeRunner } from './saeRunner.ts';
import { ModelActivations } from '../training/trainerSource.ts';

/** Text to describe features with. */
export interface DescribedText {
  readonly name: string;
  /** Whole windows, one after the other. */
  readonly tokenIds: Uint32Array;
  /** Whether its licence lets pieces of it be shown with the SAE. */
  readonly quotable: boolean;
}

export interface DescribeRequest {
  readonly texts: readonly DescribedText[];
  readonly windowLength: number; // T
  /** Activations of these windows where they are at hand; else the model computes them. */
  readonly activations?: ActivationSource;
  readonly signal?: AbortSignal;
  readonly report?: (windowsDone: number, windows: number) => void;
}

export type DescribingModel = Pick<ModelRunner, 'run' | 'unembed' | 'info' | 'tokenizer'>;

/** Measures every feature of an SAE on text: where it fires, how strongly, and which tokens it speaks for. */
export async function describeFeatures(
  model: DescribingModel,
  sae: SaeRunner,
  request: DescribeRequest,
): Promise<FeatureTable> {
  const { texts, windowLength } = request;
  const total = texts.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
  if (total * sae.maxK > maxEntries) {
    const most = Math.floor(maxEntries / sae.maxK);
    throw new Failure(
      'too-large',
      `${total} tokens are too many at once; at most ${most} can be indexed in memory.`,
    );
  }
  const { index, corpus } = await indexText(model, sae, request);
  if (corpus.counted === 0)
    throw new Failure('empty', 'The token policy leaves no token of this text to look at.');
  const measures = measureFeatures(index, corpus);
  return {
    ...measures,
    ...(await promotedTokens(model, sae)),
    about: {
      sources: texts.map(({ name }) => name),
      model: model.info.name,
      convention: convention(sae, texts, windowLength, corpus.counted),
    },
  };
}

/** Entries of the index; 24 bytes each at its peak. */
const maxEntries = 2 ** 27;

async function indexText(model: DescribingModel, sae: SaeRunner, request: DescribeRequest) {
  const { texts, windowLength, signal } = request;
  const { hook, width, inputWidth, tokenPolicy } = sae.dictionary;
  const tokenIds = new Uint32Array(texts.reduce((sum, text) => sum + text.tokenIds.length, 0));
  const sources: Corpus['sources'][number][] = [];
  let end = 0;
  for (const { name, quotable, tokenIds: ids } of texts) {
    sources.push({ name, quotable, firstPosition: end });
    tokenIds.set(ids, end);
    end += ids.length;
  }
  const source =
    request.activations ??
    new ModelActivations(model, { hook, width: inputWidth, windowLength, tokenIds });
  const builder = new FeatureIndexBuilder(width);
  const windows = Math.floor(tokenIds.length / windowLength);
  let counted = 0;
  for (let window = 0; window < windows; window++) {
    const first = window * windowLength;
    const [read] = await source.read(window, 1, signal);
    const x = read?.activations ?? new Float32Array(0); // (T, D)
    const excluded = excludedTokens(x, inputWidth, true, tokenPolicy);
    counted += excluded.reduce((count, value) => count - value, excluded.length);
    builder.add(await sae.encode(x), excluded, first);
    request.report?.(window + 1, windows);
  }
  const corpus: Corpus = {
    tokenIds,
    windowLength,
    counted,
    separator: model.tokenizer.separator,
    bos: model.tokenizer.bos,
    sources,
  };
  return { index: builder.finish(), corpus };
}

/** The tokens whose logits each decoder row raises and lowers most. */
async function promotedTokens(model: DescribingModel, sae: SaeRunner) {
  const { width, decoder } = sae.dictionary;
  const result = {
    promoted: new Uint32Array(width * promotedCount),
    promotedLogits: new Float32Array(width * promotedCount),
    suppressed: new Uint32Array(width * promotedCount),
    suppressedLogits: new Float32Array(width * promotedCount),
  };
  if (!writesStream(sae.dictionary)) return result;
  const rows = await model.unembed(decoder, promotedCount);
  rows.forEach(({ raised, lowered }, feature) => {
    for (let i = 0; i < promotedCount; i++) {
      const at = feature * promotedCount + i;
      result.promoted[at] = raised[i]?.id ?? 0;
      result.promotedLogits[at] = raised[i]?.logit ?? 0;
      result.suppressed[at] = lowered[i]?.id ?? 0;
      result.suppressedLogits[at] = lowered[i]?.logit ?? 0;
    }
  });
  return result;
}

function convention(
  { dictionary, maxK }: SaeRunner,
  texts: readonly DescribedText[],
  windowLength: number,
  counted: number,
): string {
  const list = texts.map(({ name, tokenIds }) => `${name} (${tokenIds.length} tokens)`).join(', ');
  const quoted = texts.filter(({ quotable }) => quotable).map(({ name }) => name);
  const sparsity =
    largestK(dictionary.rule) !== undefined ? `k = ${maxK}` : `the ${maxK} strongest features`;
  return [
    `Measured at ${sparsity} on ${counted} tokens of ${list}, in windows of ${windowLength}, without the tokens that the SAE's`,
    ` token policy leaves out; density is the fraction of these tokens on which the feature is active, the histogram has`,
    ` ${histogramBins} equal bins from 0 to the largest activation, a top token's share is of the feature's summed`,
    ` activation, a label names the tokens whose share most exceeds their frequency in the text; up to ${exampleCount} examples`,
    quoted.length > 0 ? ` from ${quoted.join(', ')}` : '',
    writesStream(dictionary)
      ? `; promoted and suppressed tokens by W_U times the decoder row with the final norm's gain.`
      : `; no promoted and suppressed tokens: ${targetHook(dictionary)} is not added to the residual stream.`,
  ].join('');
}
