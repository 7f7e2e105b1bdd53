import type { ParseArgsConfig } from 'node:util';

/** One `loupe` command: its options (node:util parseArgs), and what it does. One file each; main.ts lists them. */
export interface Command {
  readonly name: string;
  /** One line, without the program's name: `evaluate --sae S --text PATH...`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** Resolves to the JSON document of design section 9; rejects with a Failure. */
  run(input: CommandInput): Promise<object>;
  /** The same result for people, printed where `--json` is not given. */
  format(result: object): string;
}

export type OptionValue = string | boolean | readonly (string | boolean)[] | undefined;

export interface CommandInput {
  readonly values: Readonly<Record<string, OptionValue>>;
  readonly positionals: readonly string[];
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Prints a line to stderr. */
  log(line: string): void;
}
