// First: what it says of the runtime is read when the engine's modules are loaded.
import './useCudaRuntime.ts';
import { parseArgs } from 'node:util';
import { Failure } from '../common/failure.ts';
import type { FailureResult } from '../contracts/commandLine.ts';
import { activationsCommand } from './activations.ts';
import { analyzeCommand } from './analyze.ts';
import { usage } from './arguments.ts';
import { boostCommand } from './boost.ts';
import { circuitsCommand } from './circuits.ts';
import { collapseCommand } from './collapse.ts';
import type { Command } from './command.ts';
import { cudaCommand } from './cuda.ts';
import { describeCommand } from './describe.ts';
import { devicesCommand } from './devices.ts';
import { downloadCommand } from './download.ts';
import { evaluateCommand } from './evaluate.ts';
import { exportCommand } from './export.ts';
import { findCommand } from './find.ts';
import { commandHelp, help } from './help.ts';
import { limefitCommand } from './limefit.ts';
import { layerMapCommand } from './layerMap.ts';
import { saesCommand } from './saes.ts';
import { searchCommand } from './search.ts';
import { trainCommand } from './train.ts';
import { writeJson } from './writeJson.ts';

/** Every command, in the order of the help. */
const commands: readonly Command[] = [
  analyzeCommand,
  activationsCommand,
  trainCommand,
  boostCommand,
  evaluateCommand,
  describeCommand,
  exportCommand,
  limefitCommand,
  layerMapCommand,
  circuitsCommand,
  collapseCommand,
  findCommand,
  searchCommand,
  downloadCommand,
  saesCommand,
  devicesCommand,
  cudaCommand,
];

const exitCodes = { success: 0, failure: 1, usage: 2, interrupted: 130 };

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    process.stderr.write(help(commands));
    return exitCodes.usage;
  }
  const json = rest.includes('--json');
  const interrupt = new AbortController();
  // The first Ctrl-C lets the command end in order, the second does not wait for that.
  const onInterrupt = (): void => {
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);
    interrupt.abort(new Failure('cancelled', 'Interrupted.'));
  };
  process.on('SIGINT', onInterrupt);
  try {
    const asked = helpFor(name, rest);
    if (asked !== undefined) process.stdout.write(asked);
    else await run(find(name), rest, interrupt.signal);
    return exitCodes.success;
  } catch (error) {
    const failure = Failure.from(error);
    await print(failure, json);
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    return failure.code === 'usage' ? exitCodes.usage : exitCodes.failure;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** The help that the arguments ask for, if they do. */
function helpFor(name: string, rest: readonly string[]): string | undefined {
  const asks = (argument: string | undefined): boolean =>
    argument === '--help' || argument === '-h';
  if (asks(name) || name === 'help') {
    return rest[0] === undefined ? help(commands) : commandHelp(find(rest[0]));
  }
  return rest.some(asks) ? commandHelp(find(name)) : undefined;
}

function find(name: string): Command {
  const command = commands.find(candidate => candidate.name === name);
  if (command) return command;
  const known = commands.map(candidate => candidate.name).join(', ');
  throw usage(`There is no command '${name}'; there are ${known}.`);
}

async function run(command: Command, args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parse(command, args);
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const result = await command.run({ values, positionals, signal, log });
  if (values.json) await writeJson(result, process.stdout);
  else process.stdout.write(`${command.format(result).trimEnd()}\n`);
}

function parse({ name, options }: Command, args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { ...options, json: { type: 'boolean' } },
      allowPositionals: true,
    });
  } catch (error) {
    const [sentence = ''] = Failure.from(error).message.split('. ');
    throw new Failure('usage', sentence, { action: `See \`loupe help ${name}\`.`, cause: error });
  }
}

async function print({ code, message, action }: Failure, json: boolean): Promise<void> {
  if (json) {
    const result: FailureResult = { error: { code, message, ...(action && { action }) } };
    await writeJson(result, process.stdout);
  } else {
    process.stderr.write(`loupe: ${message}\n${action === undefined ? '' : `${action}\n`}`);
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads has read enough (`loupe ... | head`).
  process.exit(error.code === 'EPIPE' ? exitCodes.success : exitCodes.failure);
});
process.exitCode = await main(process.argv.slice(2));
