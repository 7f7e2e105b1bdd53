import { Failure } from './failure.ts';

/** Whether a value, of JSON as a rule, is an object and no array: all of its entries are unknown. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The JSON object in a text; `file` names it in failures. */
export function parseRecord(json: string, file: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new Failure('bad-file', `${file} is not JSON.`, { cause });
  }
  if (isRecord(value)) return value;
  throw new Failure('bad-file', `${file} is not a JSON object.`);
}
