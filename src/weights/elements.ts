import { bfloat16ToFloat32, float16ToFloat32 } from '../common/float16.ts';

/** Element types of NumPy's and PyTorch's arrays that Loupe reads, little-endian. */
export type ElementKind = 'f8' | 'f4' | 'f2' | 'bf2' | 'i8' | 'i4' | 'i2' | 'i1' | 'u1' | 'b1';

export function elementBytes(kind: ElementKind): number {
  return Number(kind.at(-1));
}

/** The elements in `bytes` as float32; a view of them where they are float32 already and aligned. */
export function asFloat32(bytes: Uint8Array<ArrayBuffer>, kind: ElementKind): Float32Array {
  const aligned = bytes.byteOffset % elementBytes(kind) === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset } = aligned;
  const length = aligned.byteLength / elementBytes(kind);
  switch (kind) {
    case 'f4':
      return new Float32Array(buffer, byteOffset, length);
    case 'f8':
      return Float32Array.from(new Float64Array(buffer, byteOffset, length));
    case 'f2':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'bf2':
      return bfloat16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'i8': {
      const values = new BigInt64Array(buffer, byteOffset, length);
      return Float32Array.from({ length }, (_, i) => Number(values[i] ?? 0n));
    }
    case 'i4':
      return Float32Array.from(new Int32Array(buffer, byteOffset, length));
    case 'i2':
      return Float32Array.from(new Int16Array(buffer, byteOffset, length));
    case 'i1':
      return Float32Array.from(new Int8Array(buffer, byteOffset, length));
    case 'u1':
    case 'b1':
      return Float32Array.from(aligned);
  }
}
