// Locations and policies as every cell has them. A policy that arrives sets how its SKU is counted here, but no row's share
// of the allowance: shares are split where the policy was set, and move from cell to cell as units do.
import type { ShopId, Sku } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { ReplicaKind, ReplicaRow } from '../../runtime/replica.ts'
import { lockRows, ownPolicies } from './store.ts'

// `row` in answers of the statements that write, and in pages.
export const locationRow = `json_build_object('shop_id', l.shop_id, 'code', l.code, 'name', l.name, 'cell', l.cell,
  'priority', l.priority, 'address', l.address, 'lat', l.lat, 'lon', l.lon, 'earlier', l.earlier,
  'moved_at', l.moved_at, 'version', l.version, 'written_by', l.written_by) as row`
const locationsPageSql = `
  select ${locationRow} from stock.locations l where (l.shop_id, l.code) > ($1, $2) order by l.shop_id, l.code limit $3`
const applyLocationsSql = `
  insert into stock.locations as l
    (shop_id, code, name, cell, priority, address, lat, lon, earlier, moved_at, version, written_by)
  select shop_id, code, name, cell, priority, address, lat, lon, coalesce(earlier, '{}'), moved_at, version, written_by
  from json_populate_recordset(null::stock.locations, $1) order by shop_id, code
  on conflict (shop_id, code) do update set name = excluded.name, cell = excluded.cell, priority = excluded.priority,
    address = excluded.address, lat = excluded.lat, lon = excluded.lon, earlier = excluded.earlier,
    moved_at = excluded.moved_at, version = excluded.version, written_by = excluded.written_by
  where (l.version, l.written_by) < (excluded.version, excluded.written_by)`

const policiesPageSql = `
  select json_build_object('shop_id', p.shop_id, 'sku', p.sku, 'tracking', p.tracking, 'allowance', p.allowance,
    'regions', p.regions, 'sku_group', p.sku_group, 'version', p.version, 'written_by', p.written_by) as row
  from stock.policies p where (p.shop_id, p.sku) > ($1, $2) order by p.shop_id, p.sku limit $3`
// What was set elsewhere is no event of this cell's log: `elsewhere` grows by as much as the version.
const applyPoliciesSql = `
  insert into stock.policies as p (shop_id, sku, tracking, allowance, regions, sku_group, version, written_by, elsewhere)
  select shop_id, sku, tracking, allowance, regions, sku_group, version, written_by, version
  from json_populate_recordset(null::stock.policies, $1) order by shop_id, sku
  on conflict (shop_id, sku) do update set tracking = excluded.tracking, allowance = excluded.allowance,
    regions = excluded.regions, sku_group = excluded.sku_group, version = excluded.version,
    written_by = excluded.written_by, elsewhere = p.elsewhere + excluded.version - p.version
  where (p.version, p.written_by) < (excluded.version, excluded.written_by)`
const applyTrackingSql = `
  update stock.rows r set tracking = p.tracking
  from json_populate_recordset(null::stock.policies, $1) u join stock.policies p using (shop_id, sku)
  where r.shop_id = p.shop_id and r.sku = p.sku and r.tracking <> p.tracking`

export const locationKind: ReplicaKind = {
  name: 'location',
  type: 'location.set',
  keyOf: (row) => [row.shop_id as number, row.code as string],
  firstKey: [0, ''],
  pageSql: locationsPageSql,
  pageMax: limits.replicaPageMax,
  apply: async (session, rows) => void (await session.run(applyLocationsSql, [JSON.stringify(rows)])),
}

const policyKind: ReplicaKind = {
  name: 'policy',
  type: 'stock.policy_set',
  keyOf: (row) => [row.shop_id as number, row.sku as string],
  firstKey: [0, ''],
  pageSql: policiesPageSql,
  pageMax: limits.replicaPageMax,
  rowOf: policyRowOf,
  async apply(session, rows) {
    const text = JSON.stringify(rows)
    const skus = rows.map((row) => ({ shopId: row.shop_id as ShopId, sku: row.sku as Sku }))
    await ownPolicies(session)
    await lockRows(session, skus)
    await session.run(applyPoliciesSql, [text])
    await session.run(applyTrackingSql, [text])
  },
}

type PolicyEvent = { sku: string; tracking: string; allowance: number; regions: Json; group: Json; version?: number }

/** The engine's event is the shop's to see, and its log tells only what its own cell has set. */
function policyRowOf(event: LogEvent, from: string): ReplicaRow {
  const { sku, tracking, allowance, regions, group, version } = JSON.parse(event.data) as PolicyEvent
  // Before cells told each other of policies, all of them were set here and numbered as their subject was.
  const written =
    version === undefined ? { version: event.subjectVersion, written_by: '' } : { version, written_by: from }
  return { shop_id: event.shopId, sku, tracking, allowance, regions, sku_group: group, ...written }
}

export const stockReplicas: readonly ReplicaKind[] = [locationKind, policyKind]
