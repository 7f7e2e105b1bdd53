// The words (32 bits each) of a job: what the trainer tells the kernel, and what the kernel tells the trainer.
// Compiled by AssemblyScript into the kernel and by TypeScript into the trainer, so that both know one layout.

// The barrier between the trainer and its threads.
export const GENERATION = 0;
export const ARRIVED = 1;
export const PHASE = 2;
export const BROKEN = 3;

// Sizes. ROW is the byte length of one row of D numbers, padded to a multiple of 32.
export const THREADS = 4;
export const FEATURES = 5;
export const SAMPLES = 6;
export const ROW = 7;

// Which chunk of the batch this is: the first starts the gradients, the last applies them.
export const FIRST = 8;
export const LAST = 9;
export const UNIT_DECODER = 10;

// AdamW constants (float32): bias corrections are folded into LEARNING_RATE and EPSILON.
export const LEARNING_RATE = 11;
export const EPSILON = 12;
export const KEEP = 13; // 1 - learning rate * weight decay
export const ONE_MINUS_BETA1 = 14;
export const ONE_MINUS_BETA2 = 15;

// Pointers: the encoder's input (samples, D), parameters and both moments of each.
export const INPUT = 16;
export const ENCODER = 17;
export const ENCODER_BIAS = 20;
export const DECODER = 23;
export const DECODER_BIAS = 26; // 0: there is none
export const FIRST_MOMENT = 1; // added to a parameter's word
export const SECOND_MOMENT = 2;

// Pointers: gradients kept between chunks (0 where the batch is one chunk).
export const ENCODER_GRADIENT = 29;
export const ENCODER_BIAS_GRADIENT = 30;
export const DECODER_GRADIENT = 31;
export const DECODER_BIAS_GRADIENT = 32; // (threads, D)

// Pointers: activations grouped by feature, feature ranges of the threads, scratch, tokens since a feature fired.
export const GROUP_START = 33; // (F + 1)
export const GROUP_SLOT = 34;
export const RANGES = 35; // (threads + 1)
export const SCRATCH = 36; // (threads, 2, D)
export const SINCE_FIRED = 37; // (F)
export const SUMS = 38; // (threads, 4) float64: loss, last prefix's squared error, auxiliary loss, unused

// Two reconstructions: the main one, and AuxK's of what the main one left over.
export const MAIN = 40;
export const AUXILIARY = 56;
// Words of a reconstruction, added to MAIN or AUXILIARY.
export const SLOTS = 0; // K, activations per sample; 0: this reconstruction is not done
export const BUDGETS = 1; // M, prefixes that count in the loss
export const BUDGET_ENDS = 2; // (M) how many activations each prefix has
export const BUDGET_OF_SLOT = 3; // (K) the first prefix that holds a slot
export const BUDGET_WEIGHTS = 4; // (M) float32
export const VALUES = 5; // (samples, K) float32, descending, 0 where nothing fires
export const INDICES = 6; // (samples, K) int64, as onnxruntime's TopK gives them
export const SLOPES = 7; // (samples, K) d loss / d pre-activation
export const TARGET = 8; // (samples, D)
export const ERRORS = 9; // (samples, M, D): error of each prefix, then its summed gradient
export const RESIDUAL = 10; // (samples, D) target - reconstruction of all K; 0: not wanted
export const GRADIENT_SCALE = 11; // float32: d loss / d (squared error of one sample) times 2

// Whether slopes are wanted of what does not fire too, as if it fired.
export const ALL_SLOPES = 12;

export const JOB_WORDS = 72;

// Values of PHASE.
export const PHASE_DECODE = 1;
export const PHASE_UPDATE = 2;
export const PHASE_END = 3;
