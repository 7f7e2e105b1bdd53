import { generalText } from '../../common/embedded.ts';
import type { BoostRequest } from '../../contracts/trainer.ts';
import type { Tokenizer } from '../../models/model.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import { readWorkspaceCorpus } from '../../training/corpus/corpusPlan.ts';
import type { CorpusDocument } from '../../training/corpus/extract/document.ts';
import { PlacedText } from '../../training/corpus/placedText.ts';
import { installedFile } from '../installedFile.ts';
import { readDomainText, type DomainText, type TextOptions } from '../training/domainText.ts';

/** The text of a training of a residual SAE, in windows of tokens. */
export interface BoostText extends DomainText {
  /** General text to mix in and to calibrate on, and to measure on. */
  readonly general: {
    readonly mix: PlacedText;
    readonly heldOut: PlacedText;
    readonly description: string;
    readonly files: number;
  };
}

/** Tokens of general text, at most: more would take longer to run than it tells. */
const mostGeneral = 400_000;
export async function readBoostText(
  { corpus, generalPaths }: Pick<BoostRequest, 'corpus' | 'generalPaths'>,
  options: TextOptions,
): Promise<BoostText> {
  const { tokenizer, signal } = options;
  const domain = await readDomainText(corpus, options);
  const { mix, heldOut, ...general } = await readGeneral(generalPaths, tokenizer, signal);
  const pack = { windowLength: domain.windowLength, limit: mostGeneral, signal };
  return {
    ...domain,
    general: {
      ...general,
      mix: await PlacedText.pack(mix, tokenizer, pack),
      heldOut: await PlacedText.pack(heldOut, tokenizer, pack),
    },
  };
}

/** Training tokens where none are asked for: three passes, within what is worth while and what can be waited for. */
export function defaultTokens(textTokens: number): number {
  return Math.min(10_000_000, Math.max(200_000, 3 * textTokens));
}

/** The domain's windows, and behind them as many of general text as make up `share` of all. */
export function withGeneral(
  { train, general, windowLength }: BoostText,
  share: number,
): Uint32Array {
  const windows = Math.round((train.windows * share) / (1 - share));
  const added = general.mix.tokenIds.subarray(0, windows * windowLength);
  const tokenIds = new Uint32Array(train.tokenIds.length + added.length);
  tokenIds.set(train.tokenIds);
  tokenIds.set(added, train.tokenIds.length);
  return tokenIds;
}

interface GeneralDocuments {
  readonly mix: readonly CorpusDocument[];
  readonly heldOut: readonly CorpusDocument[];
  readonly description: string;
  readonly files: number;
}

/** The general text at the paths, split by file; or the one that comes with Loupe. */
async function readGeneral(
  paths: readonly string[],
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<GeneralDocuments> {
  if (paths.length === 0) {
    const read = (path: string) => gather(readCorpus([installedFile(path)], signal));
    const [mix, heldOut] = [await read(generalText.mix), await read(generalText.heldOut)];
    const description = 'the general text that comes with Loupe';
    return { mix, heldOut, description, files: 1 };
  }
  const found = await readWorkspaceCorpus(
    {
      roots: paths,
      include: [],
      exclude: [],
      useGitIgnore: true,
      seed: 0,
      maxFileBytes: 2 ** 30,
    },
    { tokenizer, signal },
  );
  return {
    mix: found.train,
    heldOut: found.heldOut,
    description: paths.join(', '),
    files: found.plan.heldOutFiles,
  };
}

async function gather<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
