import { createHash } from 'node:crypto';
import type { EvaluatedModel } from '../../src/engine/analysis/evaluate.ts';

/**
 * A model that runs the same window, or the same replacement of its activations, only once: what evaluations of several
 * SAEs on the same windows have in common are the clean run and the one with zeros.
 */
export function rememberedModel(model: EvaluatedModel): EvaluatedModel {
  const runs = new Map<string, ReturnType<EvaluatedModel['run']>>();
  const splices = new Map<string, ReturnType<EvaluatedModel['splice']>>();
  return {
    config: model.config,
    run: request => {
      const key = [request.hooks.join(), request.head, request.tokenIds.join()].join('|');
      return remembered(runs, key, () => model.run(request));
    },
    splice: request => {
      const { hook, head, activations, residual, labels, buffers } = request;
      const hash = createHash('sha256').update(bytesOf(activations));
      for (const more of [labels, residual]) if (more) hash.update(bytesOf(more));
      for (const buffer of buffers?.values() ?? []) hash.update(bytesOf(buffer));
      const key = [hook, head, hash.digest('hex')].join('|');
      return remembered(splices, key, () => model.splice(request));
    },
  };
}

function remembered<T>(
  memory: Map<string, Promise<T>>,
  key: string,
  compute: () => Promise<T>,
): Promise<T> {
  const known = memory.get(key);
  if (known) return known;
  const result = compute();
  memory.set(key, result);
  result.catch(() => memory.delete(key));
  return result;
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
