// Which requests have been seen, for as long as their signature would still be taken. Memory is bounded without a hole: when
// there are too many, the oldest second is forgotten and nothing that was made in it, or before, counts as new any more.
import { limits } from '../base/limits.ts'

export type Nonces = {
  /** Whether it is seen for the first time; made in `second`, seen in `now`, both in seconds since 1970. */
  isNew(nonce: string, second: number, now: number): boolean
}

export function rememberNonces(nonceMax: number = limits.peerNoncesMax): Nonces {
  const bySecond = new Map<number, Set<string>>()
  let count = 0
  let forgottenTo = Number.NEGATIVE_INFINITY
  let trimmedAt = Number.NEGATIVE_INFINITY

  function forget(second: number): void {
    count -= bySecond.get(second)!.size
    bySecond.delete(second)
    forgottenTo = Math.max(forgottenTo, second)
  }

  /** What is older is refused for its age. */
  function trim(now: number): void {
    if (now <= trimmedAt) return
    trimmedAt = now
    for (const second of bySecond.keys()) if (second < now - limits.peerSkewSecondsMax) forget(second)
  }

  return {
    isNew(nonce, second, now) {
      trim(now)
      if (second <= forgottenTo) return false
      const made = bySecond.get(second) ?? new Set()
      if (made.has(nonce)) return false
      if (count >= nonceMax) forget(Math.min(...bySecond.keys()))
      if (second <= forgottenTo) return false
      made.add(nonce)
      bySecond.set(second, made)
      count++
      return true
    },
  }
}
