/**
 * A seeded random number generator (SplitMix32 seeding, xoshiro128**): same seed, same numbers, on every platform.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018.
 */
export class Random {
  private readonly state = new Uint32Array(4);

  constructor(seed: number) {
    let s = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      s = (s + 0x9e3779b9) >>> 0;
      let z = Math.imul(s ^ (s >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      this.state[i] = z ^ (z >>> 15);
    }
  }

  /** A uniform integer in [0, 2^32). */
  next(): number {
    const s = this.state;
    const [s0, s1, s2, s3] = [s[0] ?? 0, s[1] ?? 0, s[2] ?? 0, s[3] ?? 0];
    const scrambled = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const a2 = s2 ^ s0;
    const a3 = s3 ^ s1;
    s[0] = s0 ^ a3;
    s[1] = s1 ^ a2;
    s[2] = a2 ^ (s1 << 9);
    s[3] = rotateLeft(a3, 11);
    return scrambled;
  }

  /** A uniform number in [0, 1). */
  uniform(): number {
    return this.next() / 2 ** 32;
  }

  /** A uniform integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** A standard normal number (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles in place (Fisher and Yates). */
  shuffle<T extends { length: number; [index: number]: number }>(values: T): T {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = values[i] ?? 0;
      values[i] = values[j] ?? 0;
      values[j] = held;
    }
    return values;
  }
}

function rotateLeft(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}
