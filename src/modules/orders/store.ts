// The statements of orders and keys that run inside a batch: lock and load, look up, write. All set-based: arrays in and out.
import type { CellName, ShopId, Sku, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, jsonLines, textArray } from '../../runtime/pg-values.ts'
import { rowIdsOf, rowIdsOfSkus, shopSkus } from '../stock/store.ts'
import type { AwaitedDue, DueQuery, ShopSku, ShopUuid, StockRowId } from '../stock/types.ts'
import type { KeyRow, PartRow, ReferenceRow } from './batch-state.ts'
import type { Life } from './life.ts'
import type { OrderStatus } from './states.ts'
import type { Annotations, CancelReason, Order, OrderDocument } from './types.ts'

const shopIds = (items: readonly { shopId: ShopId }[]): string => bareArray(items.map((item) => item.shopId))

export const orderColumns = `s.shop_id, s.id, s.status, s.version, s.expires_at, s.updated_at, s.cancel_reason,
  to_json(s.cancelled) as cancelled, s.life, o.placed_at, o.document, p.order_id as personal, p.email, p.address, p.note,
  a.tags, a.metadata`

/** Everything about an order. Only the state `s` changes, and only it is ever locked: the rest is written once. */
export const orderTables = `orders.states s
  join orders.orders o on o.shop_id = s.shop_id and o.id = s.id
  left join orders.personal p on p.shop_id = s.shop_id and p.order_id = s.id
  left join orders.annotations a on a.shop_id = s.shop_id and a.order_id = s.id`

export type OrderRecord = {
  shop_id: ShopId
  id: Uuid
  status: OrderStatus
  version: number
  expires_at: Instant | null
  updated_at: Instant
  cancel_reason: CancelReason | null
  cancelled: number[] | null
  life: Life | null
  placed_at: Instant
  document: Omit<OrderDocument, 'placedAt'>
  personal: Uuid | null
  email: string | null
  address: Record<string, string> | null
  note: string | null
  tags: Annotations['tags'] | null
  metadata: Annotations['metadata'] | null
}

export const orderOf = (record: OrderRecord): Order => ({
  ...record.document,
  placedAt: record.placed_at,
  shopId: record.shop_id,
  id: record.id,
  status: record.status,
  version: record.version,
  expiresAt: record.expires_at,
  updatedAt: record.updated_at,
  cancelReason: record.cancel_reason,
  cancelled: record.cancelled,
  life: record.life,
  personal: record.personal === null ? null : { email: record.email, address: record.address, note: record.note },
  annotations: record.tags === null ? null : { tags: record.tags, metadata: record.metadata! },
})

const lockOrdersSql = `
  select ${orderColumns} from unnest($1::integer[], $2::uuid[]) u(shop_id, id)
  join ${orderTables} on s.shop_id = u.shop_id and s.id = u.id order by s.id for update of s`
// Whoever waits for others locks all that it needs in one order, what is due among what it names.
const lockAwaitedOrdersSql = `
  select ${orderColumns} from (
    select u.shop_id, u.id from unnest($4::integer[], $5::uuid[]) u(shop_id, id)
    union (
      select d.shop_id, d.id from orders.states d
      where d.expires_at <= statement_timestamp() and d.row_ids && ${rowIdsOfSkus}
      order by d.expires_at limit $3)) u
  join ${orderTables} on s.shop_id = u.shop_id and s.id = u.id order by s.id for update of s`
const lockDueOrdersSql = `
  select ${orderColumns} from ${orderTables}
  where s.expires_at <= statement_timestamp() and s.row_ids && ${rowIdsOfSkus}
  order by s.expires_at limit $3 for update of s skip locked`
const otherDueOrderSql = `
  select s.id from orders.states s
  where s.expires_at <= statement_timestamp() and s.row_ids && ${rowIdsOfSkus}
    and s.id <> all ($3::uuid[]) limit 1`
const lockAnyDueOrdersSql = `
  select ${orderColumns} from ${orderTables} where s.expires_at <= statement_timestamp()
  order by s.expires_at limit $1 for update of s skip locked`

export const lockOrders = (session: Session, named: readonly ShopUuid[]) =>
  session.run<OrderRecord>(lockOrdersSql, [shopIds(named), bareArray(named.map((one) => one.id))])

/** What is named, and what is due and may have to be waited for. */
export const lockAwaitedOrders = (session: Session, named: readonly ShopUuid[], { skus, limit }: AwaitedDue) =>
  session.run<OrderRecord>(lockAwaitedOrdersSql, [
    ...shopSkus(skus),
    limit,
    shopIds(named),
    bareArray(named.map((one) => one.id)),
  ])

export const lockDueOrders = (session: Session, due: DueQuery) =>
  due.skus === 'any'
    ? session.run<OrderRecord>(lockAnyDueOrdersSql, [due.limit])
    : session.run<OrderRecord>(lockDueOrdersSql, [...shopSkus(due.skus), due.limit])

