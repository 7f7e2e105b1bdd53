// Groups the batch's activations by feature (a counting sort), so that phase 2 can go feature by feature.
// @ts-nocheck: AssemblyScript, checked by asc.
import * as job from './job';
import { word } from './word';

/** Serial: fills GROUP_START, GROUP_SLOT and RANGES; counts the tokens since each feature fired. */
export function group(j: usize): void {
  const features = <u32>word(j, job.FEATURES);
  const samples = <u32>word(j, job.SAMPLES);
  const start = word(j, job.GROUP_START);
  const main = j + (job.MAIN << 2);
  const auxiliary = j + (job.AUXILIARY << 2);
  const inMain = samples * <u32>word(main, job.SLOTS);
  memory.fill(start, 0, (<usize>features + 1) << 2);
  count(main, inMain, start);
  tick(j, start, features, samples);
  count(auxiliary, samples * <u32>word(auxiliary, job.SLOTS), start);
  for (let f: u32 = 0; f < features; f++) {
    const at = start + ((<usize>f) << 2);
    store<u32>(at, load<u32>(at, 4) + load<u32>(at), 4);
  }
  const slots = word(j, job.GROUP_SLOT);
  place(main, inMain, 0, start, slots);
  place(auxiliary, samples * <u32>word(auxiliary, job.SLOTS), inMain, start, slots);
  // Each start now stands at its group's end, which is the next one's start.
  for (let f: u32 = features; f > 0; f--)
    store<u32>(start + ((<usize>f) << 2), load<u32>(start + ((<usize>(f - 1)) << 2)));
  store<u32>(start, 0);
  split(j, start, features);
}

function count(r: usize, slots: u32, start: usize): void {
  const indices = word(r, job.INDICES);
  const values = word(r, job.VALUES);
  for (let p: u32 = 0; p < slots; p++) {
    if (!(load<f32>(values + ((<usize>p) << 2)) > 0)) continue;
    const at = start + ((<usize>load<u32>(indices + ((<usize>p) << 3)) + 1) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
}

function place(r: usize, slots: u32, first: u32, start: usize, to: usize): void {
  const indices = word(r, job.INDICES);
  const values = word(r, job.VALUES);
  for (let p: u32 = 0; p < slots; p++) {
    if (!(load<f32>(values + ((<usize>p) << 2)) > 0)) continue;
    const at = start + ((<usize>load<u32>(indices + ((<usize>p) << 3))) << 2);
    const q = load<u32>(at);
    store<u32>(at, q + 1);
    store<u32>(to + ((<usize>q) << 2), first + p);
  }
}

function tick(j: usize, start: usize, features: u32, samples: u32): void {
  const since = word(j, job.SINCE_FIRED);
  for (let f: u32 = 0; f < features; f++) {
    const at = since + ((<usize>f) << 2);
    const tokens = load<u32>(at);
    const fired = load<u32>(start + ((<usize>(f + 1)) << 2));
    store<u32>(at, fired ? 0 : tokens > 0xf0000000 ? tokens : tokens + samples);
  }
}

/** Ranges of features of about equal work: a feature costs two activations for its optimiser step. */
function split(j: usize, start: usize, features: u32): void {
  const threads = <u32>word(j, job.THREADS);
  const ranges = word(j, job.RANGES);
  const work = <u64>load<u32>(start + ((<usize>features) << 2)) + 2 * <u64>features;
  let f: u32 = 0;
  for (let t: u32 = 0; t < threads; t++) {
    while (
      f < features &&
      <u64>load<u32>(start + ((<usize>f) << 2)) + 2 * <u64>f < (work * t) / threads
    )
      f++;
    store<u32>(ranges + ((<usize>t) << 2), f);
  }
  store<u32>(ranges + ((<usize>threads) << 2), features);
}
