// @ts-nocheck: AssemblyScript, checked by asc.

/** One word of a job, or of one of its reconstructions. */
export function word(job: usize, field: usize): usize {
  return <usize>load<u32>(job + (field << 2));
}
