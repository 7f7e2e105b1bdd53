/** Asks that the steps of a training be taken in TensorFlow. */
export interface TensorflowChoice {
  /** The folder whose node_modules has @tensorflow/tfjs-node-gpu, whose code is run; beside Loupe where not given. */
  readonly path?: string;
}
