import { isRecord } from '../../common/record.ts';
import type { TokenizerParts } from './textTokenizer.ts';
import { tokenName } from './tokenName.ts';

/**
 * The token with which the model's own tokenizer begins every text: as tokenizer_config.json says with
 * `add_bos_token`, or else as the template of the tokenizer.json's post-processor does.
 */
export function bosOf(parts: TokenizerParts, postProcessor: unknown, settings: unknown): number | undefined {
  const config = isRecord(settings) ? settings : {};
  const isAdded = config['add_bos_token'];
  if (isAdded === false) return undefined;
  const named = isAdded === true ? tokenName(config['bos_token']) : undefined;
  const name = named ?? templateStart(postProcessor);
  if (name === undefined) return undefined;
  return parts.added.find(({ content }) => content === name)?.id ?? parts.vocabulary.get(name);
}

/** The special token at the start of a TemplateProcessing, which may be one of a Sequence. */
function templateStart(json: unknown): string | undefined {
  if (!isRecord(json)) return undefined;
  const { type, processors, single } = json;
  if (type === 'Sequence' && Array.isArray(processors)) {
    return processors.map(templateStart).find(name => name !== undefined);
  }
  const first: unknown = type === 'TemplateProcessing' && Array.isArray(single) ? single[0] : undefined;
  const special = isRecord(first) ? first['SpecialToken'] : undefined;
  const id = isRecord(special) ? special['id'] : undefined;
  return typeof id === 'string' ? id : undefined;
}
