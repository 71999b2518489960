// Chance that can be repeated.

/** Numbers from 0 up to, without, n; the same for a seed (xorshift32). */
export function seeded(seed: number): (n: number) => number {
  let x = seed | 1;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
}
