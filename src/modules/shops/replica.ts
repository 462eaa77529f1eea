// Shops, keys and settings as every cell has them: the rows as they travel, how they are paged, and how those of another
// cell are applied. A shop keeps its number; its secret and the hashes of keys go from cell to cell only.

import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { ReplicaKind } from '../../runtime/replica.ts'
import { type SettingsBody, withoutPersonal } from './settings.ts'

// `row` in answers of the statements that write, and in pages: every column, so that it is whole elsewhere.
export const shopRow = `json_build_object('id', s.id, 'code', s.code, 'name', s.name, 'live', s.live, 'secret', s.secret,
  'created_at', s.created_at, 'version', s.version, 'written_by', s.written_by) as row`
export const keyRow = `json_build_object('shop_id', k.shop_id, 'id', k.id, 'hash', k.hash, 'kind', k.kind, 'name', k.name,
  'scopes', k.scopes, 'created_at', k.created_at, 'revoked_at', k.revoked_at, 'version', k.version,
  'written_by', k.written_by) as row`
export const settingsRow = `json_build_object('shop_id', t.shop_id, 'version', t.version, 'settings', t.settings,
  'changed_at', t.changed_at, 'key_id', t.key_id, 'written_by', t.written_by) as row`

/**
 * The settings of a row `t` as they count in this zone. One that was told by a cell of another zone has no addresses: those of the
 * newest version before it that was set in this zone go on, in whatever order the versions have come.
 */
export const settingsHere = `
  case when t.settings #> '{risk,review,emails}' is not null then t.settings else coalesce((
    select jsonb_set(
      jsonb_set(t.settings::jsonb, '{risk,review,emails}', o.settings::jsonb #> '{risk,review,emails}'),
      '{risk,refuse,emails}', o.settings::jsonb #> '{risk,refuse,emails}')::json
    from shops.settings o
    where o.shop_id = t.shop_id and o.version < t.version and o.settings #> '{risk,review,emails}' is not null
    order by o.version desc limit 1), t.settings) end as settings`

const shopsPageSql = `select ${shopRow} from shops.shops s where s.id > $1 order by s.id limit $2`
const applyShopsSql = `
  insert into shops.shops as s (id, code, name, live, secret, created_at, version, written_by) overriding system value
  select id, code, name, live, secret, created_at, version, written_by
  from json_populate_recordset(null::shops.shops, $1) order by id
  on conflict (id) do update set code = excluded.code, name = excluded.name, live = excluded.live,
    secret = excluded.secret, created_at = excluded.created_at, version = excluded.version,
    written_by = excluded.written_by
  where (s.version, s.written_by) < (excluded.version, excluded.written_by)`

const keysPageSql = `
  select ${keyRow} from shops.keys k where (k.shop_id, k.id) > ($1, $2) order by k.shop_id, k.id limit $3`
const applyKeysSql = `
  insert into shops.keys as k (shop_id, id, hash, kind, name, scopes, created_at, revoked_at, version, written_by)
  select shop_id, id, hash, kind, name, scopes, created_at, revoked_at, version, written_by
  from json_populate_recordset(null::shops.keys, $1) order by shop_id, id
  on conflict (shop_id, id) do update set hash = excluded.hash, kind = excluded.kind, name = excluded.name,
    scopes = excluded.scopes, created_at = excluded.created_at, revoked_at = excluded.revoked_at,
    version = excluded.version, written_by = excluded.written_by
  where (k.version, k.written_by) < (excluded.version, excluded.written_by)`

const settingsPageSql = `
  select ${settingsRow} from shops.settings t where (t.shop_id, t.version) > ($1, $2)
  order by t.shop_id, t.version limit $3`
const lockShopsSql = `
  select id from shops.shops
  where id in (select shop_id from json_populate_recordset(null::shops.settings, $1)) order by id for no key update`
// Two cells that set a shop's settings at once both wrote the version that followed: one of them stands. What a cell of another
// zone has told first, without addresses, gives way to the same with them.
const applySettingsSql = `
  insert into shops.settings as t (shop_id, version, settings, changed_at, key_id, written_by)
  select shop_id, version, settings, changed_at, key_id, written_by
  from json_populate_recordset(null::shops.settings, $1) order by shop_id, version
  on conflict (shop_id, version) do update set settings = excluded.settings, changed_at = excluded.changed_at,
    key_id = excluded.key_id, written_by = excluded.written_by
  where t.written_by < excluded.written_by
    or (t.written_by = excluded.written_by and t.settings #> '{risk,review,emails}' is null
      and excluded.settings #> '{risk,review,emails}' is not null)`

export const shopKind: ReplicaKind = {
  name: 'shop',
  type: 'shop.set',
  keyOf: (row) => [row.id as number],
  firstKey: [0],
  pageSql: shopsPageSql,
  pageMax: limits.replicaPageMax,
  apply: async (session, rows) => void (await session.run(applyShopsSql, [JSON.stringify(rows)])),
}

export const keyKind: ReplicaKind = {
  name: 'key',
  type: 'key.set',
  keyOf: (row) => [row.shop_id as number, row.id as string],
  firstKey: [0, '00000000-0000-0000-0000-000000000000'],
  pageSql: keysPageSql,
  pageMax: limits.replicaPageMax,
  apply: async (session, rows) => void (await session.run(applyKeysSql, [JSON.stringify(rows)])),
}

/** Every version of them is a row of its own, so that their history is the same everywhere. */
export const settingsKind: ReplicaKind = {
  name: 'settings',
  type: 'settings.set',
  keyOf: (row) => [row.shop_id as number, row.version],
  firstKey: [0, 0],
  pageSql: settingsPageSql,
  pageMax: limits.replicaSettingsPageMax,
  async apply(session, rows) {
    const text = JSON.stringify(rows)
    await session.run(lockShopsSql, [text]) // as whoever sets them here does
    await session.run(applySettingsSql, [text])
  },
  withoutPersonal: (row) => ({ ...row, settings: withoutPersonal(row.settings as SettingsBody) as Json }),
}

/** With what this process remembers of keys: a key that was revoked elsewhere is refused as soon as its row is here. */
export function shopReplicas(keys: { forget(shopId: number): void }): ReplicaKind[] {
  const forget: ReplicaKind['applied'] = (rows) => {
    for (const shopId of new Set(rows.map((row) => row.shop_id as number))) keys.forget(shopId)
  }
  return [shopKind, { ...keyKind, applied: forget }, { ...settingsKind, applied: forget }]
}
