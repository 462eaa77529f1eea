// When cells have nothing more to tell each other: no units on their way, and no key that names no cell has two orders that stand.
import { type DatabaseUrl, openSql } from '../../../src/runtime/database-url.ts'
import { embeddedUrl } from '../../support/holdfast.ts'
import { type Cell, cells } from './plan.ts'
import { byCell } from './scene.ts'

/** One total of a cell's, over what it sent to a peer or has received from it. */
export type Total = { cell: Cell; peer: Cell; sku: string; location: string; sent: string; received: string }

export async function databasesOf(data: string): Promise<Record<Cell, DatabaseUrl>> {
  const urls = await Promise.all(cells.map((cell) => embeddedUrl(data, cell)))
  return byCell((cell) => urls[cells.indexOf(cell)]!)
}

async function readTotals(cell: Cell, url: DatabaseUrl): Promise<Total[]> {
  const sql = openSql(url, { max: 1 })
  try {
    return await sql<Total[]>`
      select ${cell} as cell, t.peer, r.sku, r.location, t.sent_units || '+' || t.sent_allowance as sent,
        t.received_units || '+' || t.received_allowance as received
      from stock.transfers t join stock.rows r on r.id = t.row_id`
  } finally {
    await sql.end()
  }
}

/** What was sent and has not arrived, or has arrived and was never sent. */
export async function inFlight(databases: Record<Cell, DatabaseUrl>): Promise<string[]> {
  const totals = (await Promise.all(cells.map((cell) => readTotals(cell, databases[cell])))).flat()
  const name = (from: string, to: string, { sku, location }: Total) => `${sku} at ${location} from ${from} to ${to}`
  const sent = new Map(totals.map((total) => [name(total.cell, total.peer, total), total.sent]))
  const received = new Map(totals.map((total) => [name(total.peer, total.cell, total), total.received]))
  return [...new Set([...sent.keys(), ...received.keys()])].flatMap((way) => {
    const [left = '0+0', arrived = '0+0'] = [sent.get(way), received.get(way)]
    return left === arrived ? [] : [`${way}: sent ${left}, received ${arrived}`]
  })
}

/** Keys with more than one order that is no duplicate, and the orders. */
export async function unmet(databases: Record<Cell, DatabaseUrl>): Promise<string[]> {
  const standing = new Map<string, string[]>()
  for (const cell of cells) {
    const sql = openSql(databases[cell], { max: 1 })
    const found = await sql<{ key: string; id: string }[]>`
      select a.metadata ->> 'key' as key, s.id from orders.states s
      join orders.annotations a on a.shop_id = s.shop_id and a.order_id = s.id
      where s.cancel_reason is distinct from 'duplicate'`
    await sql.end()
    for (const { key, id } of found) standing.set(key, [...(standing.get(key) ?? []), `${cell} ${id}`])
  }
  return [...standing].flatMap(([key, orders]) =>
    orders.length > 1 ? [`${key} has the orders ${orders.join(' and ')}`] : [],
  )
}
