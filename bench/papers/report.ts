import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { Failure } from '../../src/common/failure.ts';
import { writeAtomically } from '../../src/weights/atomicFile.ts';

const begin =
  '<!-- Written by the command: everything from here on. What stands above is kept. -->';

/** Writes a report: the title and what a person wrote below it stay, what the command wrote is replaced. */
export async function writeReport(path: string, title: string, text: string): Promise<void> {
  const old = await readFile(path, 'utf8').catch((error: unknown) => {
    if (Failure.from(error).code === 'not-found') return `# ${title}\n\n`;
    throw error;
  });
  const kept = old.split(begin)[0]?.trimEnd() ?? '';
  await writeText(path, `${kept}\n\n${begin}\n\n${text.trimEnd()}\n`);
}

export async function writeText(path: string, text: string): Promise<void> {
  await writeAtomically(path, [new TextEncoder().encode(text)]);
}

/** `2026-03-01, 2 cores (x64), CPU, Node v20.19.0` */
export function circumstances(): string {
  const date = new Date().toISOString().slice(0, 10);
  return `${date}, ${cpus().length || availableParallelism()} cores (${process.arch}), CPU, Node ${process.version}`;
}

/** The command as another person would type it: files and folders by their last names, without those that only say where. */
export function commandText(
  name: string,
  args: readonly string[],
  places: readonly string[] = [],
): string {
  const words: string[] = [];
  args.forEach((word, i) => {
    const option = args[i - 1] ?? '';
    if (places.includes(word) || places.includes(option)) return;
    words.push(word.startsWith('--') ? word : word.replace(/[^=,]*[\\/]/g, ''));
  });
  return ['npm run bench --', name, ...words].join(' ');
}
