import { throwIfCancelled } from '../../common/cancelled.ts';
import { selectFiles, type SelectionOptions } from './corpusSelection.ts';
import type { CorpusDocument } from './extract/document.ts';
import { extract } from './extract/extract.ts';
import { skipReason } from './skippedFiles.ts';

/**
 * The documents of files and folders, in the order given; folders in the order of their names, without what
 * `selectFiles` leaves out. A file given by itself must be readable; of a folder, what is not is logged and left out.
 */
export async function* readCorpus(
  paths: readonly string[],
  signal?: AbortSignal,
  log?: (line: string) => void,
  selection: SelectionOptions = {},
): AsyncGenerator<CorpusDocument> {
  const { files } = await selectFiles(paths, { ...selection, signal });
  for (const file of files) {
    throwIfCancelled(signal);
    try {
      yield* extract(file, signal);
    } catch (error) {
      if (file.named) throw error;
      log?.(`Left out (${skipReason(error)}): ${(error as Error).message}`);
    }
  }
}
