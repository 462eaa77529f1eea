// What stock tells: levels, holds, policies and locations as last committed; and the locations, which no command moves.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { type ReplicaRow, tellWritten } from '../../runtime/replica.ts'
import { locationKind, locationRow } from './replica.ts'
import { type HoldRecord, holdColumns, holdOf, policyOf, readPolicies, readRows, type TransferRecord } from './store.ts'
import type { Hold, Location, Policy, StockLevel, StockRow } from './types.ts'

type Reader = Pick<Database, 'query'>

/** One level per SKU that exists, in the order asked for. `now` is only told, it decides nothing. */
export async function readLevels(
  database: Reader,
  shopId: ShopId,
  skus: readonly Sku[],
  now: number,
): Promise<StockLevel[]> {
  const wanted = [...new Set(skus)]
  const rowsBySku = new Map<Sku, StockRow[]>()
  for (const row of await readRows(database, shopId, wanted)) {
    const rows = rowsBySku.get(row.sku)
    if (rows) rows.push(row)
    else rowsBySku.set(row.sku, [row])
  }
  return wanted.flatMap((sku) => {
    const rows = rowsBySku.get(sku)
    return rows ? [{ sku, rows, asOf: instant(now) }] : []
  })
}

export async function readPolicy(database: Reader, shopId: ShopId, sku: Sku): Promise<Policy | undefined> {
  const session = { run: database.query }
  const record = (await readPolicies(session, [{ shopId, sku }]))[0]
  return record && policyOf(record)
}

// A hold whose time is over is told as expired even before the sweeper has written so.
const readHoldSql = `
  select ${holdColumns.replace('h.status', "case when h.status = 'active' and h.expires_at <= clock_timestamp() then 'expired' else h.status end as status")}
  from stock.holds h where h.shop_id = $1 and h.id = $2`

export async function readHold(database: Reader, shopId: ShopId, id: Uuid): Promise<Hold | undefined> {
  const record = (await database.query<HoldRecord>(readHoldSql, [shopId, id]))[0]
  return record && holdOf(record)
}

const hasUnitsSql = `
  select exists (
      select 1 from stock.rows where on_hand <> 0 or reserved <> 0 or committed <> 0 or allowance <> 0 or missing <> 0)
    or exists (select 1 from stock.holds where status = 'active') as found`

/** Of any shop: units that are there or missing, sold and not shipped, or held; or a share of an allowance. */
export const hasUnits = async (database: Reader): Promise<boolean> =>
  (await database.query<{ found: boolean }>(hasUnitsSql))[0]!.found

const transfersPageSql = `
  select t.row_id, r.sku, r.location, t.sent_units, t.sent_allowance, t.received_units, t.received_allowance
  from stock.transfers t join stock.rows r on r.id = t.row_id
  where t.peer = $1 and r.shop_id = $2 and t.row_id > $3 order by t.row_id limit $4`

type TransferOfPlace = TransferRecord & { sku: Sku; location: LocationCode }

/** Between this cell and another, in the order of their rows. */
export const readTransfersPage = (
  database: Reader,
  shopId: ShopId,
  { peer, after, limit }: { peer: string; after: number; limit: number },
): Promise<TransferOfPlace[]> => database.query<TransferOfPlace>(transfersPageSql, [peer, shopId, after, limit])

const locationColumns = 'l.shop_id, l.code, l.name, l.cell, l.priority, l.address, l.lat, l.lon, l.version'
const readLocationsSql = `
  select ${locationColumns} from stock.locations l where l.shop_id = $1 order by l.priority, l.code`

const locationsAtSql = `
  select distinct code from stock.locations where cell = $1 order by code limit ${limits.locationsNamedMax}`

/** Some of those whose home the cell is, of any shop. */
export const locationsAt = async (database: Reader, cell: CellName): Promise<LocationCode[]> =>
  (await database.query<{ code: LocationCode }>(locationsAtSql, [cell])).map(({ code }) => code)

type LocationRecord = Omit<Location, 'shopId'> & { shop_id: ShopId }

