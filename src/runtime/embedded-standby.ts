// A standby of an embedded PostgreSQL, for development and tests of `geo` cells: a second server on this machine that stands for
// one in another region. It streams the log from the primary's Unix socket with the cell's own password, so that nothing is
// opened to anybody. It begins as a copy of the running primary, and a slot there holds back what it has not got.
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DatabaseUrl, openSql } from './database-url.ts'
import { type Embedded, startEmbedded } from './embedded.ts'
import { copyCluster } from './embedded-copy.ts'
import { processesIn } from './embedded-postmaster.ts'
import type { EmbeddedSettings } from './embedded-settings.ts'

export type StandbyOptions = {
  /** The cell's folder, DIR/<cell>; the standby's is DIR/<cell>/standby-<region>. */
  cellFolder: string
  region: string
  primary: Pick<Embedded, 'url' | 'cluster'>
  /** Where the standby finds the primary, if not at its socket: that of a slower way to it. */
  primaryUrl?: DatabaseUrl
  settings?: EmbeddedSettings
  durable?: boolean
  onLost?: () => void
  signal?: AbortSignal
}

export type EmbeddedStandby = Pick<Embedded, 'url' | 'cluster' | 'pid' | 'restart' | 'stop'> & {
  /** What the primary knows it by. */
  name: string
  /** It takes no more from the primary, and is one. Resolves when it can be written to. */
  promote(): Promise<void>
}

/** What a standby in this region is called in synchronous_standby_names, and its slot. */
const standbyName = (region: string): string => `holdfast_${region}`

/** Made when it is missing, or was left behind by what the primary keeps for it. It runs when this resolves, and streams soon. */
export async function startStandby(options: StandbyOptions): Promise<EmbeddedStandby> {
  const { cellFolder, region, primary, primaryUrl = primary.url, durable = true } = options
  const name = standbyName(region)
  const folder = join(cellFolder, `standby-${region}`)
  if (await makeSlot(primary.url, name)) await putAside(folder)
  const server = await startEmbedded({
    folder,
    settings: { ...options.settings, ...followingSettings(primaryUrl, name) },
    durable,
    onLost: options.onLost,
    signal: options.signal,
    async makeCluster({ account }) {
      const draft = join(folder, 'pg.new')
      await copyCluster({ from: primary, to: draft, account, durable })
      await writeFile(join(folder, 'password'), await readFile(join(cellFolder, 'password')), { mode: 0o600 })
      await rename(draft, join(folder, 'pg'))
    },
  })
  return {
    ...server,
    name,
    promote: () => withSql(server.url, async (sql) => void (await sql`select pg_promote(true, 60)`)),
  }
}

/** Whose flush what a `geo` cell commits waits for; null: nobody's. It holds from this moment on, and over restarts. */
export const setSynchronousStandby = (primaryUrl: DatabaseUrl, name: string | null): Promise<void> =>
  withSql(primaryUrl, async (sql) => {
    const wanted = name === null ? '' : `"${name}"`
    const [now] = await sql<{ names: string }[]>`select current_setting('synchronous_standby_names') as names`
    if (now!.names === wanted) return
    await sql.unsafe(`alter system set synchronous_standby_names = '${wanted}'`)
    await sql`select pg_reload_conf()`
  })

/** The primary keeps nothing for a standby that nobody needs any more. What the standby has stays. */
export const forgetStandby = (primaryUrl: DatabaseUrl, name: string): Promise<void> =>
  withSql(primaryUrl, async (sql) => {
    await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${name} and not active`
  })

/** Whether it was not there. One whose log was cut off, since the standby was away for long, is made anew. */
const makeSlot = (primaryUrl: DatabaseUrl, name: string): Promise<boolean> =>
  withSql(primaryUrl, async (sql) => {
    await sql`
      select pg_drop_replication_slot(slot_name) from pg_replication_slots
      where slot_name = ${name} and wal_status = 'lost' and not active`
    const made = await sql`
      select pg_create_physical_replication_slot(${name}, true)
      where not exists (select from pg_replication_slots where slot_name = ${name})`
    return made.length > 0
  })

/** A standby that cannot follow any more is copied anew. Its data stay beside it: who lost the primary may still want them. */
async function putAside(folder: string): Promise<void> {
  const cluster = join(folder, 'pg')
  if (!existsSync(cluster) || processesIn(cluster).length > 0) return
  await rename(cluster, `${cluster}.${new Date().toISOString().replace(/\D/g, '')}`)
}

function followingSettings(primaryUrl: DatabaseUrl, name: string): EmbeddedSettings {
  const { username, password, searchParams } = new URL(primaryUrl)
  const connection = {
    host: searchParams.get('host')!,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    application_name: name,
  }
  const info = Object.entries(connection)
    .map(([key, value]) => `${key}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ')
  return {
    primary_conninfo: `'${info.replaceAll("'", "''")}'`,
    primary_slot_name: `'${name}'`,
    wal_retrieve_retry_interval: '200ms', // between two tries to reach the primary
  }
}

async function withSql<T>(url: DatabaseUrl, work: (sql: ReturnType<typeof openSql>) => Promise<T>): Promise<T> {
  const sql = openSql(url, { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
