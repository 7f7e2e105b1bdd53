import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../common/cancelled.ts';
import { Failure } from '../../common/failure.ts';
import type { Base } from '../../saes/dictionary.ts';
import { writeAtomically } from '../../weights/atomicFile.ts';
import type { ActivationSource, ActivationWindow } from './activations.ts';

/** What the activations of a store are of. */
export interface StoreDescription {
  readonly model: { readonly name: string; readonly hash: string };
  readonly hook: string;
  readonly width: number; // D
  readonly windowLength: number; // T
  /** What the targets are, where the store keeps targets: the base of a residual SAE. */
  readonly base?: Base | undefined;
}

interface StoreIndex extends StoreDescription {
  readonly format: 1;
  /** Windows whose activations are whole. */
  readonly windows: number;
}

const indexFile = 'store.json';
const tokensFile = 'tokens.u32';
const activationsFile = 'activations.f32';
const targetsFile = 'targets.f32';

/**
 * Activations kept in a folder: the tokens of all windows, little-endian uint32; the activations of the first
 * `windows` of them, little-endian float32, and likewise their targets where they have some; and an index that is
 * written after them, so that a crash loses at most the windows since the last append.
 */
export class ActivationStore implements ActivationSource {
  readonly folder: string;
  private index: StoreIndex;
  private readonly tokens: FileHandle;
  private readonly activations: FileHandle;
  private readonly targets: FileHandle | undefined;

  private constructor(
    folder: string,
    index: StoreIndex,
    files: Record<'tokens' | 'activations', FileHandle> & { targets: FileHandle | undefined },
  ) {
    this.folder = folder;
    this.index = index;
    this.tokens = files.tokens;
    this.activations = files.activations;
    this.targets = files.targets;
  }

  static async open(folder: string): Promise<ActivationStore> {
    const index = await readIndex(folder);
    const opened: FileHandle[] = [];
    const openFile = async (name: string, flags: string): Promise<FileHandle> => {
      const file = await open(join(folder, name), flags);
      opened.push(file);
      return file;
    };
    try {
      return new ActivationStore(folder, index, {
        tokens: await openFile(tokensFile, 'r'),
        activations: await openFile(activationsFile, 'r+'),
        targets: index.base && (await openFile(targetsFile, 'r+')),
      });
    } catch (error) {
      for (const file of opened) await file.close();
      throw Failure.from(error);
    }
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
    if (description.base) await writeAtomically(join(folder, targetsFile), []);
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
      throwIfCancelled(signal);
      const size = windowLength * width;
      const rows = async (file: FileHandle, name: string): Promise<Float32Array> => {
        const values = new Float32Array(size);
        await readFully(file, values, 4 * w * size, join(this.folder, name));
        return values;
      };
      windows.push({
        tokenIds: await this.readTokens(w, 1),
        activations: await rows(this.activations, activationsFile),
        ...(this.targets && { target: await rows(this.targets, targetsFile) }),
      });
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

  /** Adds the next windows. */
  async append(added: readonly ActivationWindow[]): Promise<void> {
    const { windows, windowLength, width } = this;
    const from = 4 * windows * windowLength * width;
    const activations = added.map(window => window.activations);
    await writeFully(this.activations, activations, from);
    if (this.targets) {
      const targets = added.flatMap(({ target }) => (target ? [target] : []));
      if (targets.length < added.length) {
        throw new Failure('internal', `${this.folder} keeps targets; a window came without.`);
      }
      await writeFully(this.targets, targets, from);
    }
    this.index = { ...this.index, windows: windows + added.length };
    await writeIndex(this.folder, this.index);
  }

  async close(): Promise<void> {
    await this.tokens.close();
    await this.activations.close();
    await this.targets?.close();
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

async function writeFully(
  file: FileHandle,
  arrays: readonly Float32Array[],
  from: number,
): Promise<void> {
  let at = from;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let done = 0; done < byteLength;) {
      const { bytesWritten } = await file.write(bytes, done, byteLength - done, at);
      done += bytesWritten;
      at += bytesWritten;
    }
  }
  await file.datasync();
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
