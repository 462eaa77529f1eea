// The statements of stock and holds that run inside a batch: lock and load, then write. All set-based: arrays in and out.
// Locked rows are sorted by id; a joined row that is not locked (the location) decides nothing about counts.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Rows, Session } from '../../runtime/pg-session.ts'
import { bareArray, jsonLines, textArray } from '../../runtime/pg-values.ts'
import type {
  AwaitedDue,
  DueQuery,
  Hold,
  HoldLine,
  HoldStatus,
  Policy,
  ShopSku,
  StockRow,
  StockRowId,
  Tracking,
  Transfer,
} from './types.ts'

const shopIds = (items: readonly { shopId: ShopId }[]): string => bareArray(items.map((item) => item.shopId))
const skus = (items: readonly { sku: Sku }[]): string => textArray(items.map((item) => item.sku))
const ids = (items: readonly { id: Uuid }[]): string => bareArray(items.map((item) => item.id))

/** The parameters of `unnest($1::integer[], $2::text[])`. */
export const shopSkus = (of: readonly ShopSku[]): [string, string] => [shopIds(of), skus(of)]

/** The row ids of some SKUs, as an array expression over the parameters $1 (shops) and $2 (SKUs). */
export const rowIdsOfSkus = `array(
  select r.id from unnest($1::integer[], $2::text[]) u(shop_id, sku) join stock.rows r using (shop_id, sku))`

// Due: statement_timestamp() can bound an index scan, the volatile clock_timestamp() cannot.
export const holdColumns = 'h.shop_id, h.id, h.status, h.version, h.expires_at, h.lines'

const lockHoldsSql = `
  select ${holdColumns} from unnest($1::integer[], $2::uuid[]) u(shop_id, id) join stock.holds h using (shop_id, id)
  order by h.id for update of h`
const lockAwaitedHoldsSql = `
  select ${holdColumns} from (
    select u.shop_id, u.id from unnest($4::integer[], $5::uuid[]) u(shop_id, id)
    union (
      select d.shop_id, d.id from stock.holds d
      where d.status = 'active' and d.expires_at <= statement_timestamp() and d.row_ids && ${rowIdsOfSkus}
      order by d.expires_at limit $3)) u
  join stock.holds h using (shop_id, id) order by h.id for update of h`
const lockDueHoldsSql = `
  select ${holdColumns} from stock.holds h
  where h.status = 'active' and h.expires_at <= statement_timestamp() and h.row_ids && ${rowIdsOfSkus}
  order by h.expires_at limit $3 for update of h skip locked`
const otherDueHoldSql = `
  select h.id from stock.holds h
  where h.status = 'active' and h.expires_at <= statement_timestamp() and h.row_ids && ${rowIdsOfSkus}
    and h.id <> all ($3::uuid[]) limit 1`
const lockAnyDueHoldsSql = `
  select ${holdColumns} from stock.holds h where h.status = 'active' and h.expires_at <= statement_timestamp()
  order by h.expires_at limit $1 for update of h skip locked`

export type HoldRecord = {
  shop_id: ShopId
  id: Uuid
  status: HoldStatus
  version: number
  expires_at: Instant
  lines: HoldLine[]
}

export const holdOf = (record: HoldRecord): Hold => ({
  shopId: record.shop_id,
  id: record.id,
  status: record.status,
  version: record.version,
  expiresAt: record.expires_at,
  lines: record.lines,
})

export const lockHolds = (session: Session, named: readonly { shopId: ShopId; id: Uuid }[]) =>
  session.run<HoldRecord>(lockHoldsSql, [shopIds(named), ids(named)])

/** What is named, and what is due and may have to be waited for. */
export const lockAwaitedHolds = (
  session: Session,
  named: readonly { shopId: ShopId; id: Uuid }[],
  { skus, limit }: AwaitedDue,
) => session.run<HoldRecord>(lockAwaitedHoldsSql, [...shopSkus(skus), limit, shopIds(named), ids(named)])