export const findOtherDueOrder = (session: Session, of: readonly ShopSku[], loaded: readonly { id: Uuid }[]) =>
  session.run<{ id: Uuid }>(otherDueOrderSql, [...shopSkus(of), bareArray(loaded.map((order) => order.id))])

/** Advisory lock that a batch shares while it looks up and writes keys; who moves or empties their tables takes it alone. */
export const keysLock = 4_207_001
export const generationTables = Array.from({ length: limits.keyGenerations }, (_, number) => `orders.keys_${number}`)
export const youngTables = ['orders.keys_young_0', 'orders.keys_young_1'] as const
export const keyTables = [...youngTables, ...generationTables]

const shareKeysSql = `select pg_advisory_xact_lock_shared(${keysLock})`
// A later statement than the lock's: one that began before it was granted would name a table that is being emptied.
const afterLocksSql = `
  select (turns % 2)::integer as young, floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now, (
    select count(*) from unnest($1::integer[], $2::text[]) u(shop_id, sku) join stock.rows using (shop_id, sku)) as rows
  from orders.key_generation`
const lookUpKeysSql = `
  select u.shop_id, u.hash, k.request, k.result_id, k.taken_by from unnest($1::integer[], $2::uuid[]) u(shop_id, hash)
  cross join lateral (
    ${keyTables.map((table) => `select request, result_id, taken_by from ${table} k where k.shop_id = u.shop_id and k.hash = u.hash`).join(' union all ')}) k`

type KeyRecord = {
  shop_id: ShopId
  hash: string
  request: string
  result_id: Uuid | null
  taken_by: CellName | null
}

export const shareKeys = (session: Session) => session.run(shareKeysSql)

/** Which of the young tables takes keys, the clock, and how many stock rows the SKUs have by now. */
export const readAfterLocks = (session: Session, of: readonly { shopId: ShopId; sku: Sku }[]) =>
  session.run<{ young: number; now: Instant; rows: number }>(afterLocksSql, shopSkus(of))
export const lookUpKeys = (session: Pick<Session, 'run'>, keys: readonly { shopId: ShopId; hash: string }[]) =>
  session.run<KeyRecord>(lookUpKeysSql, [shopIds(keys), bareArray(keys.map((key) => key.hash))])

export const keyRowOf = (record: KeyRecord): KeyRow => ({
  shopId: record.shop_id,
  hash: record.hash.replaceAll('-', ''),
  request: record.request.replaceAll('-', ''),
  resultId: record.result_id,
  takenBy: record.taken_by,
})

// Sorted, here and for references: processes that wait for each other's unique keys wait in one order.
const insertKeysSql = youngTables.map(
  (table) => `
  insert into ${table} (shop_id, hash, request, result_id, taken_by)
  select * from unnest($1::integer[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[]) order by 1, 2`,
)
export const insertKeys = (session: Session, young: number, keys: readonly KeyRow[]) =>
  session.run(insertKeysSql[young]!, [
    shopIds(keys),
    bareArray(keys.map((key) => key.hash)),
    bareArray(keys.map((key) => key.request)),
    bareArray(keys.map((key) => key.resultId ?? 'null')),
    bareArray(keys.map((key) => key.takenBy ?? 'null')),
  ])

const lookUpReferencesSql = `
  select shop_id, reference, order_id from unnest($1::integer[], $2::text[]) u(shop_id, reference)
  join orders.order_references using (shop_id, reference)`
const insertReferencesSql = `
  insert into orders.order_references (shop_id, reference, order_id)
  select * from unnest($1::integer[], $2::text[], $3::uuid[]) order by 1, 2`

type ReferenceRecord = { shop_id: ShopId; reference: string; order_id: Uuid }

export const lookUpReferences = (session: Session, wanted: readonly { shopId: ShopId; reference: string }[]) =>
  session.run<ReferenceRecord>(lookUpReferencesSql, [shopIds(wanted), textArray(wanted.map((one) => one.reference))])

export const insertReferences = (session: Session, rows: readonly ReferenceRow[]) =>
  session.run(insertReferencesSql, [
    shopIds(rows),
    textArray(rows.map((row) => row.reference)),
    bareArray(rows.map((row) => row.orderId)),
  ])

// One statement for both tables, so that each array is sent and read once.
const insertOrdersSql = `
  with placed as materialized (
    select * from rows from (
      unnest($1::integer[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[]),
      string_to_table($9, E'\\n'), string_to_table($10, E'\\n'), string_to_table($11, E'\\n'))
      u(shop_id, id, status, version, expires_at, updated_at, placed_at, customer, life, document, row_ids)
  ), documents as (
    insert into orders.orders (shop_id, id, placed_at, customer, document)
    select shop_id, id, to_timestamp(placed_at / 1000.0), customer, document::json from placed
  )
  insert into orders.states (shop_id, id, status, version, expires_at, updated_at, life, row_ids)
  select shop_id, id, status, version, to_timestamp(expires_at / 1000.0), to_timestamp(updated_at / 1000.0),
    nullif(life, '')::json, row_ids::bigint[]
  from placed`
