// What another cell's log says it has sent here: the way that is there when the answer to an ask was lost, or nobody asked.
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { ReceiveUnits, Total } from './types.ts'

/** Only the last total of each place counts, so a long log makes few commands: one a shop. */
export function receiptsIn(events: readonly LogEvent[], from: CellName, cell: CellName): ReceiveUnits[] {
  const totals = new Map<ShopId, Map<string, Total>>()
  for (const event of events) {
    if (event.type !== 'stock.transferred') continue
    const { sku, location, sent } = JSON.parse(event.data) as TransferredData
    const mine = sent?.find((one) => one.cell === cell)
    if (!mine) continue
    const shopId = event.shopId as ShopId
    const ofShop = totals.get(shopId) ?? new Map<string, Total>()
    totals.set(shopId, ofShop)
    ofShop.set(`${sku}\n${location}`, { sku, location, units: mine.units_total, allowance: mine.allowance_total })
  }
  return [...totals].map(([shopId, ofShop]) => ({
    ...{ kind: 'receive_units', shopId, from, tracking: 'counted' },
    totals: [...ofShop.values()],
  }))
}

type TransferredData = {
  sku: Sku
  location: LocationCode
  sent?: { cell: string; units_total: number; allowance_total: number }[]
}
