// Cells that hear of each other's shops, keys, settings, locations and policies: each on a database of its own, the others'
// logs read from the others' databases.
import type { CellName, LocationCode, Sku } from '../../src/base/ids.ts'
import { type Instant, instant } from '../../src/base/time.ts'
import { createEngine } from '../../src/modules/orders/engine.ts'
import { createPostgresStore } from '../../src/modules/orders/engine-postgres.ts'
import { makeMonthPartitions } from '../../src/modules/orders/housekeeping.ts'
import { shopReplicas } from '../../src/modules/shops/replica.ts'
import { createKeys, ensureShop, issueKey, type Keys, withdrawKey } from '../../src/modules/shops/service.ts'
import { defaultSettings, type Settings } from '../../src/modules/shops/settings.ts'
import { addSettings } from '../../src/modules/shops/settings-store.ts'
import { ensureMainLocation, writeLocation } from '../../src/modules/stock/reads.ts'
import { stockReplicas } from '../../src/modules/stock/replica.ts'
import type { SetPolicy } from '../../src/modules/stock/types.ts'
import { type LogEvent, readRange } from '../../src/runtime/event-log.ts'
import { ensureIncarnation, type Lives } from '../../src/runtime/incarnation.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { ensureEventPartitions } from '../../src/runtime/partitions.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { type ReplicaKind, replicaConsumer } from '../../src/runtime/replica.ts'
import { migrationSources } from '../../src/units.ts'
import { type newUuid, shopId, submission } from './engine.ts'
import { createDatabase } from './postgres.ts'
import { writing } from './writing.ts'

export type ReplicaCell = {
  name: CellName
  url: string
  database: Database
  lives: Lives
  keys: Keys
  kinds: ReplicaKind[]
  engine: ReturnType<typeof createEngine>
  close(): Promise<void>
}

/** `now` is what its keys are remembered by. */
export async function openReplicaCell(text: string, now: () => Instant = () => instant(0)): Promise<ReplicaCell> {
  const name = text as CellName
  const url = await createDatabase()
  const database = openDatabase({ url, applicationName: text })
  await migrate(database, await readMigrations(migrationSources))
  await ensureEventPartitions(database)
  await makeMonthPartitions(database, instant(Date.now()))
  const keys = createKeys(database, now)
  const store = createPostgresStore((lane) => database.openSession(`lane ${lane}`))
  return {
    name,
    url,
    database,
    lives: await ensureIncarnation(database),
    keys,
    kinds: [...shopReplicas(keys), ...stockReplicas],
    engine: createEngine(store, { cell: name, startedAt: instant(0) }),
    async close() {
      await store.close()
      await database.close()
    },
  }
}

/** As the first cell of a topology begins. */
export async function makeShopAt({ database, name }: ReplicaCell): Promise<void> {
  await ensureMainLocation(database, (await ensureShop(database, name)).id, name)
}

export const logOf = ({ database }: Pick<ReplicaCell, 'database'>): Promise<LogEvent[]> =>
  readRange(database.query, { fromSeq: 0, toSeq: 1_000_000, max: 10_000 })

/** Hands events of one cell's log to another, in the order given, as often as they come. */
export async function deliver(
  from: CellName,
  to: Pick<ReplicaCell, 'database' | 'kinds'>,
  events: readonly LogEvent[],
): Promise<void> {
  const consumer = replicaConsumer(from, to.kinds)
  const wanted = events.filter(({ type }) => consumer.types!.names.has(type))
  await to.database.transaction((session) => consumer.apply(session, wanted))
  consumer.applied!(wanted)
}

const request = { shopId, kind: 'sk', name: 'server', scopes: ['orders:read'] } as const

/** What people change at a cell. */
export const changes = {
  issue: ({ database, name }: ReplicaCell) => issueKey(database, request, writing(name)),
  revoke: async ({ database, name }: ReplicaCell, nth: number) => {
    const found = await database.query<{ id: ReturnType<typeof newUuid> }>('select id from shops.keys order by id')
    const key = found[nth % Math.max(1, found.length)]
    if (key) await withdrawKey(database, { shopId, id: key.id }, name)
  },
  set: ({ database, name }: ReplicaCell, seconds: number, more: Partial<Settings> = {}) =>
    database.transaction((session) =>
      addSettings(session, {
        shopId,
        keyId: null,
        ifVersion: null,
        settings: { ...defaultSettings, reservation_seconds: seconds, ...more },
        cell: name,
      }),
    ),
  locate: ({ database, name }: ReplicaCell, code: string, priority: number) =>
    writeLocation(
      database,
      { shopId, code: code as LocationCode, name: code, cell: name, priority, address: null, lat: 1.1, lon: null },
      { ifVersion: null, by: name },
    ),
  police: async ({ engine }: ReplicaCell, sku: string, more: Partial<SetPolicy['policy']> = {}) => {
    const policy = { sku: sku as Sku, tracking: 'counted', allowance: 0, regions: null, group: null, ...more } as const
    const [outcome] = await engine.run(0, [submission({ kind: 'set_policy', shopId, policy, ifVersion: null }, null)])
    if (!outcome!.ok) throw new Error(outcome!.code)
  },
}

const statesSql = [
  'select to_json(s) as row from shops.shops s order by id',
  'select to_json(k) as row from shops.keys k order by shop_id, id',
  'select to_json(t) as row from shops.settings t order by shop_id, version',
  'select to_json(l) as row from stock.locations l order by shop_id, code',
  `select to_jsonb(p) - 'elsewhere' as row from stock.policies p order by shop_id, sku`,
]

/** Every row that all cells are to have, as it stands here. */
export const stateOf = async ({ database }: ReplicaCell): Promise<object[][]> =>
  Promise.all(statesSql.map(async (text) => (await database.query<{ row: object }>(text)).map(({ row }) => row)))
