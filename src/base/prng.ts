// A small seeded generator (sfc32, by Chris Doty-Humphrey, public domain) for the simulator and tests: same seed, same run.
// Not for secrets.

export type Prng = {
  /** 0 ≤ x < 1 */
  next(): number
  /** low ≤ x ≤ high, integers */
  between(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  bytes(count: number): Uint8Array
  /** An independent stream, so that one part's draws do not shift another's. */
  fork(): Prng
}

export function prng(seed: number): Prng {
  let a = 0x9e3779b9 ^ seed
  let b = 0x243f6a88 ^ Math.imul(seed, 0x85ebca6b)
  let c = 0xb7e15162
  let counter = 1

  function word(): number {
    const sum = (a + b + counter++) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let warm = 0; warm < 12; warm++) word()

  const generator: Prng = {
    next: () => word() / 0x1_0000_0000,
    between: (low, high) => low + Math.floor(generator.next() * (high - low + 1)),
    chance: (probability) => generator.next() < probability,
    pick: (items) => items[generator.between(0, items.length - 1)]!,
    bytes: (count) => Uint8Array.from({ length: count }, () => word() & 0xff),
    fork: () => prng(word()),
  }
  return generator
}
