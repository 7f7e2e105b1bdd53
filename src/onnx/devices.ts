import type { Device } from '../contracts/engine.ts';

/** What onnxruntime 1.30's kernels of a device lack; graphs for it do without, and compute the same. */
export interface Lacks {
  /** Arithmetic of int64: only indices and shapes. */
  readonly int64?: true;
  /** Numbers of 16 bits, on every device of the kind (precision.ts asks each); the CPU widens constants of them when the session opens. */
  readonly sixteenBits?: true;
  /**
   * A GroupQueryAttention that can be relied on. WebGPU's passes over the softcap in silence, gives no weights beside its
   * result, and its kernel for 16 tokens and more was wrong by a fifth of the largest value on SwiftShader. CUDA's and
   * DirectML's are made for float16, and CoreML has none.
   */
  readonly attention?: true;
}

/** Whether training steps run there: of DirectML and CoreML it is not known that they have the kernels. */
export function takesSteps(device: Device): boolean {
  return device === 'webgpu' || device === 'cuda';
}

/** Whether a session there can leave outputs on the device, for other sessions to read: Node's binding knows WebGPU's alone. */
export function keepsOutputs(device: Device): boolean {
  return device === 'webgpu';
}

/**
 * test/engine/webgpu.test.ts runs what is done instead against the goldens. The other rows say less than may be there: what
 * is done without runs everywhere.
 */
export const lacks: Readonly<Record<Device, Lacks>> = {
  cpu: {},
  webgpu: { int64: true, sixteenBits: true, attention: true },
  cuda: { attention: true },
  directml: { int64: true, sixteenBits: true, attention: true },
  coreml: { int64: true, sixteenBits: true, attention: true },
};

/** What onnxruntime-node calls them. */
export const executionProviders: Readonly<Record<Exclude<Device, 'cpu'>, string>> = {
  webgpu: 'webgpu',
  cuda: 'cuda',
  directml: 'dml',
  coreml: 'coreml',
};

/** Whether the device runs a graph whole or refuses it. Others leave to the CPU what is of shapes; their probe says what. */
export function runsWhole(device: Device): boolean {
  return device === 'webgpu';
}

/** Of onnxruntime-node 1.30, by platform and processor. */
const builtFor: Readonly<Record<Device, RegExp>> = {
  cpu: /^/,
  webgpu: /^(win32-|darwin-|linux-x64$)/,
  cuda: /^linux-x64$/,
  directml: /^win32-/,
  coreml: /^darwin-/,
};

/** The machine as `builtFor` names it. */
export const thisMachine = `${process.platform}-${process.arch}`;

/** Whether onnxruntime-node has the device on such a machine at all. */
export function isBuiltFor(device: Device, machine = thisMachine): boolean {
  return builtFor[device].test(machine);
}

const order: readonly Device[] = ['cuda', 'webgpu', 'directml', 'coreml'];

/** The devices other than the CPU that such a machine may have, the best first. */
export function devicesOf(machine = thisMachine): readonly Device[] {
  return order.filter(device => isBuiltFor(device, machine));
}
