/** A model's family as its name tells it, and its major version where the name has one. */
export interface ModelFamily {
  readonly family: string;
  readonly version: string | undefined;
}

/** Families whose models are of the same widths as others': Pythia-160M is as wide and deep as GPT-2. */
const families: readonly (readonly [family: string, name: RegExp])[] = [
  ['smollm', /smollm/],
  ['gpt2', /gpt[-_ ]?2/],
  ['pythia', /pythia/],
  ['gpt-neo', /gpt[-_ ]?neo(?!x)/],
  ['gpt-j', /gpt[-_ ]?j\b/],
  ['tinystories', /tiny[-_ ]?stories/],
  ['olmo', /olmo/],
  ['mistral', /mistral/],
  ['qwen', /qwen/],
  ['gemma', /gemma/],
  ['phi', /\bphi[-_ ]?\d/],
  ['llama', /llama/],
];

/** Undefined where the name tells of no family that is known, or of several. */
export function modelFamily(name: string): ModelFamily | undefined {
  const lower = name.toLowerCase().split('/').at(-1) ?? '';
  const found = families.filter(([, pattern]) => pattern.test(lower));
  const [family] = found[0] ?? [];
  if (family === undefined || found.length > 1) return undefined;
  // A number that is no size: gemma-2b is not Gemma 2.
  const version = new RegExp(`${family}[-_ ]?v?(\\d)(?!\\d*\\.?\\d*[bm]\\b)`).exec(lower)?.[1];
  return { family, version };
}

/** Whether two names are certainly of different models. */
export function differInFamily(a: string, b: string): boolean {
  const [first, second] = [modelFamily(a), modelFamily(b)];
  if (!first || !second) return false;
  if (first.family !== second.family) return true;
  const { version } = first;
  return version !== undefined && second.version !== undefined && version !== second.version;
}
