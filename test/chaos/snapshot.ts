// What the store holds at one moment, read with SQL of the test's own. One transaction, so that its parts belong together.
import { type CellName, type IdPrefix, toWireId, type Uuid } from '../../src/base/ids.ts'
import type { Life } from '../../src/modules/orders/life.ts'
import type { OrderStatus } from '../../src/modules/orders/states.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'

/** `left`: neither cancelled nor shipped. */
export type StoredLine = {
  sku: string
  price: number
  quantity: number
  cancelled: number
  shipped: number
  returned: number
  left: number
}
export type StoredOrder = {
  id: string
  status: OrderStatus
  cancelReason: string | null
  version: number
  total: number
  lines: StoredLine[]
  provider: string | null
  /** The key that made it, as the client wrote it into the order's metadata. */
  key: string | null
  /** Null as long as nothing has happened but placing, confirming and cancelling. */
  life: Life | null
}
export type StoredHold = { id: string; status: string; version: number; lines: { sku: string; quantity: number }[] }
export type StoredRow = {
  id: number
  sku: string
  onHand: number
  reserved: number
  committed: number
  shipped: number
  /** Counted as gone while other cells hold the right to them. */
  missing: number
}
export type StoredEvent = {
  subject: string
  version: number
  type: string
  data: { sku?: string; delta?: number; on_hand?: number; reason?: string; provider?: string }
  /** Groups of five: row id, and the changes of on hand, reserved, committed, shipped. */
  moves: number[]
}
/** The test provider's own record. */
export type StoredCharge = {
  paymentId: string
  amount: number
  captured: number
  refunded: number
  status: string
}

export type Snapshot = {
  orders: StoredOrder[]
  holds: StoredHold[]
  rows: StoredRow[]
  events: StoredEvent[]
  charges: StoredCharge[]
  /** What providers were asked and have not answered: nothing is, at the end. */
  operations: { kind: string; provider: string; paymentId: string; state: string; error: string | null }[]
  /** Events of Stripe that were taken in. */
  stripeEvents: number
}

type OrderRow = Omit<StoredOrder, 'lines' | 'total'> & {
  document: { total: number; lines: { sku: string; quantity: number; unitPrice: number }[] }
  cancelled: number[] | null
}

const wireId = (prefix: IdPrefix, id: string, cell = 'eu1'): string => toWireId(prefix, cell as CellName, id as Uuid)
/** The id of a part of an order, which is in the order's cell. */
export const partId = (prefix: IdPrefix, id: string, order: { id: string }): string =>
  wireId(prefix, id, order.id.split('_')[1])

export async function takeSnapshot(url: DatabaseUrl, cell = 'eu1'): Promise<Snapshot> {
  const sql = openSql(url, { max: 1 })
  try {
    return await sql.begin('isolation level repeatable read read only', async (tx) => {
      const orders = await tx<OrderRow[]>`
        select s.id, s.status, s.cancel_reason as "cancelReason", s.version, s.life, o.document,
          array_to_json(s.cancelled) as cancelled, o.document ->> 'provider' as provider, a.metadata ->> 'key' as key
        from orders.states s join orders.orders o using (shop_id, id)
        left join orders.annotations a on a.shop_id = s.shop_id and a.order_id = s.id`
      const holds = await tx<StoredHold[]>`select id, status, version, lines from stock.holds`
      const rows = await tx<StoredRow[]>`
        select id::float8, sku, on_hand::float8 as "onHand", reserved::float8, committed::float8, shipped::float8,
          missing::float8
        from stock.rows`
      const events = await tx<StoredEvent[]>`
        select subject, subject_version as version, type, data, array_to_json(moves) as moves
        from runtime.events order by seq`
      const charges = await tx<StoredCharge[]>`
        select payment_id as "paymentId", amount::float8, captured::float8, refunded::float8, status
        from test_provider.charges`
      const operations = await tx<Snapshot['operations']>`
        select kind, provider, payment_id as "paymentId", state, last_error as error from payments.operations`
      const [stripe] = await tx<{ events: number }[]>`select count(*)::int as events from payments.stripe_events`
      return {
        orders: orders.map((order) => storedOrder(order, cell)),
        holds: holds.map((hold) => ({ ...hold, id: wireId('hld', hold.id, cell) })),
        rows: [...rows],
        events: [...events],
        charges: charges.map((charge) => ({ ...charge, paymentId: wireId('pay', charge.paymentId, cell) })),
        stripeEvents: stripe!.events,
        operations: operations.map((one) => ({ ...one, paymentId: wireId('pay', one.paymentId, cell) })),
      }
    })
  } finally {
    await sql.end()
  }
}

function storedOrder({ document, cancelled, ...order }: OrderRow, cell: string): StoredOrder {
  const { shipments = [], returns = [] } = order.life ?? {}
  const shippedLines = shipments.flatMap(({ lines }) => lines)
  const receivedLines = returns.flatMap(({ received }) => received)
  const lines = document.lines.map(({ sku, quantity, unitPrice }, index) => {
    const ofLine = unitsOf((one) => one.line === index)
    const gone = { cancelled: cancelled?.[index] ?? 0, shipped: ofLine(shippedLines), returned: ofLine(receivedLines) }
    return { sku, quantity, price: unitPrice, ...gone, left: quantity - gone.cancelled - gone.shipped }
  })
  return { ...order, id: wireId('ord', order.id, cell), total: document.total, lines }
}

type Part = { line: number; quantity: number }
const unitsOf = (isMeant: (part: Part) => boolean) => (parts: readonly Part[]) =>
  parts.reduce((sum, part) => (isMeant(part) ? sum + part.quantity : sum), 0)