const updateStatesSql = `
  with updated as (
    update orders.states s set status = u.status, version = u.version, expires_at = to_timestamp(u.expires_at / 1000.0),
      updated_at = to_timestamp(u.updated_at / 1000.0), cancel_reason = u.cancel_reason, cancelled = u.cancelled::integer[],
      life = nullif(u.life, '')::json
    from rows from (
      unnest($1::integer[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[], $7::text[], $8::text[]),
      string_to_table($9, E'\\n'))
      u(shop_id, id, status, version, expires_at, updated_at, cancel_reason, cancelled, life)
    where s.shop_id = u.shop_id and s.id = u.id returning 1)
  select runtime.expect_rows(count(*), $10) from updated`

const stateColumns = (orders: readonly Order[]): string[] => [
  shopIds(orders),
  bareArray(orders.map((order) => order.id)),
  bareArray(orders.map((order) => order.status)),
  bareArray(orders.map((order) => order.version)),
  bareArray(orders.map((order) => order.expiresAt ?? 'null')),
  bareArray(orders.map((order) => order.updatedAt)),
]

/** New orders: none of them is cancelled yet. */
export const insertOrders = (session: Session, orders: readonly Order[]) =>
  session.run(insertOrdersSql, [
    ...stateColumns(orders),
    bareArray(orders.map((order) => order.placedAt)),
    textArray(orders.map((order) => order.customer)),
    jsonLines(orders.map(lifeText)),
    jsonLines(orders.map(documentText)),
    orders.map((order) => rowIdsOf(order.lines)).join('\n'),
  ])

function documentText(order: Order): string {
  const { currency, total, lines, customer, reference, provider, holdId, exchangeOf } = order
  return JSON.stringify({ currency, total, lines, customer, reference, provider, holdId, exchangeOf })
}

export const updateStates = (session: Session, orders: readonly Order[]) =>
  session.run(updateStatesSql, [
    ...stateColumns(orders),
    bareArray(orders.map((order) => order.cancelReason ?? 'null')),
    textArray(orders.map((order) => order.cancelled && bareArray(order.cancelled))),
    jsonLines(orders.map(lifeText)),
    orders.length,
  ])

/** Empty for none. */
const lifeText = ({ life }: Order): string => (life ? JSON.stringify(life) : '')

const insertPartsSql = `
  insert into orders.parts (shop_id, id, order_id) select * from unnest($1::integer[], $2::uuid[], $3::uuid[])`
export const insertParts = (session: Session, parts: readonly PartRow[]) =>
  session.run(insertPartsSql, [
    shopIds(parts),
    bareArray(parts.map((part) => part.id)),
    bareArray(parts.map((part) => part.orderId)),
  ])

const writePersonalSql = `
  insert into orders.personal (shop_id, order_id, email, address, note)
  select shop_id, order_id, email, address::json, note
  from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[]) u(shop_id, order_id, email, address, note)
  on conflict (shop_id, order_id) do update set email = excluded.email, address = excluded.address, note = excluded.note`
const writeAnnotationsSql = `
  insert into orders.annotations (shop_id, order_id, tags, metadata)
  select shop_id, order_id, tags::json, metadata::json
  from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[]) u(shop_id, order_id, tags, metadata)
  on conflict (shop_id, order_id) do update set tags = excluded.tags, metadata = excluded.metadata`

/** Of the orders that have any. */
export const writePersonal = (session: Session, orders: readonly Order[]) =>
  session.run(writePersonalSql, [
    shopIds(orders),
    bareArray(orders.map((order) => order.id)),
    textArray(orders.map((order) => order.personal!.email)),
    textArray(orders.map((order) => order.personal!.address && JSON.stringify(order.personal!.address))),
    textArray(orders.map((order) => order.personal!.note)),
  ])

export const writeAnnotations = (session: Session, orders: readonly Order[]) =>
  session.run(writeAnnotationsSql, [
    shopIds(orders),
    bareArray(orders.map((order) => order.id)),
    textArray(orders.map((order) => JSON.stringify(order.annotations!.tags))),
    textArray(orders.map((order) => JSON.stringify(order.annotations!.metadata))),
  ])

// Newest first, among the newest few: a count that finds too little hits the orders that came last.
const ordersOnRowSql = `
  select s.id, o.document -> 'lines' as lines, to_json(s.cancelled) as cancelled, s.life
  from (select * from orders.states where shop_id = $1 order by id desc limit $3) s
  join orders.orders o on o.shop_id = s.shop_id and o.id = s.id
  where s.status not in ('cancelled', 'completed') and s.row_ids @> array[$2::bigint] order by s.id desc limit $4`

export const ordersOnRow = (
  session: Session,
  of: { shopId: ShopId; row: StockRowId; scannedMax: number; namedMax: number },
) =>
  session.run<{ id: Uuid; lines: OrderDocument['lines']; cancelled: number[] | null; life: Life | null }>(
    ordersOnRowSql,
    [of.shopId, of.row, of.scannedMax, of.namedMax],
  )
