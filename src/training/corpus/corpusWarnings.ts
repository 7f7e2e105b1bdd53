import { formatCount } from '../../common/numbers.ts';
import type { CorpusPlan } from '../../contracts/trainer.ts';

/** Fewer tokens than this do not show a feature often enough to learn it well. */
const enoughTokens = 100_000;
/** Fewer held-out tokens than this measure explained variance only roughly. */
const enoughHeldOut = 5_000;
const enoughDocuments = 5;
/** Below so many, arXiv 2507.12990 (section 4.2.5) reports that general explained variance can fall. */
const papersBudget = 100_000_000;

/** What a person should know of a corpus before the training, most important first. */
export function corpusWarnings(plan: Omit<CorpusPlan, 'warnings'>): CorpusPlan['warnings'] {
  const warnings: { code: string; message: string }[] = [];
  const add = (code: string, message: string): void => void warnings.push({ code, message });
  if (plan.tokens < enoughTokens) {
    add(
      'too-little',
      `There are ${formatCount(plan.tokens)} tokens to train on; under ${formatCount(enoughTokens)} most features are seen too rarely to be learned.`,
    );
  }
  if (plan.heldOutTokens === 0) {
    add(
      'no-held-out',
      'The text is too short to hold any of it out: nothing can be measured on it.',
    );
  } else if (plan.heldOutTokens < enoughHeldOut) {
    add(
      'little-held-out',
      `Only ${formatCount(plan.heldOutTokens)} tokens are held out: what is measured on them is rough.`,
    );
  }
  if (plan.split === 'sections') {
    add(
      'few-files',
      'There is one document: sections of it are held out, so what is measured is how well its own text is learned, not the domain.',
    );
  } else if (plan.documents < enoughDocuments) {
    add(
      'few-files',
      `There are only ${plan.documents} documents: those held out may not stand for the domain.`,
    );
  }
  const over = plan.skipped.find(({ reason }) => reason === 'too much text');
  if (over !== undefined) {
    add(
      'too-much',
      `There is more text than is held in memory: ${formatCount(over.count)} files were left out, the last by name.`,
    );
  }
  if (plan.tokens < papersBudget) {
    add('small-budget', smallBudget);
  }
  return warnings;
}

/**
 * What the paper says (arXiv 2507.12990, section 4.2.5), and what was measured here: the tables "What each method gives"
 * of docs/results/boost.md, rows "Boost" and "Boost, calibrated", relative change of general EV.
 */
const smallBudget =
  'SAE Boost’s authors trained on 1,000 million tokens and saw general text suffer below 100 million. In Loupe’s own experiment (docs/results/boost.md), 0.1 million tokens of chemistry, speeches and Russian cost 0.4, 0.3 and 1.3 % of general explained variance; the report measures yours, beside a remedy that cost 0.1 %.';
