import {
  parameterNames,
  type Parameter,
  type StepShape,
  type TrainingArrays,
} from '../../training/backend.ts';
import type { Sparsity } from '../../training/sparsity.ts';
import type { Tensor, Tensorflow, Variable } from './tensorflow.ts';

/** More tokens than this since a feature fired are not counted: the device's whole numbers have 31 bits. */
export const mostTokens = 2 ** 30;

/** A learned array and its moments on the device. */
export interface DeviceParameter {
  readonly value: Variable;
  readonly firstMoment: Variable;
  readonly secondMoment: Variable;
}

/** What a step changes, kept on TensorFlow's device; shapes as in `TrainingArrays`, rows padded to the stride. */
export class DeviceArrays {
  readonly encoder: DeviceParameter; // (F, stride)
  readonly encoderBias: DeviceParameter; // (F)
  readonly decoder: DeviceParameter; // (F, stride)
  readonly decoderBias: DeviceParameter | undefined; // (stride)
  /** int32 (F) */
  readonly sinceFired: Variable;
  /** Those of the sparsity, by its names. */
  readonly sparsity: Readonly<Record<string, Variable>>;
  private readonly tf: Tensorflow;
  private readonly all: Variable[] = [];

  constructor(tf: Tensorflow, shape: StepShape, stride: number, sparsity: Sparsity) {
    const { features } = shape;
    this.tf = tf;
    this.encoder = this.parameter([features, stride]);
    this.encoderBias = this.parameter([features]);
    this.decoder = this.parameter([features, stride]);
    this.decoderBias = shape.decoderBias ? this.parameter([stride]) : undefined;
    this.sinceFired = this.variable([features], 'int32');
    this.sparsity = Object.fromEntries(
      Object.entries(sparsity.arrays).map(([name, { length }]) => [name, this.variable([length])]),
    );
  }

  /** One of the sparsity's arrays. */
  of(name: string): Variable {
    const found = this.sparsity[name];
    if (!found) throw new Error(`the objective has no ${name}`);
    return found;
  }

  upload(arrays: TrainingArrays, sparsity: Sparsity): void {
    for (const [variable, host] of this.pairs(arrays, sparsity)) this.write(variable, host.slice());
    const since = Int32Array.from(arrays.sinceFired, tokens => Math.min(tokens, mostTokens));
    this.write(this.sinceFired, since);
  }

  async download(arrays: TrainingArrays, sparsity: Sparsity): Promise<void> {
    for (const [variable, host] of this.pairs(arrays, sparsity)) host.set(await variable.data());
    arrays.sinceFired.set(await this.sinceFired.data());
  }

  dispose(): void {
    for (const variable of this.all) variable.dispose();
  }

  /** Every array of floats with that of this process. */
  private *pairs(arrays: TrainingArrays, sparsity: Sparsity): Generator<[Variable, Float32Array]> {
    for (const name of parameterNames) {
      const [here, host]: [DeviceParameter | undefined, Parameter | undefined] = [
        this[name],
        arrays[name],
      ];
      if (!here || !host) continue;
      yield [here.value, host.value];
      yield [here.firstMoment, host.firstMoment];
      yield [here.secondMoment, host.secondMoment];
    }
    for (const [name, host] of Object.entries(sparsity.arrays)) yield [this.of(name), host];
  }

  private write(variable: Variable, values: Float32Array | Int32Array): void {
    const { shape, dtype } = variable;
    const written: Tensor = this.tf.tensor(values, shape, dtype);
    variable.assign(written);
    written.dispose();
  }

  private parameter(shape: number[]): DeviceParameter {
    return {
      value: this.variable(shape),
      firstMoment: this.variable(shape),
      secondMoment: this.variable(shape),
    };
  }

  private variable(shape: number[], dtype: 'float32' | 'int32' = 'float32'): Variable {
    const zeros = this.tf.zeros(shape, dtype);
    const variable = this.tf.variable(zeros, false);
    zeros.dispose();
    this.all.push(variable);
    return variable;
  }
}
