// A copy of a running embedded server, from which a standby begins. There is no pg_basebackup in the npm packages, so it is done
// by hand: the server is told that a backup begins, its files are copied as they are, and what it says in the end makes the
// copy replay the log from where the backup began (https://www.postgresql.org/docs/18/continuous-archiving.html).
import { chown, copyFile, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type DatabaseUrl, openSql } from './database-url.ts'
import type { Account } from './embedded-account.ts'

export type Copy = {
  /** The running server, and the folder of its cluster. */
  from: { url: DatabaseUrl; cluster: string }
  /** A folder that is made; what was there of an earlier try goes. */
  to: string
  /** Who is to own the copy. */
  account: Account | undefined
  durable: boolean
}

/** A slot of this name must hold the log back on the server from before the copy on: none of the log is copied. */
export async function copyCluster(copy: Copy): Promise<void> {
  await rm(copy.to, { recursive: true, force: true })
  const sql = openSql(copy.from.url, { max: 1, max_lifetime: null, onnotice: () => {} })
  try {
    await sql`select pg_backup_start('holdfast standby', true)` // ends with this session, whatever happens
    await copyFolder(copy, '')
    const [end] = await sql<{ label: string }[]>`select labelfile as label from pg_backup_stop(false)`
    await put(copy, 'backup_label', end!.label)
    await put(copy, 'standby.signal', '')
    const settings = await readFile(join(copy.from.cluster, 'postgresql.auto.conf'), 'utf8')
    // Promoted, it would wait for itself.
    await put(copy, 'postgresql.auto.conf', settings.replace(/^synchronous_standby_names.*\n?/gm, ''))
  } finally {
    await sql.end({ timeout: 1 })
  }
}

/** What belongs to the running server, is made anew at every start, or is the log (see pg_basebackup's basebackup.c). */
const leftOut = /^(postmaster\.(pid|opts)|postgresql\.auto\.conf|holdfast\.conf|backup_label|standby\.signal)$/
const emptied = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
])
const temporary = /^(pgsql_tmp.*|pg_internal\.init.*)$/

async function copyFolder(copy: Copy, folder: string): Promise<void> {
  const target = join(copy.to, folder)
  await mkdir(target, { mode: 0o700 })
  if (copy.account) await chown(target, copy.account.uid, copy.account.gid)
  if (folder === 'pg_wal') await copyFolderOfStatus(copy)
  if (emptied.has(folder)) return
  for (const entry of await readdir(join(copy.from.cluster, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (leftOut.test(path) || temporary.test(entry.name)) continue
    if (entry.isDirectory()) await copyFolder(copy, path)
    else await copyOne(copy, path)
  }
}

/** PostgreSQL makes every folder that it misses but the log's own. */
async function copyFolderOfStatus(copy: Copy): Promise<void> {
  const status = join(copy.to, 'pg_wal', 'archive_status')
  await mkdir(status, { mode: 0o700 })
  if (copy.account) await chown(status, copy.account.uid, copy.account.gid)
}

/** A file that goes meanwhile was dropped, and replaying the log does without it. */
async function copyOne(copy: Copy, path: string): Promise<void> {
  try {
    await copyFile(join(copy.from.cluster, path), join(copy.to, path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await keep(copy, join(copy.to, path))
}

async function put(copy: Copy, path: string, text: string): Promise<void> {
  await writeFile(join(copy.to, path), text, { mode: 0o600 })
  await keep(copy, join(copy.to, path))
}

async function keep({ account, durable }: Copy, path: string): Promise<void> {
  if (account) await chown(path, account.uid, account.gid)
  if (!durable) return
  const file = await open(path)
  await file.datasync()
  await file.close()
}
