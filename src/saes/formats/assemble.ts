import { basename } from 'node:path';
import type { Dictionary } from '../dictionary.ts';
import type { SaePlace } from './place.ts';

/** What a reader found; the rest is the same for every format that says nothing of it. */
export type Found = Omit<
  Dictionary,
  'name' | 'tokenPolicy' | 'model' | 'provenance' | 'centred'
> & {
  readonly name?: string;
  readonly model?: string | undefined;
  readonly provenance?: Readonly<Record<string, unknown>>;
};

/** The dictionary of what a reader found and what a person told. */
export function assemble(place: SaePlace, found: Found): Dictionary {
  const { told } = place;
  const model = told.model ?? found.model;
  const { output } = found;
  return {
    ...found,
    name: found.name ?? nameOf(place),
    hook: told.hook ?? found.hook,
    ...(output && { output: { ...output, hook: told.hookOut ?? output.hook } }),
    // A bias of zeros is none.
    decoderBias: found.decoderBias?.some(value => value !== 0) ? found.decoderBias : undefined,
    ...(told.centred && { centred: true }),
    tokenPolicy: { excludeFirst: true, maxNorm: Infinity },
    model: model === undefined ? undefined : { name: model, hash: undefined },
    provenance: found.provenance ?? {},
  };
}

/** The file's or folder's name, with the folder before where it says too little by itself. */
function nameOf({ path }: SaePlace): string {
  const parts = path.split(/[\\/]/).filter(part => part !== '');
  const own = basename(path).replace(/\.(npz|pt|pth|safetensors)$/, '');
  const before = parts.at(-2);
  const says = /[a-z].*\d|\d.*[a-z]/i.test(own) || before === undefined;
  return says ? own : `${before}/${own}`;
}
