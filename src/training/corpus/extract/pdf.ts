import { readFile, stat } from 'node:fs/promises';
import { throwIfCancelled } from '../../../common/cancelled.ts';
import { tooLong } from '../corpusFiles.ts';
import { UnusableFile } from '../skippedFiles.ts';
import type { CorpusDocument } from './document.ts';

const largestPdf = 2 ** 26; // bytes

/** The text of all pages; pictures of text have none. */
export async function* extractPdf(
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<CorpusDocument> {
  if ((await stat(path)).size > largestPdf) throw tooLong(path, largestPdf);
  const text = await pdfText(await readFile(path), path, signal);
  yield { text, source: path, path, verbatim: false, start: 0 };
}

async function pdfText(bytes: Uint8Array, path: string, signal?: AbortSignal): Promise<string> {
  // Large, and a file of its own in what ships: loaded when the first PDF is met.
  const { getDocumentProxy } = await import('unpdf');
  // A copy, for the library takes the memory over; silent, for stdout may be JSON.
  const pdf = await getDocumentProxy(new Uint8Array(bytes), {
    verbosity: 0,
  }).catch((error: unknown) => {
    throw unusable(path, error);
  });
  try {
    const pages: string[] = [];
    for (let number = 1; number <= pdf.numPages; number++) {
      throwIfCancelled(signal);
      const page = await pdf.getPage(number);
      const { items } = await page.getTextContent();
      pages.push(
        items
          .map(item => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : ''))
          .join('')
          .trim(),
      );
      page.cleanup();
    }
    return joinLines(pages.join('\n\n'));
  } catch (error) {
    throwIfCancelled(signal);
    throw unusable(path, error);
  } finally {
    await pdf.loadingTask.destroy();
  }
}

/** Words that a hyphen broke over two lines are whole again; characters that are no text are dropped. */
function joinLines(text: string): string {
  return text
    .replace(/(\p{L})[-\u00AD]\n(?=\p{Ll})/gu, '$1')
    .replace(/[\0-\x08\x0B\x0C\x0E-\x1F]/g, '')
    .trim();
}

function unusable(path: string, cause: unknown): UnusableFile {
  if (cause instanceof Error && cause.name === 'PasswordException') {
    return new UnusableFile('encrypted', `${path} is protected by a password.`, {
      action: 'Leave it out, or save it without the password.',
      cause,
    });
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return new UnusableFile('unreadable', `${path} could not be read as PDF: ${message}`, { cause });
}
