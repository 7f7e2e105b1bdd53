import { createHash } from 'node:crypto';
import type { Dictionary } from './dictionary.ts';

/** The sha256 of a dictionary's numbers, hex: the same in whatever format and type they were stored without loss. */
export function dictionaryHash(dictionary: Dictionary): string {
  const { rule, encoder, encoderBias, decoder, decoderBias, subtractDecoderBias } = dictionary;
  const hash = createHash('sha256');
  const { kind, ...parameters } = rule;
  hash.update(`${kind} ${subtractDecoderBias} ${dictionary.hook} ${encoderBias.length}\n`);
  const arrays = [encoder, encoderBias, decoder, decoderBias ?? new Float32Array()];
  for (const parameter of Object.values(parameters)) {
    arrays.push(typeof parameter === 'number' ? Float32Array.of(parameter) : parameter);
  }
  for (const { buffer, byteOffset, byteLength } of arrays) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}
