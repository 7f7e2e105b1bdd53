import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LeftTensors } from '../../src/engine/sessions/leftTensors.ts';
import type { InferenceSession, Tensor } from '../../src/engine/sessions/runtime.ts';

it('a session is released after the last tensor that it left on its device', async () => {
  const done: string[] = [];
  const release = (): Promise<void> => {
    done.push('session');
    return Promise.resolve();
  };
  const left = new LeftTensors({ release } as unknown as InferenceSession);
  const tensors = ['a', 'b', 'of memory'].map(
    (name, i) =>
      ({
        location: i < 2 ? 'gpu-buffer' : 'cpu',
        dispose: () => {
          done.push(name);
          throw new Error('Its device is lost.');
        },
      }) as unknown as Tensor,
  );
  for (const tensor of tensors) left.add(tensor);
  tensors[0]?.dispose();
  await left.release();
  assert.deepEqual(done, ['a']);
  tensors[0]?.dispose();
  assert.deepEqual(done, ['a'], 'once');
  tensors[1]?.dispose();
  assert.deepEqual(done, ['a', 'b', 'session']);
});
