import { isRecord } from '../../common/record.ts';

/** tokenizer_config.json names a token by its text, or by an object with its text as `content`. */
export function tokenName(value: unknown): string | undefined {
  const name = isRecord(value) ? value['content'] : value;
  return typeof name === 'string' ? name : undefined;
}
