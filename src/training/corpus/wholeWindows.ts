import { Failure } from '../../common/failure.ts';
import type { Tokenizer } from '../../models/model.ts';
import { packTokens } from './packTokens.ts';

/** The first tokens of a text packed into whole windows; a text shorter than a window is cut into smaller ones. */
export async function wholeWindows(
  documents: () => AsyncIterable<{ readonly text: string }>,
  tokenizer: Tokenizer,
  options: { readonly windowLength: number; readonly limit: number; readonly signal?: AbortSignal },
): Promise<{ tokenIds: Uint32Array; windowLength: number }> {
  let { windowLength } = options;
  for (;;) {
    try {
      const tokenIds = await packTokens(documents(), tokenizer, { ...options, windowLength });
      return { tokenIds, windowLength };
    } catch (error) {
      if (!Failure.is(error, 'empty') || windowLength < 8) throw error;
      windowLength = Math.floor(windowLength / 2);
    }
  }
}
