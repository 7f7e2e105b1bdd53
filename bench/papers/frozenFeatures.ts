import type { TrainingArrays } from '../../src/training/backend.ts';

/**
 * What a step did to the first `count` features and to the decoder bias is undone by calling this after it: weights as
 * they are now, moments 0, and never dead, so that AuxK revives others.
 */
export function frozenFeatures(arrays: TrainingArrays, count: number): () => void {
  const { encoder, decoder, encoderBias, decoderBias, stride, sinceFired } = arrays;
  const parts = [
    { parameter: encoder, length: count * stride },
    { parameter: decoder, length: count * stride },
    { parameter: encoderBias, length: count },
    ...(decoderBias ? [{ parameter: decoderBias, length: stride }] : []),
  ].map(part => ({ ...part, kept: part.parameter.value.slice(0, part.length) }));
  return () => {
    for (const { parameter, length, kept } of parts) {
      parameter.value.set(kept);
      parameter.firstMoment.fill(0, 0, length);
      parameter.secondMoment.fill(0, 0, length);
    }
    sinceFired.fill(0, 0, count);
  };
}
