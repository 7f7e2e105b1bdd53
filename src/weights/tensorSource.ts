/** A file of named tensors, whatever its container; tensors are read when asked for. */
export interface TensorSource {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  /** The tensor `name`, row-major, as float32; fails with `bad-file` where it is not of numbers. */
  readFloat32(name: string): Promise<Float32Array>;
}
