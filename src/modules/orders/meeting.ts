// Two orders of one idempotency key, placed in two cells that could not ask each other: when they meet, the elder survives and the
// younger becomes its duplicate, with its money back. The younger's home does it, once the elder's home says that the elder stands.
// Either may be the one that hears of the other: a key is looked up when its event arrives, and may be taken a moment later.
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { KeyRow } from './batch-state.ts'
import type { SupersedeOrder } from './types.ts'

export type MeetingOptions = {
  cell: CellName
  /** What this cell knows of keys. */
  findKeys(
    keys: readonly { shopId: ShopId; hash: string }[],
  ): Promise<Pick<KeyRow, 'shopId' | 'hash' | 'request' | 'resultId'>[]>
  /** Which of the orders stand in the other cell. Rejects when it is out of reach. */
  standing(of: CellName, shopId: ShopId, orders: readonly Uuid[]): Promise<ReadonlySet<Uuid>>
  supersede(command: SupersedeOrder): Promise<void>
  /** The elder is this cell's: if it stands, the younger's home is told. Rejects when that is out of reach. */
  tellElder(of: CellName, order: { shopId: ShopId; id: Uuid; elder: Uuid }): Promise<void>
  /** One key, two different requests: a mistake of the caller, which nobody but he can settle. */
  onMismatch(shopId: ShopId, order: string, other: string): void
}

/** Whether an order is the younger: by the UUID first, which begins with its time, then by the cell's name. */
export const isYounger = (a: { id: Uuid; cell: CellName }, b: { id: Uuid; cell: CellName }): boolean =>
  a.id > b.id || (a.id === b.id && a.cell > b.cell)

/** Of a peer's events those that tell of a key which names no cell. May be told twice. Rejects when the peer is needed and out of reach. */
export async function meetOrders(options: MeetingOptions, from: CellName, events: readonly LogEvent[]): Promise<void> {
  const theirs = events.flatMap((event) => keyedOrder(event) ?? [])
  if (theirs.length === 0) return
  const found = await options.findKeys(theirs)
  const known = new Map(found.map((row) => [`${row.shopId} ${row.hash}`, row]))
  for (const { shopId, hash, request, id } of theirs) {
    const own = known.get(`${shopId} ${hash}`)
    if (!own || own.resultId === null) continue
    const names = [toWireId('ord', options.cell, own.resultId), toWireId('ord', from, id)] as const
    if (own.request !== request) options.onMismatch(shopId, ...names)
    else if (isYounger({ id, cell: from }, { id: own.resultId, cell: options.cell }))
      await options.tellElder(from, { shopId, id, elder: own.resultId })
    else {
      const standing = await options.standing(from, shopId, [id])
      if (!standing.has(id)) continue
      await options.supersede({ kind: 'supersede_order', shopId, orderId: own.resultId, by: names[1], ifVersion: null })
    }
  }
}

function keyedOrder(event: LogEvent): { shopId: ShopId; hash: string; request: string; id: Uuid } | undefined {
  if (event.type !== 'order.keyed') return undefined
  const data = JSON.parse(event.data) as { shop_id: ShopId; order_id: string; key_hash: string; request_hash: string }
  const id = parseWireId(data.order_id)
  return id && { shopId: data.shop_id, hash: data.key_hash, request: data.request_hash, id: id.uuid }
}
