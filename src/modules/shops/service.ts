// Shops and their keys: makes the default shop, issues and revokes keys, and tells who a request comes from. What was
// found is remembered for a few seconds, so that a key costs one map look-up a request and a revocation still bites.
import { present } from '../../base/assert.ts'
import { type ShopId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { DatabaseUnavailable } from '../../runtime/pg-failure.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { createSigner, newSecret, secretHash } from '../../runtime/secret.ts'
import { defaultSettings, riskRulesOf, type Settings, settingsOf, termsOf } from './settings.ts'
import { readSettings } from './settings-store.ts'
import { findKey, findShop, type KeyRecord, listKeys, makeKey, makeShop, revokeKey } from './store.ts'
import { type Key, type KeyKind, type Principal, type Scope, scopes, storefrontScopes } from './types.ts'

const defaultShop = 'default'

type Store = Pick<Database, 'query' | 'transaction'>

/** The shop of the code; made, with a secret of its own, when it is missing. */
export async function ensureShop(database: Store, code = defaultShop): Promise<{ id: ShopId; secret: Uint8Array }> {
  const found = (await findShop(database, code))[0]
  if (found) return { id: found.id, secret: Buffer.from(found.secret, 'hex') }
  const secret = newSecret(32, 'hex')
  await database.transaction((session) => makeShop(session, { code, name: code, secret }))
  const made = present((await findShop(database, code))[0], `shop ${code}`)
  return { id: made.id, secret: Buffer.from(made.secret, 'hex') }
}

export type KeyRequest = { shopId: ShopId; kind: KeyKind; name: string; scopes: readonly Scope[] }

/** Makes a key; `text` is shown now and never again. */
export async function issueKey(
  database: Store,
  request: KeyRequest,
  now: Instant,
): Promise<{ key: Key; text: string }> {
  const text = `${request.kind}_test_${newSecret(24, 'base64url')}`
  const id = uuidV7(now, randomIdBytes())
  const granted = request.kind === 'pk' ? storefrontScopes : request.scopes
  const rows = await database.transaction((session) =>
    makeKey(session, { ...request, scopes: granted, id, hash: secretHash(text) }),
  )
  return { key: keyOf(present(rows[0], 'the new key')), text }
}

export const keysOf = async (database: Store, shopId: ShopId): Promise<Key[]> =>
  (await listKeys(database, shopId)).map(keyOf)

/** Undefined when the shop has no such key. */
export async function withdrawKey(database: Store, shopId: ShopId, id: Uuid): Promise<Key | undefined> {
  const rows = await database.transaction((session) => revokeKey(session, shopId, id))
  return rows[0] && keyOf(rows[0])
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
const developmentKeys = { secret: 'sk_dev', storefront: 'pk_dev' } as const

export function developmentPrincipals(shop: { id: ShopId; secret: Uint8Array }): Map<string, Principal> {
  const shared = { shopId: shop.id, keyId: null, sign: createSigner(shop.secret), ...inForce(defaultSettings) }
  return new Map<string, Principal>([
    [developmentKeys.secret, { ...shared, kind: 'sk', scopes: new Set(scopes) }],
    [developmentKeys.storefront, { ...shared, kind: 'pk', scopes: new Set(storefrontScopes) }],
  ])
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

/** `fixed` keys are valid without being stored; their shop's settings are read as those of any other. */
export function createKeys(
  database: Pick<Database, 'query'>,
  now: () => Instant,
  fixed: ReadonlyMap<string, Principal> = new Map(),
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
    const development = fixed.get(text)
    const before = forgotten
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
      for (const one of remembered.values()) if (one.principal?.shopId === shopId) one.until = 0
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
