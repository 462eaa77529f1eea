// What orders tell, as last committed: one by id, and lists, newest first, by keyset on the id (which grows in time).
import type { ShopId, Uuid } from '../../base/ids.ts'
import { uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { bareArray, type Param } from '../../runtime/pg-values.ts'
import type { OrderStatus } from './states.ts'
import { type OrderRecord, orderColumns, orderOf, orderTables } from './store.ts'
import type { Order } from './types.ts'

type Reader = Pick<Database, 'query'>

const readOrdersByIdSql = `
  select ${orderColumns} from unnest($1::integer[], $2::uuid[]) u(shop_id, id)
  join ${orderTables} on s.shop_id = u.shop_id and s.id = u.id`

// By the primary key, newest first, since no index knows the status.
const openInSliceSql = `
  with slice as (
    select shop_id, id, status from orders.states where (shop_id, id) < ($1, $2::uuid)
    order by shop_id desc, id desc limit $3)
  select shop_id as "shopId", id, (select bool_or(status not in ('completed', 'cancelled')) from slice) as "isOpen"
  from slice order by shop_id, id limit 1`

type Slice = { shopId: ShopId; id: Uuid; isOpen: boolean }

/** Of any shop: an order that is not over. Looks at all of them when there is none, so it is for a cell that is to go. */
export async function hasOpenOrders(database: Reader, slice: number = limits.openOrdersSlice): Promise<boolean> {
  let [shopId, id] = [shopIdMax, newest]
  for (;;) {
    const [oldestSeen] = await database.query<Slice>(openInSliceSql, [shopId, id, slice])
    if (!oldestSeen) return false
    if (oldestSeen.isOpen) return true
    ;({ shopId, id } = oldestSeen)
  }
}

export type ReadOrder = (shopId: ShopId, id: Uuid) => Promise<Order | undefined>

type WaitingRead = { shopId: ShopId; id: Uuid; resolve(order: Order | undefined): void; reject(error: unknown): void }

/** Reads that are asked for in one turn of the event loop are one statement: a resent bulk request asks for thousands. */
export function createOrderReader(database: Reader): ReadOrder {
  let waiting: WaitingRead[] = []

  async function readAll(reads: WaitingRead[]): Promise<void> {
    try {
      const columns = [bareArray(reads.map((read) => read.shopId)), bareArray(reads.map((read) => read.id))]
      const records = await database.query<OrderRecord>(readOrdersByIdSql, columns)
      const found = new Map(records.map((record) => [`${record.shop_id} ${record.id}`, record]))
      for (const { shopId, id, resolve } of reads) {
        const record = found.get(`${shopId} ${id}`)
        resolve(record && orderOf(record))
      }
    } catch (error) {
      for (const { reject } of reads) reject(error)
    }
  }

  function readWaiting(): void {
    const reads = waiting
    waiting = []
    for (let at = 0; at < reads.length; at += limits.readsPerStatementMax) {
      void readAll(reads.slice(at, at + limits.readsPerStatementMax))
    }
  }

  return (shopId, id) =>
    new Promise((resolve, reject) => {
      if (waiting.push({ shopId, id, resolve, reject }) === 1) setImmediate(readWaiting)
    })
}

const orderOfPartSql = 'select order_id from orders.parts where shop_id = $1 and id = $2'

/** The order that a shipment or a return is of. */
export async function readOrderOfPart(database: Reader, shopId: ShopId, id: Uuid): Promise<Uuid | undefined> {
  const [part] = await database.query<{ order_id: Uuid }>(orderOfPartSql, [shopId, id])
  return part?.order_id
}

export type OrderFilter = {
  status: OrderStatus | null
  customer: string | null
  email: string | null
  reference: string | null
  createdAfter: Instant | null
  createdBefore: Instant | null
}

// Conditions are added only when they are asked for, so that each combination has a plan of its own (at most 64).
const conditions = {
  status: (n: number) => `s.status = $${n}`,
  customer: (n: number) =>
    `s.id in (select c.id from orders.orders c where c.shop_id = $1 and c.customer = $${n} and c.id < $2::uuid and c.id >= $3::uuid)`,
  email: (n: number) =>
    `s.id in (select p.order_id from orders.personal p where p.shop_id = $1 and lower(p.email) = lower($${n}))`,
  reference: (n: number) =>
    `s.id = (select r.order_id from orders.order_references r where r.shop_id = $1 and r.reference = $${n})`,
} as const

function listSql(filters: readonly (keyof typeof conditions)[]): string {
  const where = filters.map((filter, index) => ` and ${conditions[filter](index + 5)}`).join('')
  return `
  select ${orderColumns} from ${orderTables}
  where s.shop_id = $1 and s.id < $2::uuid and s.id >= $3::uuid${where}
  order by s.id desc limit $4`
}

const shopIdMax = (2 ** 31 - 1) as ShopId
const zeros = new Uint8Array(10)
const newest = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as Uuid
const oldest = '00000000-0000-0000-0000-000000000000' as Uuid

/** The least id of an instant: ids carry their millisecond first. */
const leastIdAt = (at: Instant): Uuid => uuidV7(instant(Math.max(0, at)), zeros)
const lesser = (a: Uuid, b: Uuid): Uuid => (a < b ? a : b)

/** At most `limit` orders before `before`, newest first. `createdAfter` and `createdBefore` are both exclusive. */
export async function readOrders(
  database: Reader,
  shopId: ShopId,
  filter: OrderFilter,
  page: { before: Uuid | null; limit: number },
): Promise<Order[]> {
  const below = lesser(page.before ?? newest, filter.createdBefore === null ? newest : leastIdAt(filter.createdBefore))
  const from = filter.createdAfter === null ? oldest : leastIdAt(instant(filter.createdAfter + 1))
  const names = (Object.keys(conditions) as (keyof typeof conditions)[]).filter((name) => filter[name] !== null)
  const values: Param[] = names.map((name) => filter[name])
  const records = await database.query<OrderRecord>(listSql(names), [shopId, below, from, page.limit, ...values])
  return records.map(orderOf)
}

const noFilter: OrderFilter = {
  status: null,
  customer: null,
  email: null,
  reference: null,
  createdAfter: null,
  createdBefore: null,
}

/** Orders made within a span, both ends exclusive, newest first; null is without an end. */
export const readOrdersOfSpan =
  (database: Reader) =>
  (
    shopId: ShopId,
    { after, before }: { after: Instant | null; before: Instant | null },
    page: { before: Uuid | null; limit: number },
  ): Promise<Order[]> =>
    readOrders(database, shopId, { ...noFilter, createdAfter: after, createdBefore: before }, page)
