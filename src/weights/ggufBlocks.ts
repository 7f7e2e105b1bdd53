import type { BlockType } from './ggufBlockType.ts';
import { half } from './ggufHalf.ts';
import { kQuants } from './ggufKQuants.ts';

export type { BlockType } from './ggufBlockType.ts';

const round = Math.fround;

function decodeF32(bytes: DataView, at: number, out: Float32Array, to: number): void {
  out[to] = bytes.getFloat32(at, true);
}

function decodeF16(bytes: DataView, at: number, out: Float32Array, to: number): void {
  out[to] = half(bytes, at);
}

const widened = new DataView(new ArrayBuffer(4));

function decodeBF16(bytes: DataView, at: number, out: Float32Array, to: number): void {
  widened.setUint32(0, bytes.getUint16(at, true) << 16);
  out[to] = widened.getFloat32(0);
}

/** half d; 32 int8: d q. */
function decodeQ8_0(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 32; i++) out[to + i] = d * bytes.getInt8(at + 2 + i);
}

/** half d; 16 bytes, the low nibbles first: d (q - 8). */
function decodeQ4_0(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 16; i++) {
    const q = bytes.getUint8(at + 2 + i);
    out[to + i] = d * ((q & 15) - 8);
    out[to + 16 + i] = d * ((q >> 4) - 8);
  }
}

/** half d, half m; 16 bytes, the low nibbles first: d q + m. */
function decodeQ4_1(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const m = half(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const q = bytes.getUint8(at + 4 + i);
    out[to + i] = round(d * (q & 15)) + m;
    out[to + 16 + i] = round(d * (q >> 4)) + m;
  }
}

/** The fifth bits of 32 values as one word; then 16 bytes, the low nibbles first. */
function fiveBits(bytes: DataView, at: number, i: number): number {
  const high = (bytes.getUint32(at, true) >>> i) & 1;
  const nibbles = bytes.getUint8(at + 4 + (i & 15));
  return (i < 16 ? nibbles & 15 : nibbles >> 4) | (high << 4);
}

/** half d; 32 five-bit q: d (q - 16). */
function decodeQ5_0(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 32; i++) out[to + i] = d * (fiveBits(bytes, at + 2, i) - 16);
}

/** half d, half m; 32 five-bit q: d q + m. */
function decodeQ5_1(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const m = half(bytes, at + 2);
  for (let i = 0; i < 32; i++) out[to + i] = round(d * fiveBits(bytes, at + 4, i)) + m;
}

/** The encodings that Loupe reads, by ggml's type number. Source: ggml-common.h, gguf-py quants.py. */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [0, { name: 'F32', blockLength: 1, blockBytes: 4, decode: decodeF32 }],
  [1, { name: 'F16', blockLength: 1, blockBytes: 2, decode: decodeF16 }],
  [2, { name: 'Q4_0', blockLength: 32, blockBytes: 18, decode: decodeQ4_0 }],
  [3, { name: 'Q4_1', blockLength: 32, blockBytes: 20, decode: decodeQ4_1 }],
  [6, { name: 'Q5_0', blockLength: 32, blockBytes: 22, decode: decodeQ5_0 }],
  [7, { name: 'Q5_1', blockLength: 32, blockBytes: 24, decode: decodeQ5_1 }],
  [8, { name: 'Q8_0', blockLength: 32, blockBytes: 34, decode: decodeQ8_0 }],
  ...kQuants,
  [30, { name: 'BF16', blockLength: 1, blockBytes: 2, decode: decodeBF16 }],
]);

/** ggml's other encodings, so that a refusal can name them. */
export const unreadTypes: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
]);

/** Decodes the blocks of `bytes` to `out`, which must have room for them. */
export function decodeBlocks(type: BlockType, bytes: Uint8Array, out: Float32Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = Math.floor(bytes.byteLength / type.blockBytes);
  for (let b = 0; b < blocks; b++)
    type.decode(view, b * type.blockBytes, out, b * type.blockLength);
}
