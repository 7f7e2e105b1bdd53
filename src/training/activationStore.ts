import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../common/failure.ts';
import { writeAtomically } from '../weights/atomicFile.ts';
import type { ActivationSource, ActivationWindow } from './activations.ts';

/** What the activations of a store are of. */
export interface StoreDescription {
  readonly model: { readonly name: string; readonly hash: string };
  readonly hook: string;
  readonly width: number; // D
  readonly windowLength: number; // T
}

interface StoreIndex extends StoreDescription {
  readonly format: 1;
  /** Windows whose activations are whole. */
  readonly windows: number;
}

const indexFile = 'store.json';
const tokensFile = 'tokens.u32';
const activationsFile = 'activations.f32';

/**
 * Activations kept in a folder: the tokens of all windows, little-endian uint32; the activations of the first
 * `windows` of them, little-endian float32; and an index that is written after them, so that a crash loses at most
 * the windows since the last append.
 */
export class ActivationStore implements ActivationSource {
  readonly folder: string;
  private index: StoreIndex;
  private readonly tokens: FileHandle;
  private readonly activations: FileHandle;

  private constructor(
    folder: string,
    index: StoreIndex,
    tokens: FileHandle,
    activations: FileHandle,
  ) {
    this.folder = folder;
    this.index = index;
    this.tokens = tokens;
    this.activations = activations;
  }

  static async open(folder: string): Promise<ActivationStore> {
    const index = await readIndex(folder);
    return new ActivationStore(
      folder,
      index,
      await open(join(folder, tokensFile), 'r'),
      await open(join(folder, activationsFile), 'r+'),
    );
  }

  /** A new store for these tokens, whole windows, without activations yet. */
  static async create(
    folder: string,
    description: StoreDescription,
    tokenIds: Uint32Array,
  ): Promise<ActivationStore> {
    await mkdir(folder, { recursive: true });
    await writeAtomically(join(folder, tokensFile), [tokenIds]);
    await writeAtomically(join(folder, activationsFile), []);
    await writeIndex(folder, { format: 1, ...description, windows: 0 });
    return ActivationStore.open(folder);
  }

  get description(): StoreDescription {
    return this.index;
  }

  get width(): number {
    return this.index.width;
  }

  get windowLength(): number {
    return this.index.windowLength;
  }

  get windows(): number {
    return this.index.windows;
  }

  /** Another process may have appended. */
  async refresh(): Promise<void> {
    this.index = await readIndex(this.folder);
  }

  async read(
    first: number,
    count: number,
    signal?: AbortSignal,
  ): Promise<readonly ActivationWindow[]> {
    if (first < 0 || first + count > this.windows) {
      throw new Failure(
        'internal',
        `${this.folder} has ${this.windows} windows; ${first} to ${first + count} were asked for.`,
      );
    }
    const { windowLength, width } = this;
    const windows: ActivationWindow[] = [];
    for (let w = first; w < first + count; w++) {
      signal?.throwIfAborted();
      const activations = new Float32Array(windowLength * width);
      await readFully(
        this.activations,
        activations,
        4 * w * activations.length,
        join(this.folder, activationsFile),
      );
      windows.push({ tokenIds: await this.readTokens(w, 1), activations });
    }
    return windows;
  }

  /** Token ids of windows, whether or not their activations are there. */
  async readTokens(first: number, count: number): Promise<Uint32Array> {
    const ids = new Uint32Array(count * this.windowLength);
    await readFully(this.tokens, ids, 4 * first * this.windowLength, join(this.folder, tokensFile));
    return ids;
  }

  /** Windows that the tokens give, with or without activations. */
  async plannedWindows(): Promise<number> {
    const { size } = await this.tokens.stat();
    return Math.floor(size / (4 * this.windowLength));
  }

  /** Adds the activations of the next windows. */
  async append(activations: Float32Array): Promise<void> {
    const { windows, windowLength, width } = this;
    const size = windowLength * width;
    const bytes = new Uint8Array(
      activations.buffer,
      activations.byteOffset,
      activations.byteLength,
    );
    for (let done = 0; done < bytes.length;) {
      const at = 4 * windows * size + done;
      done += (await this.activations.write(bytes, done, bytes.length - done, at)).bytesWritten;
    }
    await this.activations.datasync();
    this.index = { ...this.index, windows: windows + activations.length / size };
    await writeIndex(this.folder, this.index);
  }

  async close(): Promise<void> {
    await this.tokens.close();
    await this.activations.close();
  }
}

async function writeIndex(folder: string, index: StoreIndex): Promise<void> {
  const json = `${JSON.stringify(index, null, 2)}\n`;
  await writeAtomically(join(folder, indexFile), [new TextEncoder().encode(json)]);
}

async function readIndex(folder: string): Promise<StoreIndex> {
  const path = join(folder, indexFile);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw badIndex(path, 'is not JSON', cause);
    throw Failure.from(cause);
  }
  if (!isIndex(value)) throw badIndex(path, 'does not describe a store of activations');
  return value;
}

function badIndex(path: string, what: string, cause?: unknown): Failure {
  return new Failure('bad-file', `${path} ${what}.`, {
    action: 'Delete the folder and run the command again.',
    cause,
  });
}

function isIndex(value: unknown): value is StoreIndex {
  if (typeof value !== 'object' || value === null) return false;
  const { format, model, hook, width, windowLength, windows } = value as Partial<
    Record<string, unknown>
  >;
  const whole = [width, windowLength, windows].every(
    n => Number.isSafeInteger(n) && Number(n) >= 0,
  );
  return (
    format === 1 &&
    whole &&
    Number(width) > 0 &&
    Number(windowLength) > 0 &&
    typeof hook === 'string' &&
    typeof model === 'object' &&
    model !== null
  );
}

async function readFully(
  file: FileHandle,
  into: Float32Array | Uint32Array,
  at: number,
  path: string,
): Promise<void> {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0) {
      throw new Failure('bad-file', `${path} ends at byte ${at + done}; its index promises more.`, {
        action: 'Delete the folder and run the command again.',
      });
    }
    done += bytesRead;
  }
}
