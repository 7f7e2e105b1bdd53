// The training step of a sparse autoencoder, all but the encoder's product. Threads share one memory and call `share`
// for each of the two phases; the trainer keeps them in step. Every sum has a fixed order, so that a step is repeatable
// bit for bit at a fixed number of threads. (The barriers are JavaScript's: the baseline compiler of V8 11.3 loses
// local variables across memory.atomic.wait32.)
// @ts-nocheck: AssemblyScript, checked by asc.
import { decode } from './decode';
import * as job from './job';
import { update } from './update';
import { word } from './word';

export { group } from './group';
export { updateDecoderBias } from './update';

/** One thread's part of the phase that the job names. */
export function share(j: usize, thread: u32): void {
  if (word(j, job.PHASE) == job.PHASE_DECODE) decode(j, thread);
  else update(j, thread);
}
