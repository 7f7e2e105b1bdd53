import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Failure } from '../common/failure.ts';

/**
 * Writes a file so that a reader, a crash or a full disk finds either the old content or the whole new one:
 * a temporary file beside it, flushed to the disk, then renamed over it.
 */
export async function writeAtomically(
  path: string,
  parts: Iterable<ArrayBufferView>,
): Promise<void> {
  const temporary = `${path}.${process.pid.toString(36)}${Date.now().toString(36)}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await flushFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw describe(error, path);
  }
}

/** A single write may stop short (at 2 GiB on Linux, or as the disk fills up). */
async function writeAll(file: FileHandle, part: ArrayBufferView): Promise<void> {
  const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  for (let done = 0; done < bytes.length;) {
    done += (await file.write(bytes, done, Math.min(bytes.length - done, 2 ** 30))).bytesWritten;
  }
}

/** Makes the rename itself last; not every system can open a folder. */
async function flushFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {
    // Windows: renames are journalled anyway.
  }
}

function describe(error: unknown, path: string): Failure {
  const failure = Failure.from(error);
  if (failure.code === 'no-space') {
    return new Failure('no-space', `The disk is full: ${path} could not be written.`, {
      action: `Free some space on the disk of ${dirname(path)} and try again.`,
      cause: error,
    });
  }
  if (failure.code === 'not-found') {
    return new Failure(
      'not-found',
      `${basename(path)} cannot be written: there is no folder ${dirname(path)}.`,
      {
        cause: error,
      },
    );
  }
  return failure;
}
