// Shops and their keys: makes the default shop at the first cell and finds it at the others, issues and revokes keys, and tells who a request comes from. What was
// found is remembered for a few seconds, so that a key costs one map look-up a request and a revocation still bites.
import { present } from '../../base/assert.ts'
import { type CellName, type ShopId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { DatabaseUnavailable } from '../../runtime/pg-failure.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { createSigner, newSecret, secretHash } from '../../runtime/secret.ts'
import { defaultSettings, riskRulesOf, type Settings, settingsOf, termsOf } from './settings.ts'
import { readSettings } from './settings-store.ts'
import {
  describeShops,
  findKey,
  findShop,
  type KeyRecord,
  listKeys,
  makeKey,
  makeShop,
  revokeKey,
  type ShopDescription,
} from './store.ts'
import { type Key, type KeyKind, type Principal, type Scope, scopes, storefrontScopes } from './types.ts'

const defaultShop = 'default'

type Store = Pick<Database, 'query' | 'transaction'>

export type Shop = { id: ShopId; secret: Uint8Array }

/** The default shop; undefined where it is not yet. */
export async function readShop(database: Pick<Database, 'query'>): Promise<Shop | undefined> {
  const found = (await findShop(database, defaultShop))[0]
  return found && { id: found.id, secret: Buffer.from(found.secret, 'hex') }
}

/** As its owner names it. */
export const describeShop = async (database: Pick<Database, 'query'>, shopId: ShopId): Promise<ShopDescription> =>
  present((await describeShops(database, shopId))[0], 'the shop of a key')

/** The default shop; made, with a secret of its own, when it is missing. For the first cell: the others receive it. */
export async function ensureShop(database: Store, cell: CellName): Promise<Shop> {
  const found = await readShop(database)
  if (found) return found
  const secret = newSecret(32, 'hex')
  const shop = { code: defaultShop, name: defaultShop, secret, cell }
  await database.transaction((session) => makeShop(session, shop))
  return present(await readShop(database), 'the default shop')
}

/** Asks until the shop is there, and then no more. */
export function onceThere(find: () => Promise<Shop | undefined>): () => Promise<Shop | undefined> {
  let shop: Shop | undefined
  return async () => {
    shop ??= await find()
    return shop
  }
}

/** Who writes, and when. */
export type Writing = { cell: CellName; now: Instant }
export type KeyRequest = { shopId: ShopId; kind: KeyKind; name: string; scopes: readonly Scope[] }

/** Makes a key; `text` is shown now and never again. */
export async function issueKey(
  database: Store,
  request: KeyRequest,
  { cell, now }: Writing,
): Promise<{ key: Key; text: string }> {
  const text = `${request.kind}_test_${newSecret(24, 'base64url')}`
  const id = uuidV7(now, randomIdBytes())
  const granted = request.kind === 'pk' ? storefrontScopes : request.scopes
  const made = { ...request, scopes: granted, id, hash: secretHash(text), cell }
  return { key: keyOf(await database.transaction((session) => makeKey(session, made))), text }
}

export const keysOf = async (database: Store, shopId: ShopId): Promise<Key[]> =>
  (await listKeys(database, shopId)).map(keyOf)

/** Undefined when the shop has no such key. */
export async function withdrawKey(
  database: Store,
  key: { shopId: ShopId; id: Uuid },
  cell: CellName,
): Promise<Key | undefined> {
  const record = await database.transaction((session) => revokeKey(session, { ...key, cell }))
  return record && keyOf(record)
}

const keyOf = (record: KeyRecord): Key => ({
  id: record.id,
  kind: record.kind,
  name: record.name,
  scopes: record.scopes,
  createdAt: toRfc3339(record.created_at),
  revokedAt: record.revoked_at === null ? null : toRfc3339(record.revoked_at),
})

/** The keys of the development profile, which listens on loopback only. */
export const developmentKeys = { secret: 'sk_dev', storefront: 'pk_dev' } as const

/** Keys that are valid without being stored. Undefined: it is none of them. Rejects while its shop is not there yet. */
export type FixedKeys = (text: string) => Promise<Principal | undefined>

export function developmentPrincipals(findShop: () => Promise<Shop | undefined>): FixedKeys {
  const kinds = new Map<string, Pick<Principal, 'kind' | 'scopes'>>([
    [developmentKeys.secret, { kind: 'sk', scopes: new Set(scopes) }],
    [developmentKeys.storefront, { kind: 'pk', scopes: new Set(storefrontScopes) }],
  ])
  return async (text) => {
    const fixed = kinds.get(text)
    if (!fixed) return undefined
    const shop = await findShop()
    if (!shop) throw new DatabaseUnavailable('shop_not_received', 'the cell has not received its shop yet')
    return { ...fixed, shopId: shop.id, keyId: null, sign: createSigner(shop.secret), ...inForce(defaultSettings) }
  }
}

/** What of the settings every order needs, made once and not for each. */
const inForce = (settings: Settings): Pick<Principal, 'terms' | 'risk'> => ({
  terms: termsOf(settings),
  risk: riskRulesOf(settings),
})

export type Keys = {
  /** By the whole Authorization header. Undefined: not known now, ask `find`. Null: no valid key. */
  known(header: string): Principal | null | undefined
  find(header: string): Promise<Principal | null>
  /** The shop's settings have changed: its keys are looked up anew. */
  forget(shopId: number): void
}

type Remembered = { principal: Principal | null; until: number }

/** The settings of a fixed key's shop are read as those of any other. */
export function createKeys(
  database: Pick<Database, 'query'>,
  now: () => Instant,
  fixed: FixedKeys = async () => undefined,
): Keys {
  const remembered = new Map<string, Remembered>()
  const finding = new Map<string, Promise<Principal | null>>() // many requests of one key look it up once
  let forgotten = 0

  function remember(header: string, principal: Principal | null): void {
    if (remembered.size >= limits.keysRememberedMax) remembered.clear()
    remembered.set(header, { principal, until: now() + limits.keyRememberedMs })
  }

  async function lookUp(header: string): Promise<Principal | null> {
    const text = /^Bearer ((?:sk|pk)_[A-Za-z0-9_-]{3,200})$/i.exec(header)?.[1]
    if (text === undefined) return null
    const before = forgotten
    const development = await fixed(text)
    const principal = development
      ? await withSettings(database, remembered.get(header)?.principal ?? development)
      : await principalOf(database, text)
    if (before === forgotten) remember(header, principal) // else it may hold what has changed meanwhile
    return principal
  }

  return {
    known(header) {
      const found = remembered.get(header)
      return found && found.until > now() ? found.principal : undefined
    },
    find(header) {
      const begun = finding.get(header)
      if (begun) return begun
      const looking = lookUp(header).finally(() => {
        if (finding.get(header) === looking) finding.delete(header)
      })
      finding.set(header, looking)
      return looking
    },
    forget(shopId) {
      forgotten++
      finding.clear()
      for (const one of remembered.values()) {
        if (one.principal === null || one.principal.shopId === shopId) one.until = 0 // what was no key may be one now
      }
    },
  }
}

async function principalOf(database: Pick<Database, 'query'>, text: string): Promise<Principal | null> {
  const record = (await findKey(database, secretHash(text)))[0]
  if (!record) return null
  return {
    shopId: record.shop_id,
    keyId: record.id,
    kind: record.kind,
    scopes: new Set(record.scopes),
    sign: createSigner(Buffer.from(record.secret, 'hex')),
    ...inForce(settingsOf(record.settings ?? {})),
  }
}

/** A fixed key is valid while the database is away too, with the settings that were seen last. */
async function withSettings(database: Pick<Database, 'query'>, principal: Principal): Promise<Principal> {
  try {
    const current = await readSettings(database, principal.shopId)
    return { ...principal, ...inForce(settingsOf(current?.settings ?? {})) }
  } catch (error) {
    if (error instanceof DatabaseUnavailable) return principal
    throw error
  }
}
