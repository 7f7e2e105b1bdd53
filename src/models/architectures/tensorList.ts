import type { ExpectedTensor } from '../weightPlan.ts';

type More = Omit<ExpectedTensor, 'name' | 'tensor' | 'shape'>;

/** The tensors that an architecture's files hold, as they are named there. */
export class TensorList {
  readonly expected: ExpectedTensor[] = [];
  private readonly weightPrefix: string;
  private readonly tensorPrefix: string;

  constructor(weightPrefix = '', tensorPrefix = '') {
    this.weightPrefix = weightPrefix;
    this.tensorPrefix = tensorPrefix;
  }

  /** The tensors of one layer, whose names begin with `prefix`. */
  layer(layer: number, prefix: string): TensorList {
    const list = new TensorList(`blocks.${layer}.`, prefix);
    return Object.assign(list, { expected: this.expected });
  }

  /** A tensor that is called `tensor` and nothing more. */
  named(name: string, tensor: string, shape: readonly number[], more: More = {}): void {
    this.expected.push({
      name: this.weightPrefix + name,
      tensor: this.tensorPrefix + tensor,
      shape,
      ...more,
    });
  }

  weight(name: string, tensor: string, shape: readonly number[], more: More = {}): void {
    this.named(name, `${tensor}.weight`, shape, more);
  }

  bias(name: string, tensor: string, length: number, more: More = {}): void {
    this.named(`${name}.bias`, `${tensor}.bias`, [length], more);
  }

  /** A linear map with its bias. */
  affine(name: string, tensor: string, shape: readonly [rows: number, columns: number], more: More = {}): void {
    this.weight(name, tensor, shape, more);
    this.bias(name, tensor, shape[0], more);
  }

  /** A LayerNorm's gain and bias. */
  layerNorm(name: string, tensor: string, width: number): void {
    this.weight(name, tensor, [width]);
    this.bias(name, tensor, width);
  }
}
