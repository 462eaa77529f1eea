// Looks at a database before anything relies on it: reachable, PostgreSQL 14 or newer, a writable primary, and durable.
// A server that may lose what it has committed is refused, since promise P2 would be a lie.
import type postgres from 'postgres'
import { type DatabaseUrl, openSql, serversOf, withoutPassword } from './database-url.ts'
import { StartFailure } from './start-failure.ts'

export type Server = {
  version: string
  /** As in server_version_num: 180004. */
  versionNumber: number
  standby: boolean
  readOnly: boolean
  /** Settings that must not be off. */
  durability: Record<'fsync' | 'full_page_writes' | 'synchronous_commit', string>
}

const versionMin = 140_000

/** Throws StartFailure when none of the servers that the URL names can be used; answers what the first is that can, and where. */
export async function checkServer(url: DatabaseUrl): Promise<Server & { url: DatabaseUrl }> {
  let failure: unknown
  for (const one of serversOf(url)) {
    try {
      const server = await lookAt(one)
      const refusal = whyNot(server, withoutPassword(one))
      if (!refusal) return { ...server, url: one }
      failure ??= refusal
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

/** What a `geo` cell needs beyond that: somebody to wait for, and to be told how far they are. Throws StartFailure. */
export async function checkStandbys(url: DatabaseUrl): Promise<void> {
  const [found] = await ask<StandbySettings>(
    url,
    (sql) => sql<StandbySettings[]>`
    select current_setting('synchronous_standby_names') as names, current_setting('synchronous_commit') as commits,
      pg_has_role(current_user, 'pg_read_all_stats', 'usage') as "maySee"`,
    { connection: { synchronous_commit: 'local' } },
  )
  const failure = whyNoGate(found!, withoutPassword(url))
  if (failure) throw failure
}

type StandbySettings = { names: string; commits: string; maySee: boolean }

export function whyNoGate({ names, commits, maySee }: StandbySettings, where: string): StartFailure | undefined {
  const because = (line: string) => new StartFailure('not_durable', `--durability geo: ${line}`)
  if (!maySee) return because(`the role at ${where} may not see how far standbys are: grant it pg_monitor.`)
  if (names.trim() === '')
    return because(
      `PostgreSQL at ${where} has no synchronous standby: set synchronous_standby_names to one in another region.`,
    )
  if (commits !== 'local')
    return because(
      `sessions at ${where} cannot be set to synchronous_commit = local (it is ${commits}): connect without a pooler that drops it.`,
    )
  return undefined
}

export function whyNot(server: Server, where: string): StartFailure | undefined {
  if (server.versionNumber < versionMin)
    return new StartFailure(
      'version_mismatch',
      `PostgreSQL at ${where} is version ${server.version}; Holdfast needs 14 or newer.`,
    )
  if (server.standby)
    return new StartFailure('database_unreachable', `PostgreSQL at ${where} is a standby: name its primary.`)
  if (server.readOnly)
    return new StartFailure(
      'database_unreachable',
      `The database at ${where} is read-only (default_transaction_read_only): name a writable one.`,
    )
  const loose = Object.entries(server.durability).filter(([, value]) => value === 'off')
  if (loose.length === 0) return undefined
  const settings = loose.map(([name]) => `${name} = off`).join(' and ')
  return new StartFailure(
    'not_durable',
    `PostgreSQL at ${where} runs with ${settings} and may lose orders in a crash: turn it on.`,
  )
}

async function lookAt(url: DatabaseUrl): Promise<Server> {
  const [server] = await ask<Server>(
    url,
    (sql) => sql<Server[]>`
      select current_setting('server_version') as version,
        current_setting('server_version_num')::int as "versionNumber",
        pg_is_in_recovery() as standby,
        current_setting('default_transaction_read_only') = 'on' as "readOnly",
        json_build_object(
          'fsync', current_setting('fsync'),
          'full_page_writes', current_setting('full_page_writes'),
          'synchronous_commit', current_setting('synchronous_commit')) as durability`,
  )
  return server!
}

async function ask<Row>(
  url: DatabaseUrl,
  statement: (sql: postgres.Sql) => Promise<Row[]>,
  options = {},
): Promise<Row[]> {
  const sql = openSql(url, { max: 1, connect_timeout: 5, onnotice: () => {}, ...options })
  try {
    return await statement(sql)
  } catch (error) {
    throw new StartFailure(
      'database_unreachable',
      `Cannot use the database at ${withoutPassword(url)}: ${reason(error)}.`,
    )
  } finally {
    await sql.end({ timeout: 1 }).catch(() => undefined)
  }
}

/** An error of several addresses (::1 and 127.0.0.1) has no message of its own. */
function reason(error: unknown): string {
  const { message, code, errors } = error as Error & { code?: string; errors?: Error[] }
  const said = message || errors?.map((one) => one.message).join(', ') || code || String(error)
  return said.replace(/\.$/, '')
}
