// Versions of a shop's settings: added here, never changed; of two cells that add the same one, one stands. Who adds one
// holds the lock on the shop's row.
import type { CellName, ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { type ReplicaRow, tellWritten } from '../../runtime/replica.ts'
import { settingsHere, settingsKind, settingsRow } from './replica.ts'
import type { Settings, SettingsBody } from './settings.ts'

/** As it was stored, perhaps before some field existed. */
export type SettingsRecord = { version: number; settings: SettingsBody; changed_at: Instant; key_id: Uuid | null }

const columns = `t.version, t.changed_at, t.key_id, ${settingsHere}`
const currentSql = `
  select ${columns} from shops.settings t where t.shop_id = $1 order by t.version desc limit 1`
const historySql = `
  select ${columns} from shops.settings t where t.shop_id = $1 and t.version < $2 order by t.version desc limit $3`
const lockShopSql = 'select id from shops.shops where id = $1 for no key update'
const addSql = `
  insert into shops.settings as t (shop_id, version, settings, key_id, written_by) values ($1, $2, $3, $4, $5)
  returning ${columns}, ${settingsRow}`

export async function readSettings(
  database: Pick<Database, 'query'>,
  shopId: ShopId,
): Promise<SettingsRecord | undefined> {
  return (await database.query<SettingsRecord>(currentSql, [shopId]))[0]
}

/** Newest first, those before a version. */
export const readHistory = (database: Pick<Database, 'query'>, shopId: ShopId, before: number, limit: number) =>
  database.query<SettingsRecord>(historySql, [shopId, before, limit])

export type NewSettings = {
  shopId: ShopId
  keyId: Uuid | null
  /** The version that was seen; null: whichever is there. */
  ifVersion: number | null
  settings: Settings
  cell: CellName
}

/** Undefined when the version is another. */
export async function addSettings(session: Session, added: NewSettings): Promise<SettingsRecord | undefined> {
  await session.run(lockShopSql, [added.shopId])
  const [current] = await session.run<SettingsRecord>(currentSql, [added.shopId])
  const version = current?.version ?? 0
  if (added.ifVersion !== null && added.ifVersion !== version) return undefined
  const settings = JSON.stringify(added.settings)
  const params = [added.shopId, version + 1, settings, added.keyId, added.cell]
  const [written] = await session.run<SettingsRecord & { row: ReplicaRow }>(addSql, params)
  await tellWritten(session, settingsKind, written!.row)
  return written
}
