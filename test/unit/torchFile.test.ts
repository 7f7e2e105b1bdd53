import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { Failure } from '../../src/common/failure.ts';
import { NpzFile } from '../../src/weights/npz.ts';
import { TorchFile } from '../../src/weights/torchFile.ts';
import { readTorchPickle } from '../../src/weights/torchPickle.ts';
import { ZipFile } from '../../src/weights/zipFile.ts';
import { storedZip } from '../fixtures/storedZip.ts';

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'loupe-torch-'));
});
after(async () => rm(root, { recursive: true, force: true }));

function failure(code: string, ...parts: (string | RegExp)[]) {
  return (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code, error.message);
    for (const part of parts) assert.match(error.message, new RegExp(part));
    return true;
  };
}

const bytes = (...parts: (string | number | readonly number[])[]) =>
  Uint8Array.from(
    parts.flatMap(part => {
      if (typeof part === 'string') return [...Buffer.from(part, 'latin1')];
      return typeof part === 'number' ? [part] : part;
    }),
  );
const short = (text: string) => [0x8c, text.length, ...Buffer.from(text)];
/** A tensor's pickle: storage "0" of `length` elements, the view's offset, shape and strides. */
const tensor = (
  length: number,
  offset: number,
  shape: number[],
  strides: number[],
  kind = 'FloatStorage',
) => [
  ...bytes('ctorch._utils\n_rebuild_tensor_v2\n('),
  ...bytes('(', short('storage'), `ctorch\n${kind}\n`, short('0'), short('cpu')),
  ...bytes('K', length, 'tQ', 'K', offset),
  ...bytes('(', ...shape.map(size => [0x4b, size]), 't', '(', ...strides.map(s => [0x4b, s]), 't'),
  ...bytes(0x89, 'ccollections\nOrderedDict\n)R', 'tR'),
];
const dict = (...items: (readonly number[])[]) => bytes(0x80, 2, '}(', ...items, 'u.');

async function torch(pickle: Uint8Array, storage: ArrayBufferView): Promise<string> {
  const path = join(root, 'a.pt');
  const entries = new Map([
    ['archive/data.pkl', pickle],
    ['archive/data/0', new Uint8Array(storage.buffer, storage.byteOffset, storage.byteLength)],
  ]);
  await writeFile(path, storedZip(entries));
  return path;
}

describe('a pickle', () => {
  it('that asks for what runs something is refused by its name, and nothing runs', () => {
    const asks: readonly (readonly [string, Uint8Array<ArrayBuffer>])[] = [
      ['posix.system', bytes(0x80, 2, 'cposix\nsystem\n', short('ls'), 0x85, 'R.')],
      [
        'builtins.eval',
        bytes(0x80, 4, short('builtins'), short('eval'), 0x93, short('1'), 0x85, 'R.'),
      ],
      ['torch.load', bytes(0x80, 2, 'ctorch\nload\n.')],
      ['torch.constructor', bytes(0x80, 2, 'ctorch\nconstructor\n.')],
      ['torch._utils._rebuild_tensor_v3', bytes('ctorch._utils\n_rebuild_tensor_v3\n.')],
      ['numpy.core.multiarray._reconstruct', bytes('cnumpy.core.multiarray\n_reconstruct\n.')],
    ];
    for (const [name, pickle] of asks) {
      assert.throws(() => readTorchPickle(pickle, 'x.pt'), failure('unsupported', name));
    }
  });

  it('with another opcode, without an end, or with values that make no sense is refused', () => {
    const cases: readonly (readonly [string, string, Uint8Array<ArrayBuffer>])[] = [
      ['unsupported', 'opcode 0x81', bytes('}', 0x81, '.')], // NEWOBJ
      ['unsupported', 'opcode 0x69', bytes('(iposix\nsystem\n.')], // INST
      ['bad-file', 'cut short', bytes('}')],
      ['bad-file', 'cut short', bytes('X', 255, 255, 255, 127)],
      ['bad-file', 'stack is empty', bytes('.')],
      ['bad-file', 'no mark', bytes('t.')],
      ['bad-file', 'never kept', bytes('h', 7, '.')],
      ['bad-file', 'attributes', bytes(']', '}', 'b.')],
      ['bad-file', 'no name', bytes('K', 1, ')R.')],
      ['bad-file', 'storage', bytes('K', 1, 'Q.')],
      ['bad-file', 'arguments', bytes('ctorch\nSize\n', 'K', 1, 0x85, 'R.')],
      ['bad-file', 'no values', bytes('ctorch\nfloat32\n.')],
    ];
    for (const [code, says, pickle] of cases) {
      assert.throws(() => readTorchPickle(pickle, 'x.pt'), failure(code, says));
    }
  });

  it('of tensors that claim more than their storage has is refused', () => {
    for (const claim of [
      tensor(6, 0, [7], [1]),
      tensor(6, 1, [6], [1]),
      tensor(6, 0, [100, 100], [0, 0]),
      tensor(6, 0, [2, 3], [9, 1]),
    ]) {
      assert.throws(
        () => readTorchPickle(dict([...short('a'), ...claim]), 'x.pt'),
        failure('bad-file'),
      );
    }
  });
});

