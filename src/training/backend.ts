import { budgetsOf, candidatesOf, type Budgets } from './objective.ts';
import type { TrainingSettings } from './settings.ts';
import type { Sparsity } from './sparsity.ts';

/** What a training step is made for. */
export interface StepShape {
  readonly features: number; // F
  readonly width: number; // D
  readonly k: number; // K, the candidates of each sample
  readonly batch: number; // B
  readonly budgets: Budgets;
  /** Activations per sample of AuxK's reconstruction by dead features; 0: no AuxK. */
  readonly auxiliaryK: number;
  /** False for a residual SAE, which says nothing when nothing fires. */
  readonly decoderBias: boolean;
  /** Whether what is reconstructed is another array than what the encoder reads. */
  readonly separateTarget: boolean;
  /** Whether decoder rows are scaled to length 1 after each step. */
  readonly unitDecoder: boolean;
}

/** A learned array and its AdamW moments, in this process's memory. Rows of D are padded to `stride`. */
export interface Parameter {
  readonly value: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

/** More tokens than this since a feature fired are not counted on devices, whose whole numbers have 31 bits. */
export const longestSilence = 2 ** 30;

/** The learned arrays by their names in checkpoints. */
export const parameterNames = ['encoder', 'encoderBias', 'decoder', 'decoderBias'] as const;

/** What a training holds in this process's memory, wherever its steps are taken. */
export interface TrainingArrays {
  readonly shape: StepShape;
  /** D padded to a multiple of 8. */
  readonly stride: number;
  readonly encoder: Parameter; // (F, stride)
  readonly encoderBias: Parameter; // (F)
  readonly decoder: Parameter; // (F, stride)
  readonly decoderBias: Parameter | undefined; // (stride)
  /** What the encoder reads, and what is reconstructed (the same array unless separate). */
  readonly input: Float32Array; // (B, stride)
  readonly target: Float32Array; // (B, stride)
  /** The candidates of each sample as `encode` finds them: descending, 0 where nothing fires. */
  readonly values: Float32Array; // (B, K)
  readonly indices: BigInt64Array; // (B, K)
  /** Tokens since each feature last fired, (F). */
  readonly sinceFired: Uint32Array;
}

/** What a step is told besides its batch. */
export interface StepOptions {
  /** Counted from 1. */
  readonly step: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Coefficient of AuxK's loss. */
  readonly auxiliaryCoefficient: number;
}

/** Means over the samples of a step. */
export interface StepLosses {
  /** Weighted sum over the prefixes of |x - xhat_m|^2. */
  readonly loss: number;
  /** |x - xhat_K|^2 */
  readonly squaredError: number;
  /** |e - ehat|^2, before its coefficient. */
  readonly auxiliary: number;
}

/** The losses of a step, that of sparsity among them, and the features that were dead before it. */
export interface StepResult extends StepLosses {
  readonly dead: number;
}

/** Where the steps of a training are taken: test/engine/backendReference.ts holds every one to the float64 reference. */
export interface TrainingBackend {
  /** As people know it: "CPU", "WebGPU", "TensorFlow". */
  readonly device: string;
  readonly arrays: TrainingArrays;
  readonly sparsity: Sparsity;
  /** At most so many steps are taken between two whose result is known. */
  readonly readSteps: number;
  /** One step on the batch in `input` and `target`; its result where it is read, or asked for. */
  step(options: StepOptions, read: boolean): Promise<StepResult | undefined>;
  /** The candidates of `input`, by the weights as they stand, into `values` and `indices`. */
  encode(): Promise<void>;
  /** Brings the arrays, and those of the sparsity, up to date with the steps that were taken. */
  download(): Promise<void>;
  /** Has the steps go on from the arrays as they are. */
  upload(): Promise<void>;
  dispose(): Promise<void>;
}

export interface BackendRequest {
  readonly settings: TrainingSettings;
  readonly width: number; // D
}

export type OpenBackend = (request: BackendRequest) => Promise<TrainingBackend>;

/** The step of a training's settings. */
export function stepShapeOf({ settings, width }: BackendRequest): StepShape {
  const { objective, features, batch, auxiliaryK, unitDecoder, base } = settings;
  const k = candidatesOf(objective, settings.k, features);
  return {
    ...{ features, width, k, batch, auxiliaryK, unitDecoder },
    budgets: budgetsOf(objective, k, settings.budgets),
    decoderBias: base === undefined,
    separateTarget: base !== undefined,
  };
}

/** Of rows of `width`. */
export function strideOf(width: number): number {
  return Math.ceil(width / 8) * 8;
}
