/** One of ggml's tensor encodings: `blockLength` consecutive values of a row share `blockBytes` bytes. */
export interface BlockType {
  readonly name: string;
  readonly blockLength: number;
  readonly blockBytes: number;
  /** Decodes the block at byte `at` to float32 values from index `to` of `out`, rounding as ggml does. */
  decode(bytes: DataView, at: number, out: Float32Array, to: number): void;
}
