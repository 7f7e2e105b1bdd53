import { Failure } from '../../common/failure.ts';
import type { CorpusPlan, CorpusRequest } from '../../contracts/trainer.ts';
import type { Tokenizer } from '../../models/model.ts';
import { readWorkspaceCorpus } from '../../training/corpus/corpusPlan.ts';
import { PlacedText } from '../../training/corpus/placedText.ts';

/** The text of a domain, in windows of tokens. */
export interface DomainText {
  readonly plan: CorpusPlan;
  readonly windowLength: number; // T
  /** To train on. */
  readonly train: PlacedText;
  /** To measure on. */
  readonly heldOut: PlacedText;
}

export interface TextOptions {
  readonly tokenizer: Tokenizer;
  /** T, where there is enough text. */
  readonly windowLength: number;
  readonly signal: AbortSignal;
  readonly report?: (fraction: number) => void;
}

/** Windows to train on that a text is to give, if need be by shorter ones. */
const fewestWindows = 16;
const shortestWindow = 16;

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

function tooLittle({ roots }: CorpusRequest, { tokens, heldOutTokens }: CorpusPlan): Failure {
  return new Failure(
    'empty',
    `The text in ${roots.join(', ')} gives ${tokens} tokens to train on and ${heldOutTokens} held out; at least ${shortestWindow} held-out tokens are needed.`,
    { action: 'Add text, or choose more files.' },
  );
}
