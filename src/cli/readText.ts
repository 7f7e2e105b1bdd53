import { open } from 'node:fs/promises';
import { Failure } from '../common/failure.ts';

/** The text of a UTF-8 file, byte order mark included; a failure that says why where it has none. */
export async function readText(path: string, longest: number): Promise<string> {
  const file = await open(path).catch((error: unknown) => {
    const failure = Failure.from(error);
    if (failure.code !== 'not-found') throw failure;
    throw new Failure('not-found', `There is no file ${path}.`, { cause: error });
  });
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) {
      throw new Failure('bad-file', `${path} is a folder.`, { action: 'Name one of its files.' });
    }
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (stats.size > 3 * longest) throw tooLarge(path, `${megabytes(stats.size)} MB`, longest);
    const bytes = await file.readFile();
    if (bytes.length === 0) throw new Failure('empty', `${path} is empty.`);
    const text = decode(bytes, path);
    if (text.length <= longest) return text;
    throw tooLarge(path, `${text.length.toLocaleString('en')} characters`, longest);
  } finally {
    await file.close();
  }
}

function decode(bytes: Uint8Array, path: string): string {
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new Failure('bad-file', `${path} is not a text file: byte ${zero} is 0.`, {
      action: 'Choose a text file in UTF-8.',
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Failure('bad-file', `${path} is not a text file in UTF-8.`, {
      action: 'Save it in UTF-8, or choose another file.',
      cause: error,
    });
  }
}

function tooLarge(path: string, found: string, longest: number): Failure {
  const limit = longest.toLocaleString('en');
  return new Failure(
    'too-large',
    `${path} has ${found}; at most ${limit} characters are analyzed.`,
    {
      action: 'Split the file, or analyze a part of it.',
    },
  );
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
