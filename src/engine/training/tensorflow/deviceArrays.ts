import { Failure } from '../../../common/failure.ts';
import {
  longestSilence,
  type parameterNames,
  type TrainingArrays,
} from '../../../training/backend.ts';
import type { Sparsity } from '../../../training/sparsity.ts';
import { trainingTensors } from '../../../training/trainingTensors.ts';
import type { Tensorflow, Variable } from './tensorflow.ts';

/** A learned array and its moments on the device. */
export interface DeviceParameter {
  readonly value: Variable;
  readonly firstMoment: Variable;
  readonly secondMoment: Variable;
}

/** What a step reads and changes, kept on TensorFlow's device; shapes as in `TrainingArrays`, rows padded to the stride. */
export class DeviceArrays {
  readonly encoder: DeviceParameter; // (F, stride)
  readonly encoderBias: DeviceParameter; // (F)
  readonly decoder: DeviceParameter; // (F, stride)
  readonly decoderBias: DeviceParameter | undefined; // (stride)
  readonly sinceFired: Variable; // int32 (F)
  private readonly tf: Tensorflow;
  /** By their names in checkpoints, those of the sparsity among them. */
  private readonly variables: ReadonlyMap<string, Variable>;

  constructor(tf: Tensorflow, arrays: TrainingArrays, sparsity: Sparsity) {
    this.tf = tf;
    const tensors = Object.entries(trainingTensors(arrays, sparsity));
    this.variables = new Map(
      tensors.map(([name, { shape, dtype }]) => [
        name,
        zeros(tf, shape, dtype === 'U32' ? 'int32' : 'float32'),
      ]),
    );
    this.encoder = this.parameter('encoder');
    this.encoderBias = this.parameter('encoderBias');
    this.decoder = this.parameter('decoder');
    this.decoderBias = arrays.decoderBias && this.parameter('decoderBias');
    this.sinceFired = this.of('sinceFired');
  }

  /** The array of this name. */
  of(name: string): Variable {
    const found = this.variables.get(name);
    if (!found) throw new Failure('internal', `This training has no ${name}.`);
    return found;
  }

  /** Value and moments of one of the learned arrays, or of the sparsity's. */
  parameter(name: (typeof parameterNames)[number] | 'logThreshold'): DeviceParameter {
    return {
      value: this.of(`${name}.value`),
      firstMoment: this.of(`${name}.firstMoment`),
      secondMoment: this.of(`${name}.secondMoment`),
    };
  }

  upload(arrays: TrainingArrays, sparsity: Sparsity): void {
    const { tf } = this;
    for (const [name, { data }] of Object.entries(trainingTensors(arrays, sparsity))) {
      const variable = this.of(name);
      const values =
        data instanceof Uint32Array
          ? Int32Array.from(data, tokens => Math.min(tokens, longestSilence))
          : Float32Array.from(data as Float32Array);
      tf.tidy(() => {
        variable.assign(tf.tensor(values, variable.shape, variable.dtype));
      });
    }
  }

  async download(arrays: TrainingArrays, sparsity: Sparsity): Promise<void> {
    for (const [name, { data }] of Object.entries(trainingTensors(arrays, sparsity)))
      (data as Float32Array | Uint32Array).set(await this.of(name).data());
  }

  dispose(): void {
    for (const variable of this.variables.values()) variable.dispose();
  }
}

function zeros(tf: Tensorflow, shape: readonly number[], dtype: 'float32' | 'int32'): Variable {
  return tf.tidy(() => tf.variable(tf.zeros([...shape], dtype), false));
}
