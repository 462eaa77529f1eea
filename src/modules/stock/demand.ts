// How fast each SKU is sold lately, here and by what other cells have told of themselves: the measure by which units are split,
// asked for and kept. It decides nothing about who may buy; lost in a restart, it is learned anew.
import type { CellName, ShopId, Sku } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { skuKey } from './decide.ts'
import { availableOf } from './sourcing.ts'
import type { StockRow } from './types.ts'

type Known = {
  /** Units that are reserved, sold or shipped, as last seen. */
  taken: number
  /** Units taken, each counting less the older it is. */
  recent: number
  at: number
  available: number
  peers: Map<CellName, { rate: number; left: number }>
}

export type Demand = {
  /** All rows of a SKU as a batch left them. */
  saw(rows: readonly StockRow[]): void
  /** Units a second. */
  rateOf(shopId: ShopId, sku: Sku): number
  /** Units left here, as last seen; 0 for what was never seen. */
  availableOf(shopId: ShopId, sku: Sku): number
  heard(from: CellName, shopId: ShopId, sku: Sku, told: { rate?: number; left?: number }): void
  peerRate(cell: CellName, shopId: ShopId, sku: Sku): number
  /** Units that the other had when it last said so; undefined when it never did. */
  peerLeft(cell: CellName, shopId: ShopId, sku: Sku): number | undefined
  /** How many SKUs that were sold lately have none here, less than is sold until more could have come, or enough. */
  levels(): { out: number; low: number; enough: number }
}

export function trackDemand(elapsedMs: () => number): Demand {
  const known = new Map<string, Known>()

  function of(key: string): Known {
    const found = known.get(key)
    if (found) return found
    if (known.size >= limits.skusRememberedMax) known.delete(known.keys().next().value!)
    const fresh = { taken: Number.NaN, recent: 0, at: elapsedMs(), available: 0, peers: new Map() }
    known.set(key, fresh)
    return fresh
  }

  function fade(one: Known): void {
    const now = elapsedMs()
    one.recent *= Math.exp((one.at - now) / limits.demandMs)
    one.at = now
  }

  return {
    saw(rows) {
      const [first] = rows
      if (!first) return
      const one = of(skuKey(first.shopId, first.sku))
      const taken = rows.reduce((sum, row) => sum + row.reserved + row.committed + row.shipped, 0)
      fade(one)
      if (taken > one.taken) one.recent += taken - one.taken
      one.taken = taken
      one.available = availableOf(rows)
    },
    rateOf(shopId, sku) {
      const one = known.get(skuKey(shopId, sku))
      if (!one) return 0
      fade(one)
      return one.recent / (limits.demandMs / 1_000)
    },
    availableOf: (shopId, sku) => known.get(skuKey(shopId, sku))?.available ?? 0,
    heard(from, shopId, sku, { rate, left }) {
      const { peers } = of(skuKey(shopId, sku))
      const before = peers.get(from)
      peers.set(from, { rate: rate ?? before?.rate ?? 0, left: left ?? before?.left ?? 0 })
    },
    peerRate: (cell, shopId, sku) => known.get(skuKey(shopId, sku))?.peers.get(cell)?.rate ?? 0,
    peerLeft: (cell, shopId, sku) => known.get(skuKey(shopId, sku))?.peers.get(cell)?.left,
    levels() {
      const levels = { out: 0, low: 0, enough: 0 }
      for (const one of known.values()) {
        fade(one)
        if (one.recent < limits.demandUnitsMin) continue
        const needed = (one.recent * limits.askAheadMs) / limits.demandMs
        levels[one.available <= 0 ? 'out' : one.available < needed ? 'low' : 'enough']++
      }
      return levels
    },
  }
}