describe('a .pt file', () => {
  const numbers = Float32Array.of(0, 1, 2, 3, 4, 5);

  it('gives views of a storage as they are strided', async () => {
    const pickle = dict(
      [...short('rows'), ...tensor(6, 0, [2, 3], [3, 1])],
      [...short('turned'), ...tensor(6, 0, [3, 2], [1, 3])],
      [...short('part'), ...tensor(6, 2, [3], [1])],
      [...short('every'), ...tensor(6, 1, [3], [2])],
    );
    const file = await TorchFile.open(await torch(pickle, numbers));
    assert.deepEqual([...(await file.readFloat32('rows'))], [0, 1, 2, 3, 4, 5]);
    assert.deepEqual([...(await file.readFloat32('turned'))], [0, 3, 1, 4, 2, 5]);
    assert.deepEqual([...(await file.readFloat32('part'))], [2, 3, 4]);
    assert.deepEqual([...(await file.readFloat32('every'))], [1, 3, 5]);
    await assert.rejects(file.readFloat32('none'), failure('bad-file', 'no tensor "none"'));
  });

  it('gives float32 of every type of number', async () => {
    const cases: readonly (readonly [string, ArrayBufferView, number[]])[] = [
      ['DoubleStorage', Float64Array.of(0.1, -2), [Math.fround(0.1), -2]],
      ['HalfStorage', Uint16Array.of(0x3c00, 0xc500), [1, -5]],
      ['BFloat16Storage', Uint16Array.of(0x3f80, 0xc0a0), [1, -5]],
      ['LongStorage', BigInt64Array.of(7n, -8n), [7, -8]],
      ['IntStorage', Int32Array.of(7, -8), [7, -8]],
      ['ShortStorage', Int16Array.of(7, -8), [7, -8]],
      ['CharStorage', Int8Array.of(7, -8), [7, -8]],
      ['BoolStorage', Uint8Array.of(1, 0), [1, 0]],
    ];
    for (const [kind, storage, expected] of cases) {
      const path = await torch(
        dict([...short('a'), ...tensor(2, 0, [2], [1], kind)]),
        new Uint8Array(storage.buffer),
      );
      const file = await TorchFile.open(path);
      assert.deepEqual([...(await file.readFloat32('a'))], expected, kind);
    }
    const complex = tensor(2, 0, [2], [1], 'ComplexFloatStorage');
    assert.throws(
      () => readTorchPickle(dict([...short('a'), ...complex]), 'x.pt'),
      failure('unsupported', 'torch\\.ComplexFloatStorage'),
    );
  });

  it('whose storage has another length, or that holds itself, is refused', async () => {
    const one = dict([...short('a'), ...tensor(6, 0, [6], [1])]);
    const file = await TorchFile.open(await torch(one, numbers.subarray(0, 5).slice()));
    await assert.rejects(file.readFloat32('a'), failure('bad-file', 'has 20 bytes, not 24'));
    const itself = bytes(0x80, 2, '}q', 0, short('a'), 'h', 0, 's.');
    await assert.rejects(
      TorchFile.open(await torch(itself, numbers)),
      failure('bad-file', 'nested too deeply'),
    );
    const list = bytes(0x80, 2, '].');
    await assert.rejects(
      TorchFile.open(await torch(list, numbers)),
      failure('unsupported', 'state dict'),
    );
  });

  it('of an old version, or no archive at all, says so', async () => {
    const path = join(root, 'old.pt');
    await writeFile(path, bytes(0x80, 2, 0x8a, 10, 'l\xfc\x9cF\xf9 j\xa8P\x19.'));
    await assert.rejects(TorchFile.open(path), failure('bad-file', 'since version 1\\.6'));
    await assert.rejects(TorchFile.open(join(root, 'none.pt')), failure('not-found', 'none'));
    await writeFile(path, storedZip(new Map([['a/b', bytes(1)]])));
    await assert.rejects(TorchFile.open(path), failure('bad-file', 'data\\.pkl'));
  });
});

