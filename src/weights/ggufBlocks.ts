/** One of ggml's tensor encodings: `blockLength` consecutive values of a row share `blockBytes` bytes. */
export interface BlockType {
  readonly name: string;
  readonly blockLength: number;
  readonly blockBytes: number;
  /** Decodes the block at byte `at` to float32 values from index `to` of `out`, rounding as ggml does. */
  decode(bytes: DataView, at: number, out: Float32Array, to: number): void;
}

const round = Math.fround;

/** Every half-precision bit pattern's value. */
const halves = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent
    ? sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
    : sign * fraction * 2 ** -24;
});

function half(bytes: DataView, at: number): number {
  return halves[bytes.getUint16(at, true)] ?? NaN;
}

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

/** The encodings that Loupe reads, by ggml's type number. Source: ggml-common.h, gguf-py quants.py. */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map([
  [0, { name: 'F32', blockLength: 1, blockBytes: 4, decode: decodeF32 }],
  [1, { name: 'F16', blockLength: 1, blockBytes: 2, decode: decodeF16 }],
  [2, { name: 'Q4_0', blockLength: 32, blockBytes: 18, decode: decodeQ4_0 }],
  [3, { name: 'Q4_1', blockLength: 32, blockBytes: 20, decode: decodeQ4_1 }],
  [8, { name: 'Q8_0', blockLength: 32, blockBytes: 34, decode: decodeQ8_0 }],
  [12, { name: 'Q4_K', blockLength: 256, blockBytes: 144, decode: decodeQ4_K }],
  [13, { name: 'Q5_K', blockLength: 256, blockBytes: 176, decode: decodeQ5_K }],
  [14, { name: 'Q6_K', blockLength: 256, blockBytes: 210, decode: decodeQ6_K }],
  [30, { name: 'BF16', blockLength: 1, blockBytes: 2, decode: decodeBF16 }],
]);

/** ggml's other encodings, so that a refusal can name them. */
export const unreadTypes: ReadonlyMap<number, string> = new Map([
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [9, 'Q8_1'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [20, 'IQ4_NL'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [23, 'IQ4_XS'],
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
