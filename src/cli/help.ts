import type { Command } from './command.ts';

/** What `loupe help` prints. */
export function help(commands: readonly Command[]): string {
  const longest = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(longest)}  ${summary}`);
  return [
    'Loupe: what a language model and its sparse autoencoders see in a text.',
    '',
    'Usage: loupe COMMAND ... [--json]',
    '',
    ...lines,
    '',
    '--json prints one JSON document. Exit status: 0 success, 1 failure, 2 wrong usage.',
    'More on one command: loupe help COMMAND',
    '',
  ].join('\n');
}

/** What `loupe help COMMAND` prints. */
export function commandHelp({ usage, summary, options }: Command): string {
  const names = Object.entries(options).map(([name, { type, multiple }]) => {
    const value = type === 'boolean' ? '' : ' VALUE';
    return `  --${name}${value}${multiple ? ' ...' : ''}`;
  });
  return [
    `Usage: loupe ${usage} [--json]`,
    '',
    summary,
    '',
    'Options:',
    ...names,
    '  --json',
    '',
  ].join('\n');
}
