import { Failure } from '../../common/failure.ts';
import { Tensor } from './runtime.ts';

export { Tensor };

export function float32Tensor(values: Float32Array, shape: readonly number[]): Tensor {
  return new Tensor('float32', values, shape);
}

export function int64Tensor(values: ArrayLike<number>, shape: readonly number[]): Tensor {
  const wide = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) wide[i] = BigInt(values[i] ?? 0);
  return new Tensor('int64', wide, shape);
}

export function int32Tensor(values: ArrayLike<number>, shape: readonly number[]): Tensor {
  return new Tensor('int32', Int32Array.from(values), shape);
}

/** The float32 values of a tensor. */
export function float32Values(tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  throw new Failure(
    'internal',
    `Expected a float32 tensor from onnxruntime, found ${tensor?.type ?? 'none'}.`,
  );
}

/** The values of an int64 tensor of token ids or feature numbers. */
export function indexValues(tensor: Tensor | undefined): Uint32Array {
  if (!(tensor?.data instanceof BigInt64Array)) {
    throw new Failure(
      'internal',
      `Expected an int64 tensor from onnxruntime, found ${tensor?.type ?? 'none'}.`,
    );
  }
  return Uint32Array.from(tensor.data, Number);
}
