import type { Tensor, Variable } from './tensorflow.ts';

/** What a step is to change, all at once at its end: a step that fails in its midst has changed nothing. */
export class Changes {
  private readonly made = new Map<Variable, Tensor>();

  /** The array as the step has it by now. */
  of(variable: Variable): Tensor {
    return this.made.get(variable) ?? variable;
  }

  set(variable: Variable, value: Tensor): void {
    this.made.set(variable, value);
  }

  apply(): void {
    for (const [variable, value] of this.made) variable.assign(value);
  }
}
