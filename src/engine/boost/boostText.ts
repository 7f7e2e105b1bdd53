import { generalText } from '../../common/embedded.ts';
import { Failure } from '../../common/failure.ts';
import type { BoostRequest, CorpusPlan, CorpusRequest } from '../../contracts/trainer.ts';
import type { Tokenizer } from '../../models/model.ts';
import { readCorpus } from '../../training/corpus/corpus.ts';
import { readWorkspaceCorpus } from '../../training/corpus/corpusPlan.ts';
import type { CorpusDocument } from '../../training/corpus/extract/document.ts';
import { PlacedText } from '../../training/corpus/placedText.ts';
import { installedFile } from '../installedFile.ts';

/** The text of a training of a residual SAE, in windows of tokens. */
export interface BoostText {
  readonly plan: CorpusPlan;
  readonly windowLength: number; // T
  /** Domain text to train on. */
  readonly train: PlacedText;
  /** Domain text to measure on. */
  readonly heldOut: PlacedText;
  /** General text to mix in and to calibrate on, and to measure on. */
  readonly general: {
    readonly mix: PlacedText;
    readonly heldOut: PlacedText;
    readonly description: string;
    readonly files: number;
  };
}

export interface TextOptions {
  readonly tokenizer: Tokenizer;
  /** T, where there is enough text. */
  readonly windowLength: number;
  readonly signal: AbortSignal;
  readonly report?: (fraction: number) => void;
}

/** Tokens of general text, at most: more would take longer to run than it tells. */
const mostGeneral = 400_000;
/** Windows to train on that a text is to give, if need be by shorter ones. */
const fewestWindows = 16;
const shortestWindow = 16;

/** Text to train on and held-out text, in windows of tokens. */
export type DomainText = Pick<BoostText, 'plan' | 'windowLength' | 'train' | 'heldOut'>;

/** Reads, splits and packs a corpus; a short text is cut into shorter windows. Fails with 'empty' for too little. */
export async function readDomainText(
  corpus: CorpusRequest,
  { tokenizer, signal, report, ...options }: TextOptions,
): Promise<DomainText> {
  const domain = await readWorkspaceCorpus(corpus, {
    tokenizer,
    signal,
    report: (step, fraction) =>
      report?.(step === 'reading text' ? fraction / 2 : (1 + fraction) / 2),
  });
  const { plan } = domain;
  if (plan.heldOutTokens < shortestWindow) throw tooLittle(corpus, plan);
  const fitting = Math.min(plan.tokens / fewestWindows, plan.heldOutTokens);
  const windowLength = Math.max(
    shortestWindow,
    Math.min(options.windowLength, Math.floor(fitting)),
  );
  const pack = { windowLength, limit: Number.MAX_SAFE_INTEGER, signal };
  return {
    plan,
    windowLength,
    train: await PlacedText.pack(domain.train, tokenizer, pack),
    heldOut: await PlacedText.pack(domain.heldOut, tokenizer, pack),
  };
}

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

function tooLittle({ roots }: CorpusRequest, { tokens, heldOutTokens }: CorpusPlan): Failure {
  return new Failure(
    'empty',
    `The text in ${roots.join(', ')} gives ${tokens} tokens to train on and ${heldOutTokens} held out; at least ${shortestWindow} held-out tokens are needed.`,
    { action: 'Add text, or choose more files.' },
  );
}
