import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A program in the place of the probe's, in the folder; its path. */
export async function programIn(folder: string, name: string, source: string): Promise<string> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, source);
  return path;
}

export const forever = 'setInterval(() => undefined, 1000);';

/** The source of a program that answers as a probe does. */
export const told = (answer: object): string =>
  `process.send(${JSON.stringify(answer)}); ${forever}`;

export const good = { difference: 1e-6, milliseconds: 2, cpuMilliseconds: 3 };
