import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import * as xz from 'xz-decompress';
import { Failure } from '../../common/failure.ts';
import { UnusableFile } from './skippedFiles.ts';

// Node shows a CommonJS package's exports under `default`, a bundle shows them by their names.
const { XzReadableStream } = 'default' in xz ? (xz.default as typeof xz) : xz;

/** Longest plain text file, bytes: longer ones are for JSONL, which is read line by line. */
export const longestFile = 2 ** 28;
/** Bytes in which a zero tells that a file is not text. */
const sniffedBytes = 8192;

/** The names of compressed files and of PDF files tell; of others, the first bytes do. */
export async function looksLikeText(path: string): Promise<boolean> {
  if (compression(path)) return /\.(jsonl|txt|md)\.(gz|xz)$/.test(path);
  if (/\.pdf$/i.test(path)) return true;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(sniffedBytes), 0, sniffedBytes, 0);
    const start = buffer.subarray(0, bytesRead);
    return bytesRead > 0 && (wideEncoding(start) !== undefined || !start.includes(0));
  } finally {
    await file.close();
  }
}

/** The lines of a file, unpacked, without their ends. */
export async function* readLines(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  try {
    for await (const part of byteStream(path) as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > longestFile) throw tooLong(path);
      yield* lines;
    }
    rest += decoder.decode();
  } catch (error) {
    throw error instanceof Failure ? error : unreadable(path, error);
  }
  if (rest !== '') yield rest;
}

/** The bytes of a compressed file. */
export async function unpack(path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of byteStream(path) as AsyncIterable<Uint8Array>) {
      length += part.length;
      if (length > longestFile) throw tooLong(path);
      parts.push(part);
    }
  } catch (error) {
    throw error instanceof Failure ? error : unreadable(path, error);
  }
  return Buffer.concat(parts);
}

/** The bytes of a file, unpacked. */
function byteStream(path: string): Readable {
  const file = createReadStream(path);
  switch (compression(path)) {
    case 'gz': {
      const unzipped = createGunzip();
      file.on('error', error => unzipped.destroy(error));
      return file.pipe(unzipped);
    }
    case 'xz':
      return Readable.fromWeb(new XzReadableStream(Readable.toWeb(file) as never));
    case undefined:
      return file;
  }
}

/** How a file is packed, by its name. */
export function compression(path: string): 'gz' | 'xz' | undefined {
  if (path.endsWith('.gz')) return 'gz';
  return path.endsWith('.xz') ? 'xz' : undefined;
}

/** The text of UTF-8, or of UTF-16 with a byte order mark; the mark is taken off. */
export function decode(bytes: Uint8Array, path: string): string {
  const wide = wideEncoding(bytes);
  if (wide === undefined && bytes.subarray(0, sniffedBytes).includes(0)) {
    throw new UnusableFile('not text', `${path} is not text: it contains zero bytes.`, {
      action: 'Leave it out.',
    });
  }
  try {
    return new TextDecoder(wide ?? 'utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badEncoding(path, cause);
  }
}

/** The encoding that a byte order mark of UTF-16 tells. */
function wideEncoding([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined;
}

export function tooLong(path: string, limit = longestFile): UnusableFile {
  return new UnusableFile('too large', `${path} holds more than ${limit / 2 ** 20} MiB of text.`, {
    code: 'too-large',
    action: 'Split it, or give it as JSONL with one document a line.',
  });
}

function badEncoding(path: string, cause: unknown): UnusableFile {
  return new UnusableFile('bad encoding', `${path} is not UTF-8 text.`, {
    action: 'Leave it out, or convert it to UTF-8.',
    cause,
  });
}

function unreadable(path: string, error: unknown): Failure {
  const failure = Failure.from(error);
  if (failure.code === 'not-found') return failure;
  if (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
  )
    return badEncoding(path, error);
  return new UnusableFile('unreadable', `${path} could not be read: ${failure.message}`, {
    cause: error,
  });
}
