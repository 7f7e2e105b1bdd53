/** One remote method: what goes in, what comes out, and what is reported meanwhile. */
export interface Call<In, Out, Progress = never> {
  readonly in: In;
  readonly out: Out;
  readonly progress: Progress;
}

/** A contract is an interface whose members are calls. */
export type Contract<C> = { readonly [M in keyof C]: Call<unknown, unknown, unknown> };
