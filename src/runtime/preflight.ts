// Looks at a database before anything relies on it: reachable, PostgreSQL 14 or newer, a writable primary, and durable.
// A server that may lose what it has committed is refused, since promise P2 would be a lie.
import { type DatabaseUrl, openSql, withoutPassword } from './database-url.ts'
import { StartFailure } from './start-failure.ts'

export type Server = {
  version: string
  standby: boolean
  readOnly: boolean
  fsync: string
  fullPageWrites: string
  synchronousCommit: string
}

const versionMin = 140_000

/** Throws StartFailure when the server cannot be used; answers what it is. */
export async function checkServer(url: DatabaseUrl): Promise<Server> {
  const server = await lookAt(url)
  const where = withoutPassword(url)
  if (server.versionNumber < versionMin)
    throw new StartFailure(
      'version_mismatch',
      `PostgreSQL at ${where} is version ${server.version}; Holdfast needs 14 or newer.`,
    )
  if (server.standby)
    throw new StartFailure('database_unreachable', `PostgreSQL at ${where} is a standby: name its primary.`)
  if (server.readOnly)
    throw new StartFailure(
      'database_unreachable',
      `The database at ${where} is read-only (default_transaction_read_only): name a writable one.`,
    )
  const settings = {
    fsync: server.fsync,
    full_page_writes: server.fullPageWrites,
    synchronous_commit: server.synchronousCommit,
  }
  const loose = Object.entries(settings).filter(([, value]) => value === 'off')
  if (loose.length > 0)
    throw new StartFailure(
      'not_durable',
      `PostgreSQL at ${where} runs with ${loose.map(([name]) => `${name} = off`).join(' and ')} and may lose orders in a crash: turn it on.`,
    )
  return server
}

async function lookAt(url: DatabaseUrl): Promise<Server & { versionNumber: number }> {
  const sql = openSql(url, { max: 1, connect_timeout: 5, onnotice: () => {}, fetch_types: false })
  try {
    const [row] = await sql<(Server & { versionNumber: number })[]>`
      select current_setting('server_version') as version,
        current_setting('server_version_num')::int as "versionNumber",
        pg_is_in_recovery() as standby,
        current_setting('default_transaction_read_only') = 'on' as "readOnly",
        current_setting('fsync') as fsync,
        current_setting('full_page_writes') as "fullPageWrites",
        current_setting('synchronous_commit') as "synchronousCommit"`
    return row!
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
