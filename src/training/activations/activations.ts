/** Activations of consecutive windows of tokens, as the trainer and the evaluator read them. */
export interface ActivationWindow {
  readonly tokenIds: Uint32Array; // (T)
  readonly activations: Float32Array; // (T, D)
  /** What is to be reconstructed, where that is not the activations: a residual SAE's e = x - xhat. */
  readonly target?: Float32Array; // (T, D)
}

/**
 * A fixed sequence of windows that can be read from any position, so that training can resume: the same index gives
 * the same activations. Kept on disk, or computed by the model when asked.
 */
export interface ActivationSource {
  /** D */
  readonly width: number;
  /** T, tokens per window. */
  readonly windowLength: number;
  /** How many windows there are. */
  readonly windows: number;
  /** Looks again how many windows there are, where the source can grow while it is read. */
  refresh?(): Promise<void>;
  /** Windows [first, first + count), in order. */
  read(first: number, count: number, signal?: AbortSignal): Promise<readonly ActivationWindow[]>;
}
