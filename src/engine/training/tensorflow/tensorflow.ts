import type * as core from '@tensorflow/tfjs-core';

/** @tensorflow/tfjs-core, loaded when a training asks for it; its backend is that of the process. */
export type Tensorflow = typeof core;
export type { Tensor, Variable } from '@tensorflow/tfjs-core';
