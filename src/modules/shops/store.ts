// The statements of shops and keys. A key is found by its SHA-256; its text is nowhere. What is written is told to all cells
// in the same transaction.
import type { CellName, ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { textArray } from '../../runtime/pg-values.ts'
import { type ReplicaRow, tellWritten } from '../../runtime/replica.ts'
import { keyKind, keyRow, settingsHere, shopKind, shopRow } from './replica.ts'
import type { SettingsBody } from './settings.ts'
import type { KeyKind, Scope } from './types.ts'

// The identity is drawn even when there is a conflict, so the insert is tried only when the shop is missing.
const makeShopSql = `
  insert into shops.shops as s (code, name, live, secret, written_by)
  select $1, $2, false, decode($3, 'hex'), $4 where not exists (select from shops.shops where code = $1)
  on conflict (code) do nothing returning ${shopRow}`
const shopSql = `select id, encode(secret, 'hex') as secret from shops.shops where code = $1`

export type ShopRecord = { id: ShopId; secret: string }

export type NewShop = { code: string; name: string; secret: string; cell: CellName }

export async function makeShop(session: Session, { code, name, secret, cell }: NewShop): Promise<void> {
  const [made] = await session.run<{ row: ReplicaRow }>(makeShopSql, [code, name, secret, cell])
  if (made) await tellWritten(session, shopKind, made.row)
}

export const findShop = (database: Pick<Database, 'query'>, code: string) => database.query<ShopRecord>(shopSql, [code])

const describeSql = `select code as id, name, case when live then 'live' else 'test' end as mode from shops.shops where id = $1`

export type ShopDescription = { id: string; name: string; mode: 'test' | 'live' }

export const describeShops = (database: Pick<Database, 'query'>, shopId: ShopId) =>
  database.query<ShopDescription>(describeSql, [shopId])

const findKeySql = `
  select k.shop_id, k.id, k.kind, to_json(k.scopes) as scopes, encode(s.secret, 'hex') as secret, newest.settings
  from shops.keys k join shops.shops s on s.id = k.shop_id
  left join lateral (
    select ${settingsHere} from shops.settings t where t.shop_id = k.shop_id order by t.version desc limit 1
  ) newest on true
  where k.hash = decode($1, 'hex') and k.revoked_at is null`

export type KeyHolder = {
  shop_id: ShopId
  id: Uuid
  kind: KeyKind
  scopes: Scope[]
  secret: string
  /** Null when nothing was ever set. */
  settings: SettingsBody | null
}

export const findKey = (database: Pick<Database, 'query'>, hash: string) =>
  database.query<KeyHolder>(findKeySql, [hash])

const keyColumns = 'k.id, k.kind, k.name, to_json(k.scopes) as scopes, k.created_at, k.revoked_at'
const makeKeySql = `
  insert into shops.keys as k (shop_id, id, hash, kind, name, scopes, written_by)
  values ($1, $2, decode($3, 'hex'), $4, $5, $6::text[], $7) returning ${keyColumns}, ${keyRow}`
const listKeysSql = `select ${keyColumns} from shops.keys k where k.shop_id = $1 order by k.created_at, k.id`
const keySql = `select ${keyColumns} from shops.keys k where k.shop_id = $1 and k.id = $2`
const revokeKeySql = `
  update shops.keys k set revoked_at = now(), version = k.version + 1, written_by = $3
  where k.shop_id = $1 and k.id = $2 and k.revoked_at is null returning ${keyColumns}, ${keyRow}`

export type KeyRecord = {
  id: Uuid
  kind: KeyKind
  name: string
  scopes: Scope[]
  created_at: Instant
  revoked_at: Instant | null
}
export type NewKey = {
  shopId: ShopId
  id: Uuid
  hash: string
  kind: KeyKind
  name: string
  scopes: readonly Scope[]
  cell: CellName
}
type WrittenKey = KeyRecord & { row: ReplicaRow }

export async function makeKey(session: Session, key: NewKey): Promise<KeyRecord> {
  const { shopId, id, hash, kind, name, cell } = key
  const params = [shopId, id, hash, kind, name, textArray(key.scopes), cell]
  const [made] = await session.run<WrittenKey>(makeKeySql, params)
  await tellWritten(session, keyKind, made!.row)
  return made!
}

export const listKeys = (database: Pick<Database, 'query'>, shopId: ShopId) =>
  database.query<KeyRecord>(listKeysSql, [shopId])

/** Of one that is revoked already nothing changes; undefined when there is none. */
export async function revokeKey(
  session: Session,
  { shopId, id, cell }: { shopId: ShopId; id: Uuid; cell: CellName },
): Promise<KeyRecord | undefined> {
  const [revoked] = await session.run<WrittenKey>(revokeKeySql, [shopId, id, cell])
  if (!revoked) return (await session.run<KeyRecord>(keySql, [shopId, id]))[0]
  await tellWritten(session, keyKind, revoked.row)
  return revoked
}
