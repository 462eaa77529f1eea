// The doctor's look at a cell's PostgreSQL, by reading its own views: who is behind, what holds the log or rows back, and settings
// under which Holdfast does not keep its promises.
import { statfs } from 'node:fs/promises'
import { limits } from '../base/limits.ts'
import type { Database } from '../runtime/pg.ts'
import { type Finding, finding } from './doctor-findings.ts'

type Reader = Pick<Database, 'query'>

const at = finding('database')

/** `transactionSeconds`: how old a transaction may be. */
export async function lookAtDatabase(
  database: Reader,
  { transactionSeconds }: { transactionSeconds: number },
): Promise<Finding[]> {
  const found = await Promise.all([
    standbys(database),
    slots(database),
    transactions(database, transactionSeconds),
    locks(database),
    bloat(database),
    settings(database),
    disk(database),
  ])
  return found.flat()
}

const standbysSql = `
  select application_name as name, state, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint as bytes,
    coalesce(extract(epoch from replay_lag), 0)::float8 as seconds
  from pg_stat_replication`

async function standbys(database: Reader): Promise<Finding[]> {
  const rows = await database.query<{ name: string; state: string; bytes: number; seconds: number }>(standbysSql)
  return rows
    .filter(
      ({ state, bytes, seconds }) =>
        state !== 'streaming' || bytes > limits.doctorStandbyBytes || seconds > limits.doctorStandbySeconds,
    )
    .map(({ name, state, bytes, seconds }) =>
      at(
        'standby_behind',
        `The standby ${name} (${state}) is ${mib(bytes)} and ${seconds.toFixed(1)} s behind.`,
        'See to its machine, its disk and the way there; a geo cell waits for it.',
      ),
    )
}

const slotsSql = `
  select slot_name as name, active, wal_status as status,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as bytes
  from pg_replication_slots where not temporary`

/** One that nobody reads keeps all log from then on, until the disk is full. */
async function slots(database: Reader): Promise<Finding[]> {
  const rows = await database.query<{ name: string; active: boolean; status: string | null; bytes: number }>(slotsSql)
  return rows.flatMap(({ name, active, status, bytes }) => {
    if (status === 'lost')
      return at(
        'slot_lost',
        `The slot ${name} has lost log that its reader still needs.`,
        `Copy the standby that uses it anew, and: select pg_drop_replication_slot('${name}')`,
      )
    if (active && bytes <= limits.doctorSlotBytes) return []
    return at(
      'slot_holds_wal',
      `The slot ${name} holds ${mib(bytes)} of WAL back, and ${active ? 'its reader is behind' : 'nobody reads it'}.`,
      active
        ? 'See to the standby that reads it.'
        : `Bring its reader back; if there is none any more: select pg_drop_replication_slot('${name}')`,
    )
  })
}

const transactionsSql = `
  select pid, application_name as name, state, extract(epoch from clock_timestamp() - xact_start)::int as seconds
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
    and xact_start < clock_timestamp() - make_interval(secs => $1::int)
  order by xact_start limit 20`

async function transactions(database: Reader, seconds: number): Promise<Finding[]> {
  const rows = await database.query<{ pid: number; name: string; state: string; seconds: number }>(transactionsSql, [
    seconds,
  ])
  return rows.map((one) =>
    at(
      'long_transaction',
      `The transaction of process ${one.pid} (${one.name || 'without a name'}, ${one.state}) is open for ${one.seconds} s: dead rows stay, and events behind it are not read.`,
      `End it where it was begun, or: select pg_terminate_backend(${one.pid})`,
    ),
  )
}

const locksSql = `
  select pid, application_name as name, pg_blocking_pids(pid) as blockers,
    extract(epoch from clock_timestamp() - query_start)::int as seconds
  from pg_stat_activity where wait_event_type = 'Lock' and query_start < clock_timestamp() - make_interval(secs => $1::int)
  order by query_start limit 20`

async function locks(database: Reader): Promise<Finding[]> {
  const rows = await database.query<{ pid: number; name: string; blockers: number[]; seconds: number }>(locksSql, [
    limits.doctorLockSeconds,
  ])
  return rows.map(({ pid, name, blockers, seconds }) =>
    at(
      'lock_waited_for',
      `Process ${pid} (${name}) has waited for a lock for ${seconds} s, which ${blockers.join(', ')} holds.`,
      `See what holds it: select * from pg_stat_activity where pid in (${blockers.join(', ')})`,
    ),
  )
}

const bloatSql = `
  select schemaname || '.' || relname as name, n_dead_tup::bigint as dead, n_live_tup::bigint as live
  from pg_stat_user_tables where n_dead_tup > $1::bigint and n_dead_tup > n_live_tup / 2
  order by n_dead_tup desc limit 20`

async function bloat(database: Reader): Promise<Finding[]> {
  const rows = await database.query<{ name: string; dead: number; live: number }>(bloatSql, [limits.doctorDeadRows])
  return rows.map(({ name, dead, live }) =>
    at(
      'bloat',
      `${name} has ${dead.toLocaleString('en')} dead rows beside ${live.toLocaleString('en')} live ones.`,
      `End long transactions and unread slots, then: vacuum (analyze) ${name}`,
    ),
  )
}

const settingsSql = `
  select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('autovacuum') as autovacuum, current_setting('jit') as jit,
    current_setting('max_connections')::int as max, (select count(*)::int from pg_stat_activity
      where backend_type = 'client backend') as used`

type Settings = { fsync: string; full_page_writes: string; autovacuum: string; jit: string; max: number; used: number }

async function settings(database: Reader): Promise<Finding[]> {
  const [row] = await database.query<Settings>(settingsSql)
  const { fsync, full_page_writes, autovacuum, jit, max, used } = row!
  const set = (name: string, value: string) => `alter system set ${name} = ${value}; select pg_reload_conf()`
  const found: Finding[] = []
  for (const [name, value] of Object.entries({ fsync, full_page_writes }))
    if (value === 'off') found.push(at(name, `${name} is off: a crash may lose or spoil orders.`, set(name, 'on')))
  if (autovacuum === 'off')
    found.push(at('autovacuum', 'autovacuum is off: dead rows stay for ever.', set('autovacuum', 'on')))
  if (jit === 'on')
    found.push(at('jit', 'jit is on: it costs the short statements of orders more than it saves.', set('jit', 'off')))
  if (used > max * limits.doctorConnectionsShare)
    found.push(
      at(
        'connections',
        `${used} of ${max} connections are in use.`,
        'See whose they are: select application_name, count(*) from pg_stat_activity group by 1. Raising max_connections needs a restart.',
      ),
    )
  return found
}

const folderSql = `select case when inet_client_addr() is null then current_setting('data_directory', true) end as folder`

/** Where the server is on this machine, which a socket says. */
async function disk(database: Reader): Promise<Finding[]> {
  const rows = await database.query<{ folder: string | null }>(folderSql).catch(() => []) // a role may not be let know
  const folder = rows[0]?.folder
  const space = folder ? await statfs(folder).catch(() => undefined) : undefined
  if (!space || space.bavail >= space.blocks * limits.doctorDiskShare) return []
  return [
    at(
      'disk',
      `${mib(space.bavail * space.bsize)} of ${mib(space.blocks * space.bsize)} are free on the disk of ${folder}.`,
      'Make room before it is full, when PostgreSQL stops: docs/runbooks/HoldfastDiskFilling.md.',
    ),
  ]
}

const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024).toLocaleString('en')} MiB`
