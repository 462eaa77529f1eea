// The data folder of an embedded PostgreSQL: DIR/<cell>/pg is the cluster, DIR/<cell>/password opens it. It is made
// whole or not at all (initdb works in pg.new, which is then renamed), so a folder that is there but incomplete is broken.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  appendFile,
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  statfs,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Account, canEnter } from './embedded-account.ts'
import type { Binaries } from './embedded-binaries.ts'
import { settingsFile } from './embedded-settings.ts'
import { StartFailure } from './start-failure.ts'

export const superuser = 'holdfast'

/** The cell's folder, made when missing. Answers its real path. */
export async function makeCellFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  return realpath(folder)
}

export async function checkDiskSpace(folder: string, freeMinMib: number): Promise<void> {
  const disk = await statfs(folder)
  const freeMib = Math.floor((disk.bavail * disk.bsize) / 1024 / 1024)
  if (freeMib >= freeMinMib) return
  throw new StartFailure(
    'disk_full',
    `Only ${freeMib} MiB are free on the disk of ${folder}, and ${freeMinMib} are needed (--disk-free-min): make room, or choose another --data.`,
  )
}

/** Is there a cluster that this PostgreSQL can run? Nothing there: false. Another version, or half of one: a failure. */
export async function hasCluster(cellFolder: string, major: string): Promise<boolean> {
  const cluster = join(cellFolder, 'pg')
  const entries = await readdir(cluster).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (entries === undefined) return false
  const broken = (why: string) =>
    new StartFailure(
      'data_folder_broken',
      `The data folder ${cluster} is broken (${why}): restore it, or choose another --data.`,
    )
  if (!entries.includes('PG_VERSION')) throw broken('PG_VERSION is missing')
  const version = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim()
  if (!/^\d+(\.\d+)?$/.test(version)) throw broken('PG_VERSION is unreadable')
  if (version !== major)
    throw new StartFailure(
      'version_mismatch',
      `The data folder ${cluster} was made by PostgreSQL ${version}, and this Holdfast brings ${major}: choose another --data, or upgrade it with pg_upgrade.`,
    )
  for (const needed of ['global/pg_control', 'pg_wal', 'postgresql.conf'])
    if (!(await exists(join(cluster, needed)))) throw broken(`${needed} is missing`)
  if (!(await exists(join(cellFolder, 'password')))) throw broken('the file password beside it is missing')
  return true
}

export type NewCluster = { cellFolder: string; binaries: Binaries; account: Account | undefined; durable: boolean }

/** Makes the cluster: checksums, C.UTF-8 by the builtin provider (no ICU or libc update can change an index's order). */
export async function makeCluster(at: NewCluster): Promise<void> {
  const draft = join(at.cellFolder, 'pg.new')
  const secrets = await makeSocketFolder(at.account)
  await rm(draft, { recursive: true, force: true }) // of a start that was killed
  try {
    const password = randomBytes(24).toString('base64url')
    await mkdir(draft, { mode: 0o700 })
    if (at.account) await chown(draft, at.account.uid, at.account.gid)
    const passwordFile = join(secrets, 'password')
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (at.account) await chown(passwordFile, at.account.uid, at.account.gid)
    await runInitdb(at, draft, passwordFile)
    await appendFile(join(draft, 'postgresql.conf'), `\ninclude_if_exists = '${settingsFile}'\n`)
    await writeFile(join(at.cellFolder, 'password'), password, { mode: 0o600 })
    await rename(draft, join(at.cellFolder, 'pg'))
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}

async function runInitdb(at: NewCluster, draft: string, passwordFile: string): Promise<void> {
  const { argument, cwd } = clusterArgument(draft, at.account)
  const flags = [
    '-D',
    argument,
    '-U',
    superuser,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
  ]
  if (!at.durable) flags.push('--no-sync')
  const child = spawn(at.binaries.initdb, flags, {
    ...at.account,
    cwd,
    env: postgresEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let problem = ''
  child.stderr.on('data', (chunk: Buffer) => {
    problem = (problem + chunk.toString()).slice(-4_000)
  })
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code === 0) return
  const line = problem.split('\n').find((text) => /error|fatal/i.test(text)) ?? problem.trim()
  if (/No space left/.test(problem))
    throw new StartFailure('disk_full', `No space left on the disk of ${at.cellFolder}.`)
  throw new StartFailure('postgres_failed', `Could not make the database in ${at.cellFolder}: ${line}`)
}

/**
 * How PostgreSQL is told of its folder. A folder under root's home cannot be entered by its path once we are another
 * account; on Linux the working folder can be set before the change, and /proc/self/cwd leads to it without the path.
 */
export function clusterArgument(cluster: string, account: Account | undefined): { argument: string; cwd: string } {
  if (canEnter(cluster, account)) return { argument: cluster, cwd: cluster }
  if (process.platform === 'linux' && account) return { argument: '/proc/self/cwd', cwd: cluster }
  throw new StartFailure(
    'data_folder_denied',
    `PostgreSQL cannot enter ${cluster} as user ${account?.uid ?? process.getuid?.()}: choose another --data.`,
  )
}

/** A short, private folder for the socket, whose path must stay under 100 characters. `again`: one that was made so. */
export async function makeSocketFolder(account: Account | undefined, again = ''): Promise<string> {
  const folder = again || (await mkdtemp(join(await socketParent(account), 'holdfast-')))
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o700)
  if (account) await chown(folder, account.uid, account.gid)
  return folder
}

async function socketParent(account: Account | undefined): Promise<string> {
  const parent = [tmpdir(), '/tmp'].find((path) => path.length <= 60 && canEnter(path, account))
  if (parent) return realpath(parent)
  throw new StartFailure('postgres_failed', 'Found no short temporary folder for the socket: set TMPDIR.')
}

/** Nothing of our environment (PGDATA, PGHOST, LD_*) reaches PostgreSQL. */
export const postgresEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' })

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
