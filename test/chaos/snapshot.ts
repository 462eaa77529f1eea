// What the store holds at one moment, read with SQL of the test's own. One transaction, so that its parts belong together.
import { type CellName, toWireId, type Uuid } from '../../src/base/ids.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'

export type StoredOrder = {
  id: string
  status: 'pending' | 'confirmed' | 'cancelled'
  cancelReason: string | null
  version: number
  lines: { sku: string; quantity: number; left: number }[]
  provider: string | null
  /** The key that made it, as the client wrote it into the order's metadata. */
  key: string | null
}
export type StoredHold = { id: string; status: string; version: number; lines: { sku: string; quantity: number }[] }
export type StoredRow = {
  id: number
  sku: string
  onHand: number
  reserved: number
  committed: number
  shipped: number
}
export type StoredEvent = {
  subject: string
  version: number
  type: string
  data: { sku?: string; delta?: number; on_hand?: number; reason?: string }
  /** Groups of five: row id, and the changes of on hand, reserved, committed, shipped. */
  moves: number[]
}

export type Snapshot = { orders: StoredOrder[]; holds: StoredHold[]; rows: StoredRow[]; events: StoredEvent[] }

type OrderRow = Omit<StoredOrder, 'lines'> & { lines: { sku: string; quantity: number }[]; cancelled: number[] | null }

export async function takeSnapshot(url: DatabaseUrl): Promise<Snapshot> {
  const sql = openSql(url, { max: 1 })
  const wire = (prefix: 'ord' | 'hld', id: string): string => toWireId(prefix, 'eu1' as CellName, id as Uuid)
  try {
    return await sql.begin('isolation level repeatable read read only', async (tx) => {
      const orders = await tx<OrderRow[]>`
        select s.id, s.status, s.cancel_reason as "cancelReason", s.version, o.document -> 'lines' as lines,
          array_to_json(s.cancelled) as cancelled, o.document ->> 'provider' as provider, a.metadata ->> 'key' as key
        from orders.states s join orders.orders o using (shop_id, id)
        left join orders.annotations a on a.shop_id = s.shop_id and a.order_id = s.id`
      const holds = await tx<StoredHold[]>`select id, status, version, lines from stock.holds`
      const rows = await tx<StoredRow[]>`
        select id::float8, sku, on_hand::float8 as "onHand", reserved::float8, committed::float8, shipped::float8
        from stock.rows`
      const events = await tx<StoredEvent[]>`
        select subject, subject_version as version, type, data, array_to_json(moves) as moves
        from runtime.events order by seq`
      return {
        orders: orders.map(({ lines, cancelled, ...order }) => ({
          ...order,
          id: wire('ord', order.id),
          lines: lines.map(({ sku, quantity }, n) => ({ sku, quantity, left: quantity - (cancelled?.[n] ?? 0) })),
        })),
        holds: holds.map((hold) => ({ ...hold, id: wire('hld', hold.id) })),
        rows: [...rows],
        events: [...events],
      }
    })
  } finally {
    await sql.end()
  }
}
