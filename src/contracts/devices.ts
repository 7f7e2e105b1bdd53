import type { Device, DeviceChoice } from './engine.ts';

/** As people know them. */
export const deviceNames: Readonly<Record<Device, string>> = {
  cpu: 'CPU',
  webgpu: 'WebGPU',
  cuda: 'CUDA',
  directml: 'DirectML',
  coreml: 'CoreML',
};

/** The environment variable that names a folder with an onnxruntime-node to be used in place of Loupe's own. */
export const runtimeVariable = 'LOUPE_RUNTIME';

/** What `loupe.device` and `--device` take. */
export const deviceChoices: readonly DeviceChoice[] = [
  ...(['auto', 'webgpu', 'cuda'] as const),
  ...(['directml', 'coreml', 'cpu'] as const),
];

/** What the model and its SAEs run on now, and what that takes. */
export interface DeviceState {
  readonly device: Device;
  /** What the model calculates in there, and how far that is from float32. */
  readonly precision: string;
  /** Present where a device failed while it was in use, and the CPU took its place. */
  readonly failed?: true;
  /** Sentences: why no other device is used, or what of this one's work is the CPU's. */
  readonly note?: string;
  /** Of the weights that sessions hold. */
  readonly weightBytes: number;
  /** Memory of the engine's process. */
  readonly residentBytes: number;
}

/** Some of a graph's operators ran on the CPU. */
export interface Placement {
  /** Operators of the graph, and how many of them were the CPU's. */
  readonly operators: number;
  readonly onCpu: number;
  /** The kinds of those, as ONNX names them. */
  readonly kinds: readonly string[];
}

/** One line of `loupe devices`. */
export interface DeviceReport {
  readonly device: Device;
  readonly works: boolean;
  /** One sentence: why it does not work. */
  readonly reason?: string;
  /** Time of its small run, divided by the CPU's. */
  readonly ratio?: number;
  /** Largest difference to the CPU's result, relative to its largest value. */
  readonly difference?: number;
  /** Whether it calculates in float16; absent where that was not found out. */
  readonly float16?: boolean;
  readonly placement?: Placement;
  /** Of the test run: its weights, and its process at the end. */
  readonly weightBytes?: number;
  readonly residentBytes?: number;
}
