import { resolve } from 'node:path';
import { formatBytes } from '../common/numbers.ts';
import type { FindResult } from '../contracts/commandLine.ts';
import type { FoundIn } from '../contracts/foundThing.ts';
import { findOnDisk } from '../hub/findOnDisk.ts';
import type { Command } from './command.ts';
import { downloadFolder } from './hubOptions.ts';

/** Where things were found, for people. */
const places: Readonly<Record<FoundIn, string>> = {
  workspace: 'In the folders named',
  downloads: 'Downloaded by Loupe',
  huggingFace: 'Hugging Face cache',
  ollama: 'Ollama',
  lmStudio: 'LM Studio',
};

/** `loupe find`: the models and SAEs on this machine. */
export const findCommand: Command = {
  name: 'find',
  usage: 'find [FOLDER]...',
  summary: 'List the models and SAEs that lie on this machine; reads names and sizes only',
  options: {},

  async run({ positionals, signal }): Promise<FindResult> {
    const folders = positionals.map(folder => resolve(folder));
    const looked = { environment: process.env, downloads: downloadFolder(), folders };
    return { found: await findOnDisk(looked, signal) };
  },

  format(result) {
    const { found } = result as FindResult;
    if (found.length === 0) return 'No model and no SAE was found.';
    return Object.entries(places)
      .flatMap(([place, title]) => {
        const here = found.filter(({ foundIn }) => foundIn === place);
        const lines = here.map(({ kind, name, bytes, path, obstacle }) => {
          const why = obstacle === undefined ? '' : `\n      ${obstacle}`;
          return `  ${kind.padEnd(5)} ${name}  ${formatBytes(bytes)}\n      ${path}${why}`;
        });
        return here.length === 0 ? [] : [`${title}:`, ...lines];
      })
      .join('\n');
  },
};