export const lockDueHolds = (session: Session, due: DueQuery) =>
  due.skus === 'any'
    ? session.run<HoldRecord>(lockAnyDueHoldsSql, [due.limit])
    : session.run<HoldRecord>(lockDueHoldsSql, [...shopSkus(due.skus), due.limit])

export const findOtherDueHold = (session: Session, of: readonly ShopSku[], loaded: readonly { id: Uuid }[]) =>
  session.run<{ id: Uuid }>(otherDueHoldSql, [...shopSkus(of), ids(loaded)])

// A policy may be there before any row of its SKU, since policies arrive from other cells. Rows are made as it says, so whoever
// makes rows shares this lock from before it looks, and who writes what has arrived takes it alone: neither misses the other.
const policiesLock = 4_207_003
const sharePoliciesSql = `select pg_advisory_xact_lock_shared(${policiesLock})`
const ownPoliciesSql = `select pg_advisory_xact_lock(${policiesLock})`

export const sharePolicies = (session: Session) => session.run(sharePoliciesSql)
export const ownPolicies = (session: Session) => session.run(ownPoliciesSql)

// Sorted, so that two batches that make the same rows wait for each other in one order.
const makeRowsSql = `
  insert into stock.rows (shop_id, sku, location, tracking)
  select distinct u.shop_id, u.sku, u.location, coalesce(p.tracking, 'counted')
  from unnest($1::integer[], $2::text[], $3::text[]) u(shop_id, sku, location)
  join stock.locations l on l.shop_id = u.shop_id and l.code = u.location
  left join stock.policies p on p.shop_id = u.shop_id and p.sku = u.sku
  order by 1, 2, 3
  on conflict do nothing returning id`
const removeRowsSql = `delete from stock.rows where id = any($1::bigint[])`

/** Makes the rows that are missing, of known locations; answers the ids of those it made. A later statement than sharePolicies. */
export const makeRows = (session: Session, rows: readonly (ShopSku & { location: LocationCode })[]) =>
  session.run<{ id: StockRowId }>(makeRowsSql, [shopIds(rows), skus(rows), textArray(rows.map((row) => row.location))])

export const removeRows = (session: Session, rowIds: readonly StockRowId[]) =>
  session.run(removeRowsSql, [bareArray(rowIds)])

const rowColumns = `r.shop_id, r.sku, r.location, r.id, r.tracking, r.on_hand, r.reserved, r.committed, r.shipped,
  r.allowance, r.missing, r.version, r.counted_at, l.priority, l.country, l.lat, l.lon`

const lockRowsSql = `
  select ${rowColumns} from unnest($1::integer[], $2::text[]) u(shop_id, sku)
  join stock.rows r using (shop_id, sku) join stock.locations l on l.shop_id = r.shop_id and l.code = r.location
  order by r.id for update of r`
const readRowsSql = `
  select ${rowColumns} from unnest($1::text[]) u(sku) join stock.rows r on r.shop_id = $2 and r.sku = u.sku
  join stock.locations l on l.shop_id = r.shop_id and l.code = r.location order by r.id`

type RowRecord = {
  shop_id: ShopId
  sku: Sku
  location: LocationCode
  id: StockRowId
  tracking: Tracking
  on_hand: number
  reserved: number
  committed: number
  shipped: number
  allowance: number
  missing: number
  version: number
  counted_at: Instant | null
  priority: number
  country: string | null
  lat: number | null
  lon: number | null
}

export const rowOf = (record: RowRecord): StockRow => ({
  id: record.id,
  shopId: record.shop_id,
  sku: record.sku,
  location: record.location,
  tracking: record.tracking,
  onHand: record.on_hand,
  reserved: record.reserved,
  committed: record.committed,
  shipped: record.shipped,
  allowance: record.allowance,
  missing: record.missing,
  version: record.version,
  countedAt: record.counted_at,
  site: { priority: record.priority, country: record.country, lat: record.lat, lon: record.lon },
})

