import { Failure } from '../common/failure.ts';
import type { GgufFile, MetadataValue } from './gguf.ts';

/** A metadata value of a GGUF file as an integer from `least` to `most`; `otherwise` where it is absent. */
export function metadataInteger(
  file: GgufFile,
  key: string,
  range: { readonly least: number; readonly most: number; readonly otherwise?: number },
): number {
  const value = file.metadata.get(key) ?? range.otherwise;
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= range.least &&
    value <= range.most
  ) {
    return value;
  }
  throw badMetadata(file, key, `an integer from ${range.least} to ${range.most}`);
}

/** A metadata value as a positive, finite number; `otherwise` where it is absent. */
export function metadataPositive(file: GgufFile, key: string, otherwise?: number): number {
  const value = file.metadata.get(key) ?? otherwise;
  if (typeof value === 'number' && value > 0 && value < Infinity) return value;
  throw badMetadata(file, key, 'a positive number');
}

/** A metadata value as text; `otherwise` where it is absent. */
export function metadataText(file: GgufFile, key: string, otherwise?: string): string {
  const value = file.metadata.get(key) ?? otherwise;
  if (typeof value === 'string') return value;
  throw badMetadata(file, key, 'text');
}

/** A metadata value as an array of texts. */
export function metadataTexts(file: GgufFile, key: string): readonly string[] {
  const value = file.metadata.get(key);
  if (typeof value === 'object' && value.every(item => typeof item === 'string')) return value;
  throw badMetadata(file, key, 'an array of texts');
}

/** A metadata value as an array of numbers. */
export function metadataNumbers(file: GgufFile, key: string): readonly number[] {
  const value = file.metadata.get(key);
  if (typeof value === 'object' && value.every(item => typeof item === 'number')) return value;
  throw badMetadata(file, key, 'an array of numbers');
}

/** The refusal of a metadata value: what was expected under `key`, and what is there. */
export function badMetadata(file: GgufFile, key: string, expected: string): Failure {
  const found = describedMetadata(file.metadata.get(key));
  return new Failure(
    'bad-file',
    `${file.path}: metadata "${key}": expected ${expected}, found ${found}.`,
  );
}

/** A value for people, or 'nothing'. */
export function describedMetadata(value: MetadataValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object') return `an array of ${value.length}`;
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value);
}
