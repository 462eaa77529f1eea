// What the clients of a cell that was cut off from all others got from it, against the rest of the time.
import { readJournal } from '../journal.ts'
import { type Cell, cells } from './plan.ts'
import type { Scene } from './scene.ts'

/** A time in which a cell was reached by its own clients only, in milliseconds since 1970. */
export type Cut = { cell: Cell; from: number; to: number }

export type Goodput = { cell: Cell; seconds: number; sold: number; perSecond: number; perSecondElse: number }

/** Of the orders that need no other cell. A cut that lasted long and sold nothing is a fault. */
export function goodputOf({ journals }: Pick<Scene, 'journals'>, cuts: readonly Cut[]) {
  const times = new Map<Cell, number[]>()
  const faults: string[] = []
  for (const cell of cells) {
    const { answers } = readJournal(journals[cell])
    const steady = [...answers].flatMap(([key, list]) => (key.startsWith(`${cell}.steady-`) ? list : []))
    for (const answer of steady) if (!answer.ok) faults.push(`${answer.key} was refused: ${answer.code}`)
    times.set(
      cell,
      steady.flatMap(({ ok, at }) => (ok ? [at] : [])),
    )
  }
  const goodput = cuts.map(({ cell, from, to }): Goodput => {
    const sales = times.get(cell)!
    const seconds = (to - from) / 1_000
    const sold = sales.filter((at) => at >= from && at <= to).length
    const allSeconds = (sales.at(-1)! - sales[0]!) / 1_000
    const rounded = (value: number) => Math.round(value * 10) / 10
    const perSecondElse = rounded((sales.length - sold) / (allSeconds - seconds))
    return { cell, seconds: rounded(seconds), sold, perSecond: rounded(sold / seconds), perSecondElse }
  })
  for (const { cell, seconds, sold } of goodput)
    if (sold === 0) faults.push(`${cell} sold nothing in the ${seconds} s in which it was cut off`)
  return { goodput, faults }
}
