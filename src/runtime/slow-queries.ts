// The statements that a cell's PostgreSQL is slow with: those that run just now, and those that took most of its time. Texts are ours,
// with `$n` in place of what was asked for, so that they hold nothing of any buyer.
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Database } from './pg.ts'
import { StatementFailed } from './pg-failure.ts'

export type RunningQuery = {
  pid: number
  /** Whose session it is, as that says itself. */
  name: string
  seconds: number
  /** `Lock`, `IO`, …; null: it computes. */
  waitsFor: string | null
  query: string
}
/** All runs of one statement. */
export type QuerySum = {
  /** PostgreSQL's `queryid`. */
  id: string
  query: string
  calls: number
  rows: number
  seconds: number
  meanMs: number
  maxMs: number
}
export type SlowQueries = {
  /** The longest first. */
  running: RunningQuery[]
  /** Those that took most time first; null: PostgreSQL does not count it (pg_stat_statements). */
  costliest: { since: Instant; queries: QuerySum[] } | null
}

const shortened = (column: string): string =>
  `left(regexp_replace(${column}, '\\s+', ' ', 'g'), ${limits.queryCharactersMax})`

const runningSql = `
  select pid, application_name as name, extract(epoch from clock_timestamp() - query_start)::float8 as seconds,
    wait_event_type as "waitsFor", ${shortened('query')} as query
  from pg_stat_activity
  where datname = current_database() and backend_type = 'client backend' and state = 'active' and pid <> pg_backend_pid()
    and query_start < clock_timestamp() - make_interval(secs => $1::float8)
  order by query_start limit $2`

const placeSql = `
  select quote_ident(n.nspname) as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'pg_stat_statements'`

const costliestSql = (schema: string): string => `
  select s.queryid::text as id, ${shortened('s.query')} as query, s.calls, s.rows, s.total_exec_time / 1000 as seconds, s.mean_exec_time as "meanMs",
    s.max_exec_time as "maxMs"
  from ${schema}.pg_stat_statements s
  where s.dbid = (select oid from pg_database where datname = current_database())
    and s.userid = (select oid from pg_roles where rolname = current_user)
  order by s.total_exec_time desc limit $1`

const sinceSql = (schema: string): string =>
  `select (extract(epoch from stats_reset) * 1000)::bigint as since from ${schema}.pg_stat_statements_info`

type Reader = Pick<Database, 'query'>

export async function readSlowQueries(database: Reader): Promise<SlowQueries> {
  const running = await database.query<RunningQuery>(runningSql, [limits.queryIsSlowMs / 1000, limits.slowQueriesShown])
  return { running, costliest: await readCostliest(database) }
}

async function readCostliest(database: Reader): Promise<SlowQueries['costliest']> {
  const [place] = await database.query<{ schema: string }>(placeSql)
  if (!place) return null
  try {
    const queries = await database.query<QuerySum>(costliestSql(place.schema), [limits.slowQueriesShown])
    const [info] = await database.query<{ since: Instant }>(sinceSql(place.schema))
    return { since: info!.since, queries }
  } catch (error) {
    if (error instanceof StatementFailed && cannotBeRead.has(error.code)) return null
    throw error
  }
}

/** Not loaded when the server began; not for us to read. */
const cannotBeRead = new Set(['55000', '42501'])
