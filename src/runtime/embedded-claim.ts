// One Holdfast per data folder: whoever runs on it holds an advisory lock on its server for as long as it lives. The lock
// goes with its connection, so a killed holder leaves nothing to clean up.
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type DatabaseUrl, openSql, withDatabase } from './database-url.ts'
import { StartFailure } from './start-failure.ts'

export type Claim = { release(): Promise<void> }

const key = 0x686f6c64 // "hold"

/**
 * Takes the lock, waiting a little for a holder that is on its way out. Undefined when the server went away meanwhile
 * (that holder stopped it); throws StartFailure when the holder stays.
 */
export async function claimServer(url: DatabaseUrl, cellFolder: string): Promise<Claim | undefined> {
  const sql = openSql(withDatabase(url, 'postgres'), {
    max: 1,
    max_lifetime: null, // the lock lives as long as the connection
    onnotice: () => {},
    connection: { application_name: `holdfast claim ${process.pid}` },
  })
  const deadline = performance.now() + limits.claimMsMax
  try {
    while (performance.now() < deadline) {
      const [row] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${key}) as taken`
      if (row!.taken) return { release: () => sql.end({ timeout: 1 }) }
      await pause(50)
    }
    const [holder] = await sql<{ name: string }[]>`
      select application_name as name from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and objid = ${key} and granted`
    await sql.end({ timeout: 1 })
    const pid = holder?.name.split(' ').at(-1) ?? 'unknown'
    throw new StartFailure(
      'data_folder_in_use',
      `Another Holdfast (pid ${pid}) runs on ${cellFolder}: stop it, or choose another --data.`,
    )
  } catch (error) {
    if (error instanceof StartFailure) throw error
    await sql.end({ timeout: 1 })
    return undefined
  }
}
