// The newest so many of what comes in, in the order in which it came. Adding one costs the same whatever is held.

export type Ring<T> = {
  push(item: T): void
  /** 0 is the newest. */
  at(index: number): T | undefined
  readonly length: number
  /** Ever pushed; tells whether something came since. */
  readonly pushed: number
  newestFirst(): T[]
}

export function createRing<T>(capacity: number): Ring<T> {
  const items = new Array<T | undefined>(capacity)
  let pushed = 0
  const length = (): number => Math.min(pushed, capacity)
  const at = (index: number): T | undefined =>
    index < 0 || index >= length() ? undefined : items[(pushed - 1 - index) % capacity]
  return {
    push(item) {
      items[pushed % capacity] = item
      pushed++
    },
    at,
    get length() {
      return length()
    },
    get pushed() {
      return pushed
    },
    newestFirst: () => Array.from({ length: length() }, (_, index) => at(index)!),
  }
}
