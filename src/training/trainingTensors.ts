import type { Tensor } from '../weights/safetensors.ts';
import { parameterNames, type TrainingArrays } from './backend.ts';
import type { Sparsity } from './sparsity.ts';

const arrayNames = ['value', 'firstMoment', 'secondMoment'] as const;

/** Every array that a step reads and changes, by its name in checkpoints: views, not copies. */
export function trainingTensors(
  arrays: TrainingArrays,
  sparsity: Sparsity,
): Readonly<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {};
  for (const name of parameterNames) {
    const parameter = arrays[name];
    if (!parameter) continue;
    for (const array of arrayNames) {
      const data = parameter[array];
      const { stride } = arrays;
      const shape = name === 'encoderBias' ? [data.length] : [data.length / stride, stride];
      tensors[`${name}.${array}`] = { dtype: 'F32', shape, data };
    }
  }
  for (const [name, data] of Object.entries(sparsity.arrays))
    tensors[name] = { dtype: 'F32', shape: [data.length], data };
  const { sinceFired } = arrays;
  tensors['sinceFired'] = { dtype: 'U32', shape: [sinceFired.length], data: sinceFired };
  return tensors;
}
