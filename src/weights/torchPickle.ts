import { Failure } from '../common/failure.ts';
import type { ElementKind } from './elements.ts';
import { badPickle, PickleCursor } from './pickleCursor.ts';

/** A tensor as a pickle describes it: a strided view of a storage, which is another file of the archive. */
export class PickledTensor {
  readonly storage: PickledStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: PickledStorage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export interface PickledStorage {
  readonly key: string;
  readonly kind: ElementKind;
  /** Elements. */
  readonly length: number;
}

/** What a pickle of a state dict is made of. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickledTensor
  | readonly PickleValue[]
  | ReadonlyMap<string, PickleValue>;

const storageKinds: Readonly<Record<string, ElementKind>> = {
  FloatStorage: 'f4',
  DoubleStorage: 'f8',
  HalfStorage: 'f2',
  BFloat16Storage: 'bf2',
  LongStorage: 'i8',
  IntStorage: 'i4',
  ShortStorage: 'i2',
  CharStorage: 'i1',
  ByteStorage: 'u1',
  BoolStorage: 'b1',
};

/** Globals whose call gives a value here; nothing is ever looked up or run. */
const functions = [
  'collections.OrderedDict',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
  'torch.Size',
] as const;
type FunctionName = (typeof functions)[number];

/** Values that name a type and are only passed on. */
const dtypes =
  /^torch\.(float16|float32|float64|bfloat16|half|double|float|u?int(8|16|32|64)|bool)$/;

/** A name that the pickle asks for, of those on the list. */
class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

class Storage {
  readonly storage: PickledStorage;

  constructor(storage: PickledStorage) {
    this.storage = storage;
  }
}

/** Under construction: lists and dictionaries grow by later opcodes. */
type Item = PickleValue | Global | Storage | Item[] | Map<string, Item> | typeof mark;
const mark = Symbol('mark');

/** Most items on the stack and in the memo: a state dict needs a few dozen per tensor. */
const maxItems = 1_000_000;

/**
 * Reads the pickle (protocols 2 to 5) of a state dict: containers, numbers, text and tensors. It is a small machine with
 * only the opcodes and the names that such files need; any other name is an `unsupported` failure that says it.
 */
export function readTorchPickle(bytes: Uint8Array<ArrayBuffer>, path: string): PickleValue {
  const machine = new PickleMachine(new PickleCursor(bytes, path));
  return machine.run();
}

class PickleMachine {
  private readonly cursor: PickleCursor;
  private readonly stack: Item[] = [];
  private readonly memo = new Map<number, Item>();

  constructor(cursor: PickleCursor) {
    this.cursor = cursor;
  }

  run(): PickleValue {
    for (;;) {
      const opcode = this.cursor.uint8();
      if (opcode === 0x2e) return asValue(this.pop()) ?? this.refuse('it holds no values');
      const step = steps[opcode];
      if (!step) {
        throw new Failure(
          'unsupported',
          `${this.cursor.path} has the pickle opcode 0x${opcode.toString(16)}; Loupe reads state dicts of tensors only.`,
        );
      }
      step(this, this.cursor);
      if (this.stack.length > maxItems) this.refuse('it has too many values');
    }
  }

  push(item: Item): void {
    this.stack.push(item);
  }

  pop(): Item {
    const item = this.stack.pop();
    return item === undefined ? this.refuse('its stack is empty') : item;
  }

  top(): Item {
    return this.stack.at(-1) ?? this.refuse('its stack is empty');
  }

  /** The items above the last mark. */
  popMark(): Item[] {
    const at = this.stack.lastIndexOf(mark);
    if (at < 0) this.refuse('it has no mark');
    const items = this.stack.splice(at + 1);
    this.stack.pop();
    return items;
  }

  popMany(count: number): Item[] {
    if (this.stack.length < count) this.refuse('its stack is empty');
    return this.stack.splice(this.stack.length - count);
  }

  keep(index: number): void {
    if (this.memo.size > maxItems) this.refuse('it has too many values');
    this.memo.set(index, this.top());
  }

  keepNext(): void {
    this.keep(this.memo.size);
  }

  recall(index: number): void {
    const item = this.memo.get(index);
    this.push(item === undefined ? this.refuse(`it recalls ${index}, which it never kept`) : item);
  }

  global(module: string, name: string): void {
    const full = `${module}.${name}`;
    const isKnown =
      functions.some(known => known === full) ||
      dtypes.test(full) ||
      (module === 'torch' && Object.hasOwn(storageKinds, name));
    if (isKnown) {
      this.push(new Global(full));
      return;
    }
    throw new Failure(
      'unsupported',
      `${this.cursor.path} asks for the Python object ${full.slice(0, 120)}; Loupe reads state dicts of tensors only and runs nothing from a file.`,
      { action: 'Save the state dict by itself: torch.save(model.state_dict(), path).' },
    );
  }

  /** Name and module from the stack (protocol 4). */
  stackGlobal(): void {
    const [module, name] = this.popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') this.refuse('a name is no text');
    this.global(module, name);
  }

  setItems(items: readonly Item[]): void {
    const map = this.top();
    if (!(map instanceof Map)) return this.refuse('it sets an item of what is no dictionary');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string' && typeof key !== 'number') this.refuse('a key is no text');
      map.set(String(key), items[i + 1] ?? null);
    }
  }

