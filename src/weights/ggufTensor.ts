import { closeSync, openSync, readSync } from 'node:fs';
import { Failure } from '../common/failure.ts';
import type { GgufFile, GgufTensor } from './gguf.ts';
import { decodeBlocks } from './ggufBlocks.ts';

/** Small tensors only: factors of a rotation, not matrices. */
const mostValues = 1 << 16;

/** The values of a small tensor. */
export function readFloat32({ path }: GgufFile, tensor: GgufTensor): number[] {
  const count = tensor.shape.reduce((product, length) => product * length, 1);
  if (count > mostValues) {
    throw new Failure(
      'bad-file',
      `${path}: tensor "${tensor.name}": expected up to ${mostValues} values, found ${count}.`,
    );
  }
  const bytes = new Uint8Array(tensor.byteLength);
  const file = openSync(path, 'r');
  try {
    const read = readSync(file, bytes, 0, bytes.length, tensor.offset);
    if (read !== bytes.length)
      throw new Failure('bad-file', `${path} ended within tensor "${tensor.name}".`);
  } finally {
    closeSync(file);
  }
  const values = new Float32Array(count);
  decodeBlocks(tensor.type, bytes, values);
  if (values.every(value => value > 0 && value < Infinity)) return [...values];
  throw new Failure('bad-file', `${path}: tensor "${tensor.name}": expected positive numbers.`);
}
