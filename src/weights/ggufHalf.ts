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

/** The half-precision number at a byte. */
export function half(bytes: DataView, at: number): number {
  return halves[bytes.getUint16(at, true)] ?? NaN;
}
