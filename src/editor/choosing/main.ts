/** A bundle of its own (dist/choosing.cjs), loaded when the user first chooses: lists, the Hub, downloads. */
export { bringCuda, useCudaLibraries } from './bringCuda.ts';
export { chooseModel } from './chooseModel.ts';
export { chooseSae } from './chooseSae.ts';
export { useSae } from './use.ts';
