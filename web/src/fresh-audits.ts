// The promise line stands on audits that cells make of themselves now and then. When a cell comes back, or a rush begins or is over,
// those are of before: new ones are asked for, so that the numbers meet soon. However often that is wished, a round is asked at most every few
// seconds; more than one while units are on their way, and a few in all.

type Seen = {
  cell: { name: string }
  reach: 'waiting' | 'live' | 'silent'
  pulse: { cut_off: boolean; frozen: boolean; orders_per_s: number } | null
}

export type FreshAudits = {
  wish(): void
  /** Called once a second while somebody sees the page. */
  look(cells: readonly Seen[], now: number): void
}

type Options = {
  /** Every cell within reach for a new audit; it does not fail. */
  ask(): Promise<unknown>
  /** Nothing would be gained by another round. */
  isSettled(): boolean
}

export const everyMs = 5000
export const roundsMax = 4
const rush = { from: 10, until: 1 } // orders/s of all cells: an order now and then is none

export function createFreshAudits({ ask, isSettled }: Options): FreshAudits {
  const wasWell = new Map<string, boolean>()
  let isRush = false
  let roundsLeft = 0
  let isAsking = false
  let askedAt = Number.NEGATIVE_INFINITY

  function wish(): void {
    roundsLeft = roundsMax
  }

  function seeCells(cells: readonly Seen[]): void {
    let orders = 0
    for (const { cell, reach, pulse } of cells) {
      if (reach === 'waiting') continue
      const isWell = reach === 'live' && pulse !== null && !pulse.cut_off && !pulse.frozen
      if (isWell && wasWell.get(cell.name) === false) wish()
      wasWell.set(cell.name, isWell)
      if (reach === 'live' && pulse) orders += pulse.orders_per_s
    }
    const was = isRush
    if (orders >= rush.from) isRush = true
    if (orders < rush.until) isRush = false
    if (isRush !== was) wish()
  }

  return {
    wish,
    look(cells, now) {
      seeCells(cells)
      if (roundsLeft === 0 || isAsking || now - askedAt < everyMs) return
      if (roundsLeft < roundsMax && isSettled()) {
        roundsLeft = 0
        return
      }
      roundsLeft--
      askedAt = now
      isAsking = true
      void ask().finally(() => {
        isAsking = false
      })
    },
  }
}
