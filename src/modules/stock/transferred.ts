// What another cell's log says it has sent here: the way that is there when the answer to an ask was lost, or nobody asked.
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { ReceiveUnits, Total } from './types.ts'

const Units = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Later releases may say more. */
const TransferredData = Type.Object({
  sku: Type.String({ minLength: 1 }),
  location: Type.String({ minLength: 1 }),
  sent: Type.Optional(Type.Array(Type.Object({ cell: Type.String(), units_total: Units, allowance_total: Units }))),
})
const checkData = Compile(TransferredData)

/** Throws when it is none: a total that is no number must not reach the engine. */
function dataOf({ data, subject, subjectVersion }: LogEvent): Static<typeof TransferredData> {
  const value = JSON.parse(data) as Json
  if (!checkData.Check(value)) throw new Error(`version ${subjectVersion} of ${subject} tells no transfer`)
  return value
}

/** Only the last total of each place counts, so a long log makes few commands: one a shop. */
export function receiptsIn(events: readonly LogEvent[], from: CellName, cell: CellName): ReceiveUnits[] {
  const totals = new Map<ShopId, Map<string, Total>>()
  for (const event of events) {
    if (event.type !== 'stock.transferred') continue
    const { sku: text, location: code, sent } = dataOf(event)
    const [sku, location] = [text as Sku, code as LocationCode]
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
