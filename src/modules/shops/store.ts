// The statements of shops and keys. A key is found by its SHA-256; its text is nowhere.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { textArray } from '../../runtime/pg-values.ts'
import type { SettingsBody } from './settings.ts'
import type { KeyKind, Scope } from './types.ts'

// The identity is drawn even when there is a conflict, so the insert is tried only when the shop is missing.
const makeShopSql = `
  insert into shops.shops (code, name, live, secret)
  select $1, $2, false, decode($3, 'hex') where not exists (select from shops.shops where code = $1)
  on conflict (code) do nothing`
const shopSql = `select id, encode(secret, 'hex') as secret from shops.shops where code = $1`

export type ShopRecord = { id: ShopId; secret: string }

export const makeShop = (session: Session, shop: { code: string; name: string; secret: string }) =>
  session.run(makeShopSql, [shop.code, shop.name, shop.secret])

export const findShop = (database: Pick<Database, 'query'>, code: string) => database.query<ShopRecord>(shopSql, [code])

const findKeySql = `
  select k.shop_id, k.id, k.kind, to_json(k.scopes) as scopes, encode(s.secret, 'hex') as secret, newest.settings
  from shops.keys k join shops.shops s on s.id = k.shop_id
  left join lateral (
    select settings from shops.settings where shop_id = k.shop_id order by version desc limit 1
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

const keyColumns = 'id, kind, name, to_json(scopes) as scopes, created_at, revoked_at'
const makeKeySql = `
  insert into shops.keys (shop_id, id, hash, kind, name, scopes)
  values ($1, $2, decode($3, 'hex'), $4, $5, $6::text[]) returning ${keyColumns}`
const listKeysSql = `select ${keyColumns} from shops.keys where shop_id = $1 order by created_at, id`
const revokeKeySql = `
  update shops.keys set revoked_at = coalesce(revoked_at, now()) where shop_id = $1 and id = $2 returning ${keyColumns}`

export type KeyRecord = {
  id: Uuid
  kind: KeyKind
  name: string
  scopes: Scope[]
  created_at: Instant
  revoked_at: Instant | null
}
export type NewKey = { shopId: ShopId; id: Uuid; hash: string; kind: KeyKind; name: string; scopes: readonly Scope[] }

export const makeKey = (session: Session, key: NewKey) =>
  session.run<KeyRecord>(makeKeySql, [key.shopId, key.id, key.hash, key.kind, key.name, textArray(key.scopes)])

export const listKeys = (database: Pick<Database, 'query'>, shopId: ShopId) =>
  database.query<KeyRecord>(listKeysSql, [shopId])

export const revokeKey = (session: Session, shopId: ShopId, id: Uuid) =>
  session.run<KeyRecord>(revokeKeySql, [shopId, id])
