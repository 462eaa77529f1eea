// What time asks of the engine: do what is due though nobody asks for its units, and keep partitions ahead of the
// clock. Safe to run in every process at once.
import { limits } from '../../base/limits.ts'
import { addMs, type Instant, instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { keysLock } from './store.ts'
import type { CommandOutcome, Submission } from './types.ts'

const dueSql = `
  select exists (select from stock.holds where status = 'active' and expires_at <= statement_timestamp())
    or exists (select from orders.states where expires_at <= statement_timestamp()) as due`

/** Does what is due, batch by batch. The batches of buyers do the same for the SKUs they touch; this is the backstop. */
export async function sweep(
  database: Database,
  submit: (submission: Submission) => Promise<CommandOutcome>,
  now: () => Instant,
): Promise<void> {
  for (let turn = 0; turn < limits.sweepBatchesMax; turn++) {
    const [found] = await database.query<{ due: boolean }>(dueSql)
    if (!found?.due) return
    const command = { kind: 'expire_due', limit: limits.sweepBatchMax } as const
    const swept = await submit({ command, key: null, deadline: addMs(now(), limits.commandDeadlineMs) })
    if (swept.ok && swept.value.kind === 'expired' && swept.value.count === 0) return // others have it
  }
}

/** Tables that are partitioned on a UUIDv7 and so by month. */
const tablesByMonth = ['orders.orders', 'orders.states', 'stock.holds'] as const
const fillfactors: Record<(typeof tablesByMonth)[number], number> = {
  'orders.orders': 100,
  'orders.states': 80,
  'stock.holds': 80,
}

/** Makes the partitions of last month to `partitionMonthsAhead` from `now`, and one for every other time. */
export async function makeMonthPartitions(database: Database, now: Instant): Promise<void> {
  for (const table of tablesByMonth) {
    await makePartition(database, { table, name: `${table}_other`, bounds: 'default' })
    for (let ahead = -1; ahead <= limits.partitionMonthsAhead; ahead++) {
      const from = monthStart(now, ahead)
      const name = `${table}_${new Date(from).toISOString().slice(0, 7).replace('-', '_')}`
      const bounds = `for values from ('${firstUuidOf(from)}') to ('${firstUuidOf(monthStart(now, ahead + 1))}')`
      await makePartition(database, { table, name, bounds })
    }
  }
}

type Partition = { table: (typeof tablesByMonth)[number]; name: string; bounds: string }

const isPartitionSql = 'select 1 from pg_inherits where inhrelid = to_regclass($1)'

/** Made apart and then attached, which takes lighter locks than `create table … partition of`. */
async function makePartition(database: Database, { table, name, bounds }: Partition): Promise<void> {
  if ((await database.query(isPartitionSql, [name])).length > 0) return
  await database.transaction(async (session) => {
    await session.run(`select pg_advisory_xact_lock(${keysLock} + 1)`)
    if ((await session.run(isPartitionSql, [name])).length > 0) return
    await session.script(`
      create table if not exists ${name} (like ${table} including defaults including constraints)
        with (fillfactor = ${fillfactors[table]}, autovacuum_analyze_threshold = ${limits.analyzeRowsMin});
      alter table ${table} attach partition ${name} ${bounds};`)
  })
}

function monthStart(now: Instant, ahead: number): Instant {
  const date = new Date(now)
  return instant(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + ahead, 1))
}

function firstUuidOf(at: Instant): string {
  const hex = at.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}