export const lockRows = (session: Session, of: readonly ShopSku[]) => session.run<RowRecord>(lockRowsSql, shopSkus(of))

/** The latest committed rows of a shop's SKUs, sorted by id. */
export async function readRows(
  database: { query<Row>(text: string, params: readonly string[]): Promise<Rows<Row>> },
  shopId: ShopId,
  of: readonly Sku[],
): Promise<StockRow[]> {
  return (await database.query<RowRecord>(readRowsSql, [textArray(of), String(shopId)])).map(rowOf)
}

// Absolute values: the rows have been locked since they were read.
const updateRowsSql = `
  with updated as (
    update stock.rows r set tracking = u.tracking, on_hand = u.on_hand, reserved = u.reserved, committed = u.committed,
      shipped = u.shipped, allowance = u.allowance, missing = u.missing, version = u.version, counted_at = to_timestamp(u.counted_at / 1000.0)
    from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
      $8::bigint[], $9::integer[], $10::bigint[])
      u(id, tracking, on_hand, reserved, committed, shipped, allowance, missing, version, counted_at)
    where r.id = u.id returning 1)
  select runtime.expect_rows(count(*), $11) from updated`

export const updateRows = (session: Session, rows: readonly StockRow[]) =>
  session.run(updateRowsSql, [
    bareArray(rows.map((row) => row.id)),
    bareArray(rows.map((row) => row.tracking)),
    bareArray(rows.map((row) => row.onHand)),
    bareArray(rows.map((row) => row.reserved)),
    bareArray(rows.map((row) => row.committed)),
    bareArray(rows.map((row) => row.shipped)),
    bareArray(rows.map((row) => row.allowance)),
    bareArray(rows.map((row) => row.missing)),
    bareArray(rows.map((row) => row.version)),
    bareArray(rows.map((row) => row.countedAt ?? 'null')),
    rows.length,
  ])

const insertHoldsSql = `
  insert into stock.holds (shop_id, id, status, version, expires_at, row_ids, lines)
  select u.shop_id, u.id, u.status, u.version, to_timestamp(u.expires_at / 1000.0), u.row_ids::bigint[], u.lines::json
  from rows from (unnest($1::integer[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::text[]),
    string_to_table($7, E'\\n')) u(shop_id, id, status, version, expires_at, row_ids, lines)`
const updateHoldsSql = `
  with updated as (
    update stock.holds h set status = u.status, version = u.version, expires_at = to_timestamp(u.expires_at / 1000.0)
    from unnest($1::integer[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[]) u(shop_id, id, status, version, expires_at)
    where h.shop_id = u.shop_id and h.id = u.id returning 1)
  select runtime.expect_rows(count(*), $6) from updated`

const changingColumns = (holds: readonly Hold[]): string[] => [
  shopIds(holds),
  ids(holds),
  bareArray(holds.map((hold) => hold.status)),
  bareArray(holds.map((hold) => hold.version)),
  bareArray(holds.map((hold) => hold.expiresAt)),
]

export const insertHolds = (session: Session, holds: readonly Hold[]) =>
  session.run(insertHoldsSql, [
    ...changingColumns(holds),
    textArray(holds.map((hold) => rowIdsOf(hold.lines))),
    jsonLines(holds.map((hold) => JSON.stringify(hold.lines))),
  ])

export const updateHolds = (session: Session, holds: readonly Hold[]) =>
  session.run(updateHoldsSql, [...changingColumns(holds), holds.length])

/** The stock rows that lines draw on, as an array literal without repeats. */
export function rowIdsOf(lines: readonly { allocations: readonly { row: StockRowId }[] }[]): string {
  const rowIds = new Set<StockRowId>()
  for (const line of lines) for (const allocation of line.allocations) rowIds.add(allocation.row)
  return bareArray([...rowIds])
}

const readPoliciesSql = `
  select p.shop_id, p.sku, p.tracking, p.allowance, to_json(p.regions) as regions, p.sku_group, p.version,
    p.written_by, p.elsewhere
  from unnest($1::integer[], $2::text[]) u(shop_id, sku) join stock.policies p using (shop_id, sku)`