  append(items: readonly Item[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return this.refuse('it appends to what is no list');
    for (const item of items) list.push(item);
  }

  /** Attributes of the object below: of an OrderedDict they are torch's versions of modules, which say nothing. */
  build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) this.refuse('it has an object with attributes');
  }

  persistent(): void {
    const id = this.pop();
    const [kind, type, key, , length] = Array.isArray(id) ? id : [];
    const name = type instanceof Global ? type.name.replace('torch.', '') : '';
    const element = Object.hasOwn(storageKinds, name) ? storageKinds[name] : undefined;
    if (kind !== 'storage' || typeof key !== 'string' || !isCount(length) || !element) {
      return this.refuse('it has a storage that cannot be read');
    }
    this.push(new Storage({ key, kind: element, length }));
  }

  reduce(): void {
    const [called, given] = this.popMany(2);
    if (!(called instanceof Global) || !Array.isArray(given)) {
      return this.refuse('it calls what is no name');
    }
    const call = Object.hasOwn(calls, called.name) ? calls[called.name as FunctionName] : undefined;
    this.push(call?.(given) ?? this.refuse(`${called.name} has arguments that cannot be read`));
  }

  refuse(what: string): never {
    throw badPickle(this.cursor.path, what);
  }
}

/** What the allowed functions make of their arguments; undefined: cannot be read. */
const calls: Readonly<Record<FunctionName, (given: readonly Item[]) => Item | undefined>> = {
  'collections.OrderedDict': given => (given.length === 0 ? new Map<string, Item>() : undefined),
  'torch._utils._rebuild_parameter': ([tensor]) =>
    tensor instanceof PickledTensor ? tensor : undefined,
  'torch.Size': ([sizes]) => (isSizes(sizes) ? [...sizes] : undefined),
  'torch._utils._rebuild_tensor_v2': ([storage, offset, shape, strides]) => {
    if (!(storage instanceof Storage) || !isCount(offset)) return undefined;
    if (!isSizes(shape) || !isSizes(strides) || shape.length !== strides.length) return undefined;
    const count = shape.reduce((product, size) => product * size, 1);
    const reach = shape.reduce((sum, size, i) => sum + (size - 1) * (strides[i] ?? 0), 0);
    const { length } = storage.storage;
    // An expanded view could claim more elements than there are.
    if (count > length || (count > 0 && offset + reach >= length)) return undefined;
    return new PickledTensor(storage.storage, offset, shape, strides);
  },
};

function isCount(item: Item | undefined): item is number {
  return typeof item === 'number' && Number.isSafeInteger(item) && item >= 0;
}

function isSizes(item: Item | undefined): item is number[] {
  return Array.isArray(item) && item.length <= 8 && item.every(size => isCount(size));
}

/** The finished value; undefined where it is still a name or a storage. Its parts are looked at by their readers. */
function asValue(item: Item): PickleValue | undefined {
  if (item instanceof Global || item instanceof Storage || typeof item === 'symbol') {
    return undefined;
  }
  return item as PickleValue;
}

type Step = (machine: PickleMachine, cursor: PickleCursor) => void;

/** By opcode (Python's `pickletools`). */
const steps: Readonly<Record<number, Step | undefined>> = {
  0x80: (_, cursor) => void cursor.uint8(), // PROTO
  0x95: (_, cursor) => void cursor.length64(), // FRAME
  0x28: machine => machine.push(mark),
  0x30: machine => void machine.pop(), // POP
  0x31: machine => void machine.popMark(), // POP_MARK
  0x4e: machine => machine.push(null),
  0x88: machine => machine.push(true),
  0x89: machine => machine.push(false),
  0x4a: (machine, cursor) => machine.push(cursor.int32()),
  0x4b: (machine, cursor) => machine.push(cursor.uint8()),
  0x4d: (machine, cursor) => machine.push(cursor.uint16()),
  0x8a: (machine, cursor) => machine.push(cursor.long(cursor.uint8())),
  0x47: (machine, cursor) => machine.push(cursor.float64()),
  0x58: (machine, cursor) => machine.push(cursor.text(cursor.uint32())),
  0x8c: (machine, cursor) => machine.push(cursor.text(cursor.uint8())),
  0x8d: (machine, cursor) => machine.push(cursor.text(cursor.length64())),
  0x7d: machine => machine.push(new Map<string, Item>()),
  0x5d: machine => machine.push([]),
  0x29: machine => machine.push([]), // a tuple
  0x74: machine => machine.push(machine.popMark()),
  0x85: machine => machine.push(machine.popMany(1)),
  0x86: machine => machine.push(machine.popMany(2)),
  0x87: machine => machine.push(machine.popMany(3)),
  0x71: (machine, cursor) => machine.keep(cursor.uint8()),
  0x72: (machine, cursor) => machine.keep(cursor.uint32()),
  0x94: machine => machine.keepNext(),
  0x68: (machine, cursor) => machine.recall(cursor.uint8()),
  0x6a: (machine, cursor) => machine.recall(cursor.uint32()),
  0x63: (machine, cursor) => machine.global(cursor.line(), cursor.line()),
  0x93: machine => machine.stackGlobal(),
  0x52: machine => machine.reduce(),
  0x62: machine => machine.build(),
  0x51: machine => machine.persistent(),
  0x73: machine => machine.setItems(machine.popMany(2)),
  0x75: machine => machine.setItems(machine.popMark()),
  0x61: machine => machine.append(machine.popMany(1)),
  0x65: machine => machine.append(machine.popMark()),
};
