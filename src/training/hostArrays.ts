import { strideOf, type Parameter, type StepShape, type TrainingArrays } from './backend.ts';

/** A training's arrays as plain ones, all 0: what a backend whose steps are taken elsewhere brings up to date. */
export function hostArrays(shape: StepShape): TrainingArrays {
  const { features, width, k, batch } = shape;
  const stride = strideOf(width);
  const input = new Float32Array(batch * stride);
  return {
    ...{ shape, stride, input },
    encoder: parameter(features * stride),
    encoderBias: parameter(features),
    decoder: parameter(features * stride),
    decoderBias: shape.decoderBias ? parameter(stride) : undefined,
    target: shape.separateTarget ? new Float32Array(batch * stride) : input,
    values: new Float32Array(batch * k),
    indices: new BigInt64Array(batch * k),
    sinceFired: new Uint32Array(features),
  };
}

function parameter(length: number): Parameter {
  return {
    value: new Float32Array(length),
    firstMoment: new Float32Array(length),
    secondMoment: new Float32Array(length),
  };
}
