import type { ModelConfig } from '../../../src/models/model.ts';
import { valuesOf, type Parameter } from './parameters.ts';

/** One of the models that are compared: a Llama, or a LIMe whose routers are held to some of the buffers. */
export interface Arm {
  readonly name: string;
  readonly label: string;
  readonly architecture: ModelConfig['architecture'];
  /** Whether a layer may read the buffer of another, up to its own; layers are counted from 0. */
  reads(layer: number, buffer: number): boolean;
  /** Whether routers are the mean of the layers so far, and stay so. */
  readonly isAverage?: boolean;
}

const last = (count: number): Arm => ({
  name: `last-${count}`,
  label: `own and ${count - 1} before`,
  architecture: 'lime',
  reads: (layer, buffer) => buffer > layer - count,
});

const first = (count: number): Arm => ({
  name: `first-${count}`,
  label: `own, previous, first ${count}`,
  architecture: 'lime',
  reads: (layer, buffer) => buffer >= layer - 1 || buffer < count,
});

/**
 * The paper's ablation of routers (arXiv 2502.09245 v2, router ablation of the 150M models). A layer always reads its
 * own buffer, which counts among the last ones.
 */
export const arms: readonly Arm[] = [
  { name: 'llama', label: 'LLaMA', architecture: 'llama', reads: () => true },
  { name: 'lime', label: 'LIMe, all buffers', architecture: 'lime', reads: () => true },
  {
    name: 'average',
    label: 'mean of all, fixed',
    architecture: 'lime',
    reads: () => true,
    isAverage: true,
  },
  last(2),
  last(4),
  first(2),
  first(4),
];

/** Sets the routers of a new model to what the arm allows. */
export function holdRouters(flat: Float32Array, parameters: readonly Parameter[], arm: Arm): void {
  for (const parameter of parameters) {
    if (parameter.kind !== 'router') continue;
    const router = valuesOf(flat, parameter);
    forEachEntry(parameter, (at, head, buffer, source) => {
      if (!arm.reads(parameter.layer, buffer)) router[at] = 0;
      else if (arm.isAverage) router[at] = head === source ? 1 / (parameter.layer + 1) : 0;
    });
  }
}

/** Takes the gradient away from what the arm does not train: routers' entries that stay as they are. */
export function holdGradients(
  gradient: Float32Array,
  parameters: readonly Parameter[],
  arm: Arm,
): void {
  for (const parameter of parameters) {
    if (parameter.kind !== 'router') continue;
    const router = valuesOf(gradient, parameter);
    forEachEntry(parameter, (at, _, buffer) => {
      if (arm.isAverage || !arm.reads(parameter.layer, buffer)) router[at] = 0;
    });
  }
}

/** The entries of a router (KV, l KV): for each, its head, and which head of which buffer it reads. */
export function forEachEntry(
  { shape }: Pick<Parameter, 'shape'>,
  visit: (at: number, head: number, buffer: number, source: number) => void,
): void {
  const [heads = 0, columns = 0] = shape;
  for (let head = 0; head < heads; head++)
    for (let column = 0; column < columns; column++)
      visit(head * columns + column, head, Math.floor(column / heads), column % heads);
}
