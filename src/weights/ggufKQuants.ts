import type { BlockType } from './ggufBlockType.ts';
import { half } from './ggufHalf.ts';

const round = Math.fround;

/** The 6-bit scale of group j (0..7) of a K-quant's 12 packed bytes; `min` picks the group's minimum instead. */
function packedScale(bytes: DataView, at: number, j: number, min: boolean): number {
  const low = bytes.getUint8(at + (j & 3) + (min ? 4 : 0));
  if (j < 4) return low & 63;
  const nibbles = bytes.getUint8(at + j + 4);
  return (min ? nibbles >> 4 : nibbles & 15) | ((low >> 6) << 4);
}

/** half d, half dmin; 8 groups of 32 with 6-bit scale and minimum; 4-bit q: (d s) q - (dmin m). */
function decodeQ4_K(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const dmin = half(bytes, at + 2);
  for (let j = 0; j < 8; j++) {
    const scale = round(d * packedScale(bytes, at + 4, j, false));
    const min = round(dmin * packedScale(bytes, at + 4, j, true));
    const quants = at + 16 + (j >> 1) * 32;
    const shift = (j & 1) * 4;
    for (let i = 0; i < 32; i++) {
      const q = (bytes.getUint8(quants + i) >> shift) & 15;
      out[to + j * 32 + i] = round(scale * q) - min;
    }
  }
}

/** As Q4_K with a fifth bit for each value: bit j of byte i of the 32 high-bit bytes. */
function decodeQ5_K(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const dmin = half(bytes, at + 2);
  for (let j = 0; j < 8; j++) {
    const scale = round(d * packedScale(bytes, at + 4, j, false));
    const min = round(dmin * packedScale(bytes, at + 4, j, true));
    const quants = at + 48 + (j >> 1) * 32;
    const shift = (j & 1) * 4;
    for (let i = 0; i < 32; i++) {
      const high = (bytes.getUint8(at + 16 + i) >> j) & 1;
      const q = ((bytes.getUint8(quants + i) >> shift) & 15) | (high << 4);
      out[to + j * 32 + i] = round(scale * q) - min;
    }
  }
}

/** 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, half d; groups of 16: (d s) (q - 32). */
function decodeQ6_K(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const inHalf = i & 127;
    const low = bytes.getUint8(at + (i >> 7) * 64 + (inHalf & 63));
    const high = bytes.getUint8(at + 128 + (i >> 7) * 32 + (inHalf & 31));
    const q = ((low >> (inHalf >= 64 ? 4 : 0)) & 15) | (((high >> ((inHalf >> 5) * 2)) & 3) << 4);
    const scale = round(d * bytes.getInt8(at + 192 + (i >> 4)));
    out[to + i] = scale * (q - 32);
  }
}

/** 16 bytes of 4-bit scales and minima, 64 of 2-bit q, half d, half dmin; groups of 16: (d s) q - (dmin m). */
function decodeQ2_K(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 80);
  const dmin = half(bytes, at + 82);
  for (let i = 0; i < 256; i++) {
    const packed = bytes.getUint8(at + (i >> 4));
    const q = twoBits(bytes, at + 16, i);
    out[to + i] = round(round(d * (packed & 15)) * q) - round(dmin * (packed >> 4));
  }
}

/** Value i of 256 in 64 bytes: four runs of 32 share 32 bytes, two bits each. */
function twoBits(bytes: DataView, at: number, i: number): number {
  return (bytes.getUint8(at + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;
}

/** 32 bytes of high bits, 64 of low bit pairs, 12 of 6-bit scales, half d; groups of 16: (d (s - 32)) (q - 4 where the high bit is 0). */
function decodeQ3_K(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at + 108);
  for (let i = 0; i < 256; i++) {
    const group = i >> 4;
    const low = bytes.getUint8(at + 96 + (group & 7)) >> (group < 8 ? 0 : 4);
    const high = bytes.getUint8(at + 104 + (group & 3)) >> (2 * (group >> 2));
    const scale = round(d * (((low & 15) | ((high & 3) << 4)) - 32));
    const isHigh = (bytes.getUint8(at + (i & 31)) >> (i >> 5)) & 1;
    out[to + i] = scale * (twoBits(bytes, at + 32, i) - (isHigh ? 0 : 4));
  }
}

const uneven = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113] as const;

/** One of 16 uneven steps: value i of 32 in 16 bytes, the low nibbles first. */
function unevenStep(bytes: DataView, at: number, i: number): number {
  const nibbles = bytes.getUint8(at + (i & 15));
  return uneven[(i < 16 ? nibbles : nibbles >> 4) & 15] ?? NaN;
}

/** half d; 32 uneven steps: d step. */
function decodeIQ4_NL(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  for (let i = 0; i < 32; i++) out[to + i] = d * unevenStep(bytes, at + 2, i);
}

/** half d, 2 bytes of high and 4 of low bits of 6-bit scales, then 8 groups of 32 uneven steps: (d (s - 32)) step. */
function decodeIQ4_XS(bytes: DataView, at: number, out: Float32Array, to: number): void {
  const d = half(bytes, at);
  const high = bytes.getUint16(at + 2, true);
  for (let j = 0; j < 8; j++) {
    const low = bytes.getUint8(at + 4 + (j >> 1)) >> (4 * (j & 1));
    const scale = round(d * (((low & 15) | (((high >> (2 * j)) & 3) << 4)) - 32));
    for (let i = 0; i < 32; i++)
      out[to + 32 * j + i] = scale * unevenStep(bytes, at + 8 + 16 * j, i);
  }
}

/** The encodings of blocks of 256 with scales within, and their like, by ggml's type number. Source: ggml-quants.c. */
export const kQuants: readonly (readonly [number, BlockType])[] = [
  [10, { name: 'Q2_K', blockLength: 256, blockBytes: 84, decode: decodeQ2_K }],
  [11, { name: 'Q3_K', blockLength: 256, blockBytes: 110, decode: decodeQ3_K }],
  [12, { name: 'Q4_K', blockLength: 256, blockBytes: 144, decode: decodeQ4_K }],
  [13, { name: 'Q5_K', blockLength: 256, blockBytes: 176, decode: decodeQ5_K }],
  [14, { name: 'Q6_K', blockLength: 256, blockBytes: 210, decode: decodeQ6_K }],
  [20, { name: 'IQ4_NL', blockLength: 32, blockBytes: 18, decode: decodeIQ4_NL }],
  [23, { name: 'IQ4_XS', blockLength: 256, blockBytes: 136, decode: decodeIQ4_XS }],
];