describe('a zip archive', () => {
  it('may give its sizes and its directory in 64 bits', async () => {
    const path = join(root, 'large.zip');
    const plain = storedZip(new Map([['a', bytes('abc')]]));
    const at = plain.indexOf('PK\x01\x02');
    const entry = Buffer.from(plain.subarray(at, plain.indexOf('PK\x05\x06')));
    // Both sizes and the place of the header are in the extra field.
    const extra = Buffer.alloc(28);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    extra.writeBigUInt64LE(3n, 4);
    extra.writeBigUInt64LE(3n, 12);
    entry.fill(0xff, 20, 28);
    entry.fill(0xff, 42, 46);
    entry.writeUInt16LE(28, 30);
    const record = Buffer.alloc(56);
    record.write('PK\x06\x06', 'latin1');
    record.writeBigUInt64LE(BigInt(entry.length + 28), 40);
    record.writeBigUInt64LE(BigInt(at), 48);
    const locator = Buffer.alloc(20);
    locator.write('PK\x06\x07', 'latin1');
    locator.writeBigUInt64LE(BigInt(at + entry.length + 28), 8);
    const end = Buffer.alloc(22, 0xff);
    end.write('PK\x05\x06', 'latin1');
    end.writeUInt16LE(0, 20);
    await writeFile(
      path,
      Buffer.concat([plain.subarray(0, at), entry, extra, record, locator, end]),
    );
    const zip = await ZipFile.open(path);
    assert.equal(Buffer.from(await zip.read('a')).toString(), 'abc');
  });

  it('that claims more than it holds is refused before memory is taken', async () => {
    const path = join(root, 'bomb.zip');
    const packed = deflateRawSync(Buffer.alloc(100_000));
    const zip = storedZip(new Map([['a', packed]]));
    const directory = zip.lastIndexOf('PK\x01\x02');
    const claim = async (size: number): Promise<ZipFile> => {
      zip.writeUInt16LE(8, directory + 10);
      zip.writeUInt32LE(size, directory + 24);
      await writeFile(path, zip);
      return ZipFile.open(path);
    };
    await assert.rejects(
      (await claim(0xfffffff0)).read('a'),
      failure('bad-file', 'claims 4294967280'),
    );
    await assert.rejects(
      (await claim(99_999)).read('a'),
      failure('bad-file', 'cannot be unpacked'),
    );
    await assert.rejects(
      (await claim(100_001)).read('a'),
      failure('bad-file', 'unpacks to 100000'),
    );
    await assert.rejects((await claim(100_000)).read('a'), failure('bad-file', 'checksum'));
  });

  it('of other sizes than its arrays, or of arrays of objects, is refused', async () => {
    const path = join(root, 'a.npz');
    const npy = (header: string, data: number) =>
      bytes(
        0x93,
        'NUMPY',
        1,
        0,
        header.length,
        0,
        header,
        Array.from({ length: data }, () => 0),
      );
    const cases: readonly (readonly [string, string, string, number])[] = [
      [
        'bad-file',
        'needs 24 bytes and has 20',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        20,
      ],
      [
        'bad-file',
        'needs',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        4,
      ],
      ['unsupported', "'\\|O'", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8],
      ['unsupported', '>f4', "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4],
      ['bad-file', 'no order or shape', "{'descr': '<f4', }", 4],
    ];
    for (const [code, says, header, data] of cases) {
      await writeFile(path, storedZip(new Map([['W_enc.npy', npy(header, data)]])));
      await assert.rejects(NpzFile.open(path), failure(code, says));
    }
  });
});
