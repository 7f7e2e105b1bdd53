/**
 * IEEE 754 binary16, exact both ways, rounding to nearest even, and bfloat16 as it is read. Node 20 has no Float16Array, so 16-bit
 * numbers are kept as their bits.
 */

/** The binary16 numbers `bits` as float32 numbers (every one is exactly representable). */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const table = float16Table();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] ?? 0] ?? 0;
  return values;
}

/** Float32 numbers rounded to the nearest binary16, ties to even; beyond 65,504 they become infinite, as in NumPy. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const source = asBits(values);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) bits[i] = roundToFloat16(source[i] ?? 0);
  return bits;
}

/** The bfloat16 numbers `bits` as float32 numbers. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length);
  const target = asBits(values);
  for (let i = 0; i < bits.length; i++) target[i] = (bits[i] ?? 0) << 16;
  return values;
}

function asBits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** The binary16 bits nearest to the float32 whose bits are `x`. */
function roundToFloat16(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff); // NaN stays NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65,536 and more
  if (magnitude >= 0x38800000) {
    // Normal: rebias the exponent; a carry out of the mantissa rightly raises it, up to infinity.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: the mantissa counts units of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const floor = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = rest > half || (rest === half && (floor & 1) === 1);
  return sign | (up ? floor + 1 : floor);
}

let table: Float32Array | undefined;

/** Every binary16 number, by its bits. */
function float16Table(): Float32Array {
  if (table) return table;
  table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 0x1f) table[bits] = fraction === 0 ? sign * Infinity : NaN;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return table;
}
