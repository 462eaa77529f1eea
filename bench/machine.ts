// What a number is worth nothing without: the commit, the machine and how fast it is just now, and what PostgreSQL does
// for durability.
import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type postgres from 'postgres'
import { prng } from '../src/base/prng.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { median } from './rounds.ts'

const mib = 1024 * 1024
export const repository = fileURLToPath(new URL('..', import.meta.url))

export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length,
  memory_mib: Math.round(totalmem() / mib),
})

/** With `+` when the work tree differs from it. */
export function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: repository, encoding: 'utf8' }).trim()
  try {
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? '+' : '')
  } catch {
    return 'unknown'
  }
}

/** Milliseconds of a job that is always the same, to compare machines and hours: arithmetic in JavaScript, and SHA-256. */
export function fixedJobMs(): number {
  const times = Array.from({ length: 3 }, () => {
    const startedAt = performance.now()
    const random = prng(1)
    for (let turn = 0; turn < 10_000_000; turn++) random.next()
    hash('sha256', Buffer.alloc(64 * mib))
    return performance.now() - startedAt
  })
  return Math.round(median(times))
}

const settingNames = [
  'server_version',
  'fsync',
  'full_page_writes',
  'synchronous_commit',
  'wal_level',
  'wal_sync_method',
  'data_checksums',
  'wal_compression',
  'max_wal_size',
  'checkpoint_timeout',
  'shared_buffers',
] as const
export type PostgresSettings = Record<(typeof settingNames)[number], string>

/** As the server says them, with SHOW. */
export async function readSettings(sql: postgres.Sql): Promise<PostgresSettings> {
  const settings: Partial<PostgresSettings> = {}
  for (const name of settingNames) {
    const [row] = await sql.unsafe<Record<string, string>[]>(`show ${name}`)
    settings[name] = row![name]!
  }
  return settings as PostgresSettings
}

/** Refuses before anything is made: a bench that fills the disk measures nothing and breaks its neighbours. */
export async function checkDisk(folder: string, neededMib: number): Promise<void> {
  const disk = await statfs(folder).catch(() => {
    throw new CommandFailure('data_folder_broken', `There is no folder ${folder}: name another with --data.`)
  })
  const freeMib = Math.floor((disk.bavail * disk.bsize) / mib)
  if (freeMib >= neededMib) return
  throw new CommandFailure(
    'disk_full',
    `This bench needs ${neededMib} MiB of free disk and ${folder} has ${freeMib}: make room, name another --data, or ask for less.`,
  )
}
