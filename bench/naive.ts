// What one would write first: a transaction an order, its stock rows locked in order, then inserts and updates. The same
// tables, checks and rows as the engine's, by hand on postgres.js, with as many connections as suit it best.
import type postgres from 'postgres'
import { openSql } from '../src/runtime/database-url.ts'
import { customerOf, customers, pickTwo, skuOf, skusSpread, unitPrice } from './shapes.ts'
import type { Store } from './store.ts'

type Row = { id: string; sku: string; free: string }

async function placeOrder(sql: postgres.Sql, shopId: number): Promise<void> {
  const skus = pickTwo(skusSpread).map(skuOf)
  const customer = customerOf(Math.floor(Math.random() * customers))
  const [hash, request] = [crypto.randomUUID(), crypto.randomUUID()]
  await sql.begin(async (tx) => {
    const earlier = await tx`select result_id from orders.keys_young_0 where shop_id = ${shopId} and hash = ${hash}`
    if (earlier.length > 0) throw new Error('a random key came twice')
    const rows = await tx<Row[]>`
      select id, sku, on_hand + allowance - reserved - committed as free from stock.rows
      where shop_id = ${shopId} and sku in ${tx(skus)} order by id for update`
    if (rows.length < 2 || rows.some((row) => Number(row.free) < 1)) throw new Error('insufficient stock')
    const lines = skus.map((sku) => {
      const row = Number(rows.find((one) => one.sku === sku)!.id)
      const allocations = [{ row, location: 'main', quantity: 1 }]
      return { sku, quantity: 1, unitPrice, amount: unitPrice, allocations }
    })
    const document = JSON.stringify({ currency: 'EUR', total: 2 * unitPrice, lines, customer, reference: null })
    const [order] = await tx<{ id: string }[]>`
      insert into orders.orders (shop_id, id, placed_at, customer, document)
      values (${shopId}, uuidv7(), now(), ${customer}, ${document}::text::json) returning id`
    const { id } = order!
    const rowIds = `{${rows.map((row) => row.id).join(',')}}`
    const event = JSON.stringify({ order_id: id, currency: 'EUR', total: 2 * unitPrice, lines: skus })
    const moves = `{${rows.map((row) => `${row.id},0,1,0,0`).join(',')}}`
    await Promise.all([
      tx`insert into orders.states (shop_id, id, status, version, expires_at, updated_at, row_ids)
        values (${shopId}, ${id}, 'pending', 1, now() + interval '15 minutes', now(), ${rowIds}::text::bigint[])`,
      tx`insert into orders.keys_young_0 (shop_id, hash, request, result_id) values (${shopId}, ${hash}, ${request}, ${id})`,
      tx`update stock.rows set reserved = reserved + 1, version = version + 1
        where id = any(${rowIds}::text::bigint[])`,
      tx`insert into runtime.events (shop_id, event_id, subject, subject_version, type, at, data, moves)
        values (${shopId}, gen_random_uuid(), ${`ord_eu1_${id.replaceAll('-', '').slice(0, 26)}`}, 1, 'order.placed', now(),
          ${event}::text::json, ${moves}::text::bigint[])`,
    ])
  })
}

/** Orders per second of so many connections, each placing one after the other. */
export async function runNaive({ url, shopId }: Store, connections: number, seconds: number): Promise<number> {
  const sql = openSql(url, { max: connections, fetch_types: false, onnotice: () => {} }) as unknown as postgres.Sql
  try {
    await Promise.all(Array.from({ length: connections }, () => placeOrder(sql, shopId))) // connects and prepares
    const startedAt = performance.now()
    const endsAt = startedAt + seconds * 1000
    let placed = 0
    const buyer = async () => {
      for (; performance.now() < endsAt; placed++) await placeOrder(sql, shopId)
    }
    await Promise.all(Array.from({ length: connections }, buyer))
    return placed / ((performance.now() - startedAt) / 1000)
  } finally {
    await sql.end()
  }
}

/** The number of connections at which it is fastest. */
export async function bestConnections(store: Store, among: readonly number[], seconds: number): Promise<number> {
  let best = { connections: among[0]!, perSecond: 0 }
  for (const connections of among) {
    const perSecond = await runNaive(store, connections, seconds)
    if (perSecond > best.perSecond) best = { connections, perSecond }
  }
  return best.connections
}
