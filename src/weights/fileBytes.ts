import { open, type FileHandle } from 'node:fs/promises';
import { Failure } from '../common/failure.ts';

/** Opens a file for reading, for as long as `use` runs; what is thrown is a Failure. */
export async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    const { code } = Failure.from(error);
    throw new Failure(code, `The file ${path} cannot be opened.`, { cause: error });
  }
  try {
    return await use(file);
  } catch (error) {
    throw Failure.from(error);
  } finally {
    await file.close();
  }
}

/** `length` bytes from `position`, which the caller has held to the file's size; one read call gives 2 GiB at most. */
export async function readBytes(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const target = allocate(length, path);
  for (let done = 0; done < length;) {
    const part = Math.min(length - done, 2 ** 30);
    const { bytesRead } = await file.read(target, done, part, position + done);
    if (bytesRead === 0) {
      throw new Failure('bad-file', `${path} ended while it was being read.`, {
        action: 'Download or export the file again.',
      });
    }
    done += bytesRead;
  }
  return target;
}

function allocate(length: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new Failure('out-of-memory', `A tensor of ${path} needs ${length} bytes of memory.`, {
      cause,
    });
  }
}
