import { Failure } from '../common/failure.ts';
import { isRecord } from '../common/record.ts';

/** The element types of a safetensors file that Loupe reads and writes. */
export type Dtype = keyof typeof elementSize;

/** Bytes per element; in the order in which the reference implementation lays tensors out (largest first). */
export const elementSize = {
  I64: 8,
  F64: 8,
  F32: 4,
  U32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  U16: 2,
  I16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** Where one tensor lies in its file. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own limit on the header. */
export const maxHeaderLength = 100_000_000;

/**
 * Reads the JSON of a safetensors header and holds it to the format: known types, whole shapes, no name twice, and
 * tensors that cover the rest of the file without gap or overlap. `fileSize` in bytes; `file` names it in failures.
 */
export function parseHeader(json: string, fileSize: number, file: string): SafetensorsHeader {
  const bad = (what: string) => badFile(file, what);
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch (cause) {
    throw bad(`its header is not JSON (${cause instanceof Error ? cause.message : 'unreadable'})`);
  }
  if (!isRecord(header)) throw bad('its header is not a JSON object');
  const twice = duplicateKey(json);
  if (twice !== undefined) throw bad(`its header has the key ${quote(twice)} twice`);

  const dataStart = 8 + Buffer.byteLength(json, 'utf8');
  const tensors = new Map<string, TensorEntry>();
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') tensors.set(name, parseEntry(value, name, dataStart, bad));
    else if (!isRecord(value)) throw bad('its __metadata__ is not a JSON object');
    else for (const pair of Object.entries(value)) metadata.set(pair[0], asText(pair, bad));
  }
  checkCoverage(tensors, dataStart, fileSize, bad);
  return { tensors, metadata };
}

/** The `bad-file` failure of a safetensors file. */
export function badFile(file: string, what: string): Failure {
  return new Failure('bad-file', `${file} is not a readable safetensors file: ${what}.`, {
    action: 'Download or export the file again.',
  });
}

type Bad = (what: string) => Failure;

function parseEntry(value: unknown, name: string, dataStart: number, bad: Bad): TensorEntry {
  const of = `tensor ${quote(name)}`;
  if (!isRecord(value)) throw bad(`${of} is described by ${typeof value}, not by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    throw new Failure(
      'unsupported',
      `A safetensors file has ${of} of type ${quote(dtype)}; ${known}.`,
    );
  }
  if (!isSizes(shape)) throw bad(`${of} has the shape ${quote(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2)
    throw bad(`${of} has the offsets ${quote(offsets)}`);
  const [from = 0, to = 0] = offsets;
  const expected = shape.reduce((product, size) => product * size, elementSize[dtype]);
  if (to - from !== expected) {
    const found = `${String(to - from)} bytes`;
    throw bad(
      `${of}, ${dtype} [${shape.join(', ')}], needs ${String(expected)} bytes and has ${found}`,
    );
  }
  return { dtype, shape, start: dataStart + from, end: dataStart + to };
}

const known = `Loupe reads ${Object.keys(elementSize).join(', ')}`;

function checkCoverage(
  tensors: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  fileSize: number,
  bad: Bad,
): void {
  let end = dataStart;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  for (const [name, entry] of inOrder) {
    if (entry.start < end) throw bad(`tensor ${quote(name)} overlaps the one before it`);
    if (entry.start > end) throw bad(`there is a gap before tensor ${quote(name)}`);
    end = entry.end;
  }
  if (end !== fileSize) {
    throw bad(`its header describes ${String(end)} bytes, the file has ${String(fileSize)}`);
  }
}

function asText([key, value]: [string, unknown], bad: Bad): string {
  if (typeof value !== 'string') throw bad(`its __metadata__ entry ${quote(key)} is not text`);
  return value;
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(elementSize, value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(size => Number.isSafeInteger(size) && size >= 0);
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  return (text ?? 'nothing').slice(0, 120);
}

/** The first key that an object of valid JSON has twice; JSON.parse would silently keep the last. */
function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    else if (character === '"') {
      const end = endOfString(json, i);
      if (isKey(json, end)) {
        const key = JSON.parse(json.slice(i, end)) as string;
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      i = end - 1;
    }
  }
  return undefined;
}

function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (i < json.length && json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i + 1;
}

function isKey(json: string, end: number): boolean {
  let i = end;
  while (json[i] === ' ' || json[i] === '\n' || json[i] === '\r' || json[i] === '\t') i++;
  return json[i] === ':';
}