const locationOf = ({ shop_id, ...location }: LocationRecord): Location => ({ shopId: shop_id, ...location })

export const readLocations = async (database: Reader, shopId: ShopId): Promise<Location[]> =>
  (await database.query<LocationRecord>(readLocationsSql, [shopId])).map(locationOf)

const movedLately = "l.moved_at > clock_timestamp() - $2 * interval '1 millisecond'"
const homesSql = `
  select l.code, l.cell, to_json(case when ${movedLately} then l.earlier else '{}' end) as earlier
  from stock.locations l where l.shop_id = $1`

export type LocationHome = { code: LocationCode; cell: CellName; earlier: CellName[] }

/** With the cells that were their homes, for as long as a key may be known there. */
export const readHomes = (database: Reader, shopId: ShopId): Promise<LocationHome[]> =>
  database.query<LocationHome>(homesSql, [shopId, limits.homeMovedMsMax])

const writeLocationSql = `
  insert into stock.locations as l (shop_id, code, name, cell, priority, address, lat, lon, written_by)
  values ($1, $3, $4, $5, $6, $7::json, $8, $9, $10)
  on conflict (shop_id, code) do update set name = excluded.name, cell = excluded.cell, priority = excluded.priority,
    address = excluded.address, lat = excluded.lat, lon = excluded.lon, version = l.version + 1,
    written_by = excluded.written_by,
    earlier = case when l.cell = excluded.cell then l.earlier
      else case when ${movedLately} then array_remove(l.earlier, l.cell) else '{}' end || l.cell end,
    moved_at = case when l.cell = excluded.cell then l.moved_at else clock_timestamp() end
  where $11::integer is null or l.version = $11
  returning ${locationColumns}, ${locationRow}`
const addLocationSql = `
  insert into stock.locations as l (shop_id, code, name, cell, written_by) values ($1, $2, $3, $4, $4)
  on conflict do nothing returning ${locationRow}`

/** Undefined when `ifVersion` is not its version. */
export async function writeLocation(
  database: Pick<Database, 'transaction'>,
  location: Omit<Location, 'version'>,
  { ifVersion, by }: { ifVersion: number | null; by: CellName },
): Promise<Location | undefined> {
  const { shopId, code, name, cell, priority, address, lat, lon } = location
  const addressText = address && JSON.stringify(address)
  const params = [shopId, limits.homeMovedMsMax, code, name, cell, priority, addressText, lat, lon, by, ifVersion]
  return database.transaction(async (session) => {
    const [written] = await session.run<LocationRecord & { row: ReplicaRow }>(writeLocationSql, params)
    if (!written) return undefined
    const { row, ...record } = written
    await tellWritten(session, locationKind, row)
    return locationOf(record)
  })
}

const mainLocation = 'main' as LocationCode

/** Every shop has `main`, at the cell that made the shop. */
export async function ensureMainLocation(
  database: Pick<Database, 'transaction'>,
  shopId: ShopId,
  cell: CellName,
): Promise<void> {
  await database.transaction(async (session) => {
    const [made] = await session.run<{ row: ReplicaRow }>(addLocationSql, [shopId, mainLocation, 'Main', cell])
    if (made) await tellWritten(session, locationKind, made.row)
  })
}

const owingSql = `
  select distinct r.shop_id, r.sku from stock.rows r
  where r.missing > 0 or (r.tracking = 'counted' and r.on_hand + r.allowance < r.reserved + r.committed)
  limit ${limits.owedMax}`

/** All rows of each SKU of which a count found less than was sold, here or in other cells. */
export async function readOwing(database: Reader): Promise<StockRow[][]> {
  const found = await database.query<{ shop_id: ShopId; sku: Sku }>(owingSql, [])
  const shops = Map.groupBy(found, ({ shop_id }) => shop_id)
  const rows = await Promise.all(
    [...shops].map(([shopId, of]) =>
      readRows(
        database,
        shopId,
        of.map(({ sku }) => sku),
      ),
    ),
  )
  return [...Map.groupBy(rows.flat(), ({ shopId, sku }) => `${shopId} ${sku}`).values()]
}
