import { createHash } from 'node:crypto';
import type { ActivationRule, Dictionary } from './dictionary.ts';

/**
 * The sha256 of a dictionary's numbers, hex: the same in whatever format and type they were stored without loss. A
 * decoder bias of zeros is none, as formats that always have one read it.
 */
export function dictionaryHash(dictionary: Dictionary): string {
  const { rule, encoder, encoderBias, decoder, decoderBias, subtractDecoderBias } = dictionary;
  const hash = createHash('sha256');
  hash.update(`${rule.kind} ${subtractDecoderBias} ${dictionary.hook} ${encoderBias.length}\n`);
  const { output, inputNorm, centred } = dictionary;
  // Only where there is something to say: hashes of plain SAEs are in other files.
  if (output ?? inputNorm ?? centred) {
    hash.update(`${output?.hook} ${output?.width} ${inputNorm} ${centred === true}\n`);
  }
  const bias = decoderBias?.some(value => value !== 0) ? decoderBias : [];
  const { skip = [] } = dictionary;
  const arrays = [encoder, encoderBias, decoder, bias, ...parametersOf(rule), skip];
  for (const array of arrays) {
    const { buffer, byteOffset, byteLength } =
      array instanceof Float32Array ? array : Float32Array.from(array);
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex');
}

function parametersOf(rule: ActivationRule): (Float32Array | number[])[] {
  switch (rule.kind) {
    case 'relu':
      return [];
    case 'topk':
      return [[rule.maxK]];
    case 'groupmax':
      return [[rule.groups]];
    case 'jumprelu':
      return [rule.threshold];
    case 'gated':
      return [rule.rMag, rule.bMag];
  }
}