// Writers of a policy hold the locks of its SKU's rows.
const writePolicySql = `
  insert into stock.policies (shop_id, sku, tracking, allowance, regions, sku_group, version, written_by, elsewhere)
  values ($1, $2, $3, $4, (select array_agg(value) from json_array_elements_text($5::json)), $6, $7, $8, $9)
  on conflict (shop_id, sku) do update set tracking = excluded.tracking, allowance = excluded.allowance,
    regions = excluded.regions, sku_group = excluded.sku_group, version = excluded.version,
    written_by = excluded.written_by, elsewhere = excluded.elsewhere`

type PolicyRecord = {
  shop_id: ShopId
  sku: Sku
  tracking: Tracking
  allowance: number
  regions: string[] | null
  sku_group: string | null
  version: number
  written_by: CellName
  elsewhere: number
}

export const policyOf = (record: PolicyRecord): Policy => ({
  shopId: record.shop_id,
  sku: record.sku,
  tracking: record.tracking,
  allowance: record.allowance,
  regions: record.regions,
  group: record.sku_group,
  version: record.version,
  writtenBy: record.written_by,
  elsewhere: record.elsewhere,
})

export const readPolicies = (session: Pick<Session, 'run'>, of: readonly ShopSku[]) =>
  session.run<PolicyRecord>(readPoliciesSql, shopSkus(of))

export const writePolicy = (session: Session, policy: Policy) =>
  session.run(writePolicySql, [
    policy.shopId,
    policy.sku,
    policy.tracking,
    policy.allowance,
    policy.regions === null ? null : JSON.stringify(policy.regions),
    policy.group,
    policy.version,
    policy.writtenBy,
    policy.elsewhere,
  ])

// Whoever writes a transfer holds the lock of its row.
const readTransfersSql = `
  select t.row_id, t.peer, t.sent_units, t.sent_allowance, t.received_units, t.received_allowance
  from (select distinct * from unnest($1::integer[], $2::text[])) u(shop_id, sku)
  join stock.rows r using (shop_id, sku) join stock.transfers t on t.row_id = r.id`
const writeTransfersSql = `
  insert into stock.transfers (row_id, peer, sent_units, sent_allowance, received_units, received_allowance)
  select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
  on conflict (row_id, peer) do update set sent_units = excluded.sent_units, sent_allowance = excluded.sent_allowance,
    received_units = excluded.received_units, received_allowance = excluded.received_allowance`

export type TransferRecord = {
  row_id: StockRowId
  peer: CellName
  sent_units: number
  sent_allowance: number
  received_units: number
  received_allowance: number
}

export const transferOf = (record: TransferRecord): Transfer => ({
  row: record.row_id,
  peer: record.peer,
  sentUnits: record.sent_units,
  sentAllowance: record.sent_allowance,
  receivedUnits: record.received_units,
  receivedAllowance: record.received_allowance,
})

export const readTransfers = (session: Pick<Session, 'run'>, of: readonly ShopSku[]) =>
  session.run<TransferRecord>(readTransfersSql, shopSkus(of))

/** Read behind the lock that all batches share: who is marked waits for those that have not seen it. */
export const readLeaving = (session: Pick<Session, 'run'>) =>
  session.run<{ peer: CellName }>('select peer from stock.leaving')

export const writeTransfers = (session: Session, transfers: readonly Transfer[]) =>
  session.run(writeTransfersSql, [
    bareArray(transfers.map(({ row }) => row)),
    textArray(transfers.map(({ peer }) => peer)),
    bareArray(transfers.map(({ sentUnits }) => sentUnits)),
    bareArray(transfers.map(({ sentAllowance }) => sentAllowance)),
    bareArray(transfers.map(({ receivedUnits }) => receivedUnits)),
    bareArray(transfers.map(({ receivedAllowance }) => receivedAllowance)),
  ])
