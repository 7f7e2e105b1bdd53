import { Graph } from '../../onnx/graph.ts';
import type { Encoder } from '../../training/encoder.ts';
import type { TrainingKernel } from '../../training/kernel/trainingKernel.ts';
import { openSession, type Session } from '../sessions/session.ts';
import { float32Tensor, float32Values, int64Tensor, type Tensor } from '../sessions/tensors.ts';

/** The encoder's product and TopK in onnxruntime, on the kernel's own memory where Node allows it. */
export class RuntimeEncoder implements Encoder {
  private readonly kernel: TrainingKernel;
  private readonly session: Session;
  private readonly input: Feed;
  private readonly weights: Feed;
  private readonly bias: Feed;

  private constructor(kernel: TrainingKernel, session: Session, shares: boolean) {
    const { batch, features } = kernel.shape;
    this.kernel = kernel;
    this.session = session;
    this.input = new Feed(kernel.input, [batch, kernel.stride], shares);
    this.weights = new Feed(kernel.encoder.value, [features, kernel.stride], shares);
    this.bias = new Feed(kernel.encoderBias.value, [features], shares);
  }

  static async open(kernel: TrainingKernel): Promise<RuntimeEncoder> {
    const session = await openSession(encoderGraph(kernel.stride), {
      threads: kernel.shape.threads,
      // Spinning threads would take the processor from the kernel's.
      allowSpinning: false,
    });
    return new RuntimeEncoder(kernel, session, await sharesMemory());
  }

  async encode(): Promise<void> {
    const { values, indices, shape } = this.kernel;
    await this.run(this.weights.tensor(), this.bias.tensor(), shape.k, { values, indices });
  }

  async encodeDead(dead: Uint32Array): Promise<number> {
    const { kernel } = this;
    const { stride } = kernel;
    const slots = Math.min(dead.length, kernel.shape.auxiliaryK);
    const rows = new Float32Array(dead.length * stride);
    dead.forEach((f, i) =>
      rows.set(kernel.encoder.value.subarray(f * stride, (f + 1) * stride), i * stride),
    );
    const bias = Float32Array.from(dead, f => kernel.encoderBias.value[f] ?? NaN);
    const values = kernel.auxiliaryValues.subarray(0, kernel.shape.batch * slots);
    const indices = kernel.auxiliaryIndices.subarray(0, values.length);
    const weights = float32Tensor(rows, [dead.length, stride]);
    await this.run(weights, float32Tensor(bias, [dead.length]), slots, { values, indices });
    indices.forEach((i, p) => {
      indices[p] = BigInt(dead[Number(i)] ?? 0);
    });
    return slots;
  }

  async dispose(): Promise<void> {
    await this.session.dispose();
  }

  private async run(
    weights: Tensor,
    bias: Tensor,
    k: number,
    into: { readonly values: Float32Array; readonly indices: BigInt64Array },
  ): Promise<void> {
    const result = await this.session.run({
      x: this.input.tensor(),
      weights,
      bias,
      k: int64Tensor([k], [1]),
    });
    into.values.set(float32Values(result['values']));
    const indices = result['indices']?.data;
    if (indices instanceof BigInt64Array) into.indices.set(indices);
  }
}

/** values (B, k), indices (B, k) = the k largest of x (B, D) weights^T (n, D) + bias (n), rectified. */
function encoderGraph(width: number): Uint8Array {
  const graph = new Graph();
  const x = graph.input('x', 'float32', ['B', width]);
  const weights = graph.input('weights', 'float32', ['n', width]);
  const bias = graph.input('bias', 'float32', ['n']);
  const k = graph.input('k', 'int64', [1]);
  const product = graph.op('Gemm', [x, weights, bias], { transB: 1n });
  const [values, indices] = graph.ops(2, 'TopK', [product, k]);
  graph.output(graph.op('Relu', [values]), 'values', 'float32', ['B', 'k']);
  graph.output(indices, 'indices', 'int64', ['B', 'k']);
  return graph.bytes();
}

/** An array of the kernel as a tensor: the same memory, or a copy that is brought up to date at each use. */
class Feed {
  private readonly source: Float32Array;
  private readonly values: Float32Array;
  private readonly made: Tensor;

  constructor(source: Float32Array, shape: readonly number[], shares: boolean) {
    this.source = source;
    this.values = shares ? source : new Float32Array(source.length);
    this.made = float32Tensor(this.values, shape);
  }

  tensor(): Tensor {
    if (this.values !== this.source) this.values.set(this.source);
    return this.made;
  }
}

/** Whether onnxruntime takes tensors in shared memory: Node 24 lets it, Node 20 does not. */
async function sharesMemory(): Promise<boolean> {
  const graph = new Graph();
  graph.output(graph.op('Neg', [graph.input('x', 'float32', [1])]), 'y', 'float32', [1]);
  const session = await openSession(graph.bytes(), { threads: 1 });
  try {
    const x = new Float32Array(new SharedArrayBuffer(4)).fill(1);
    return float32Values((await session.run({ x: float32Tensor(x, [1]) }))['y'])[0] === -1;
  } catch {
    return false;
  } finally {
    await session.dispose();
  }
}
