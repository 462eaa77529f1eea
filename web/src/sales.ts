// How fast each SKU sells and where, out of the events that the page has seen in the last minute, and when it will be sold out.

type Line = { sku: string; quantity: number }
type SoldEvent = { type: string; time: string; source: string; data: Record<string, unknown> }

const windowSeconds = 60
const skusMax = 500

export type Sale = { sku: string; unitsPerSecond: number; byCell: Record<string, number>; lastAt: number }

export type Sales = {
  add(event: SoldEvent): void
  of(sku: string, now: number): Sale | undefined
  /** Those seen lately, the fastest first, then the most recently seen. */
  all(now: number): Sale[]
}

type Entry = { bySecond: Map<number, Map<string, number>>; firstAt: number; lastAt: number }

export function createSales(): Sales {
  const entries = new Map<string, Entry>()

  const entryOf = (sku: string, at: number): Entry => {
    const entry = entries.get(sku) ?? { bySecond: new Map(), firstAt: at, lastAt: at }
    entry.lastAt = Math.max(entry.lastAt, at)
    entries.delete(sku) // so that the one that was seen longest ago comes first
    entries.set(sku, entry)
    if (entries.size > skusMax) entries.delete(entries.keys().next().value!)
    return entry
  }

  const saleOf = (sku: string, entry: Entry, now: number): Sale => {
    const newest = Math.floor(now / 1000)
    const byCell: Record<string, number> = {}
    let units = 0
    for (const [second, cells] of entry.bySecond) {
      if (second <= newest - windowSeconds) {
        entry.bySecond.delete(second)
        continue
      }
      for (const [cell, quantity] of cells) {
        byCell[cell] = (byCell[cell] ?? 0) + quantity
        units += quantity
      }
    }
    const seconds = Math.min(windowSeconds, Math.max(5, newest - Math.floor(entry.firstAt / 1000) + 1))
    for (const cell of Object.keys(byCell)) byCell[cell] = byCell[cell]! / seconds
    return { sku, unitsPerSecond: units / seconds, byCell, lastAt: entry.lastAt }
  }

  return {
    add(event) {
      const at = Date.parse(event.time)
      if (event.type === 'order.placed') {
        const cell = event.source.slice(event.source.lastIndexOf('/') + 1)
        for (const { sku, quantity } of (event.data.lines ?? []) as Line[]) {
          const { bySecond } = entryOf(sku, at)
          const second = Math.floor(at / 1000)
          const cells = bySecond.get(second) ?? new Map<string, number>()
          bySecond.set(second, cells)
          cells.set(cell, (cells.get(cell) ?? 0) + quantity)
          if (bySecond.size > windowSeconds * 2) bySecond.delete(bySecond.keys().next().value!)
        }
      } else if (event.type.startsWith('stock.') && typeof event.data.sku === 'string') entryOf(event.data.sku, at)
    },
    of(sku, now) {
      const entry = entries.get(sku)
      return entry && saleOf(sku, entry, now)
    },
    all: (now) =>
      [...entries]
        .map(([sku, entry]) => saleOf(sku, entry, now))
        .sort((one, other) => other.unitsPerSecond - one.unitsPerSecond || other.lastAt - one.lastAt),
  }
}

/** Seconds; 0 when nothing is left, null when it does not sell. */
export function secondsToSellOut(available: number, unitsPerSecond: number): number | null {
  if (available <= 0) return 0
  return unitsPerSecond > 0 ? available / unitsPerSecond : null
}
