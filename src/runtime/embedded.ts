// The embedded PostgreSQL of one cell: made when missing, adopted when an earlier run left it alive, started when not,
// and watched. It runs in a process group of its own, so that Ctrl-C reaches us first and it outlives our crash.
import { spawn } from 'node:child_process'
import { chown, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type DatabaseUrl, openSql, socketUrl, withDatabase } from './database-url.ts'
import { type Account, postgresAccount } from './embedded-account.ts'
import { type Binaries, postgresBinaries } from './embedded-binaries.ts'
import {
  checkDiskSpace,
  clusterArgument,
  hasCluster,
  makeCellFolder,
  makeCluster,
  makeSocketFolder,
  postgresEnvironment,
  superuser,
} from './embedded-folder.ts'
import { isServerOf, killOrphanBackends, readPostmaster, stillRuns, stopServer } from './embedded-postmaster.ts'
import { type EmbeddedSettings, settingsFile, settingsText } from './embedded-settings.ts'
import { StartFailure } from './start-failure.ts'

export type EmbeddedOptions = {
  /** The cell's folder, DIR/<cell>. */
  folder: string
  settings?: EmbeddedSettings
  /** Tests of logic only: initdb does not wait for the disk. */
  durable?: boolean
  /** Called once when the server is gone without stop(). */
  onLost?: () => void
}

export type Embedded = {
  /** Superuser, database `holdfast`. */
  url: DatabaseUrl
  pid: number
  adopted: boolean
  cluster: string
  /** Fast shutdown; resolves when no process of it is left. */
  stop(): Promise<void>
  /** Leaves it running, unwatched, for the next start to adopt. */
  abandon(): void
}

type Place = { cellFolder: string; cluster: string; account: Account | undefined; binaries: Binaries; conf: string }
type Running = { pid: number; socketFolder: string }

export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const cellFolder = await makeCellFolder(options.folder)
  const cluster = join(cellFolder, 'pg')
  const account = postgresAccount(cluster)
  const binaries = await postgresBinaries(account)
  await checkDiskSpace(cellFolder)
  if (!(await hasCluster(cellFolder, binaries.major)))
    await makeCluster({ cellFolder, binaries, account, durable: options.durable ?? true })
  const place = {
    cellFolder,
    cluster,
    account,
    binaries,
    conf: settingsText(binaries.packageVersion, options.settings),
  }
  const orphan = await adopt(place)
  const running = orphan ?? (await launch(place))
  const password = (await readFile(join(cellFolder, 'password'), 'utf8')).trim()
  const url = socketUrl({ folder: running.socketFolder, user: superuser, password, database: 'holdfast' })
  await makeDatabase(url)
  return { url, pid: running.pid, adopted: orphan !== undefined, cluster, ...watch(place, running, options.onLost) }
}

/** The live server of this folder, once it answers, if its settings are ours; otherwise it is stopped. */
async function adopt(place: Place): Promise<Running | undefined> {
  const found = await readPostmaster(place.cluster)
  if (!found) return undefined
  if (!isServerOf(place.cluster, found.pid)) {
    await removeSocketFolder(found.socketFolder)
    await rm(join(place.cluster, 'postmaster.pid'), { force: true }) // its pid may be another process's by now
    return undefined
  }
  const settings = await readFile(join(place.cluster, settingsFile), 'utf8').catch(() => '')
  if (settings === place.conf && (await becomesReady(place.cluster, found.pid))) return found
  await stopServer(place.cluster, found.pid)
  await removeSocketFolder(found.socketFolder)
  return undefined
}

/** Starts it and waits until it accepts connections. What an earlier one left behind gets a bounded time to go. */
async function launch(place: Place): Promise<Running> {
  const deadline = performance.now() + limits.postgresRetryStartMsMax
  for (;;) {
    await killOrphanBackends(place.cluster, 5_000)
    const started = await launchOnce(place)
    if (started.running) return started.running
    const remains = /pre-existing shared memory block|lock file .* already exists/.test(started.problem)
    if (!remains || performance.now() > deadline) throw launchFailure(place, started.problem)
    await pause(100)
  }
}

async function launchOnce(
  place: Place,
): Promise<{ running: Running; problem?: never } | { running?: never; problem: string }> {
  const socketFolder = await makeSocketFolder(place.account)
  const conf = join(place.cluster, settingsFile)
  await writeFile(conf, place.conf, { mode: 0o600 })
  if (place.account) await chown(conf, place.account.uid, place.account.gid)
  const log = await openLog(place.cellFolder)
  try {
    const { argument, cwd } = clusterArgument(place.cluster, place.account)
    const flags = ['-D', argument, '-c', `unix_socket_directories=${socketFolder}`]
    const child = spawn(place.binaries.postgres, flags, {
      ...place.account,
      cwd,
      env: postgresEnvironment(),
      detached: true,
      stdio: ['ignore', log.file.fd, log.file.fd],
    })
    child.unref()
    const failed = await new Promise<Error | undefined>((resolve) =>
      child.once('spawn', () => resolve(undefined)).once('error', resolve),
    )
    if (failed) return { problem: failed.message }
    if (await becomesReady(place.cluster, child.pid!)) return { running: { pid: child.pid!, socketFolder } }
    await removeSocketFolder(socketFolder)
    return { problem: await log.read() }
  } finally {
    await log.file.close()
  }
}

/** True when it accepts connections, false when it is gone. Recovery after a crash may take its time. */
async function becomesReady(cluster: string, pid: number): Promise<boolean> {
  const deadline = performance.now() + limits.postgresStartMsMax
  while (performance.now() < deadline) {
    const found = await readPostmaster(cluster)
    if (found?.pid === pid && found.status === 'ready') return true
    if (!stillRuns(cluster, pid)) return false
    await pause(10)
  }
  throw new StartFailure(
    'postgres_failed',
    `PostgreSQL (pid ${pid}) is still not ready after ${limits.postgresStartMsMax / 1000} s.`,
  )
}

function launchFailure(place: Place, problem: string): StartFailure {
  const log = join(place.cellFolder, 'postgres.log')
  if (/No space left/.test(problem))
    return new StartFailure('disk_full', `No space left on the disk of ${place.cellFolder}.`)
  const line =
    problem.split('\n').findLast((text) => /FATAL|PANIC|ERROR/.test(text)) ?? problem.trim().split('\n').at(-1) ?? ''
  const said = line.replace(/^.*?(FATAL|PANIC|ERROR):\s*/, '')
  return new StartFailure(
    'data_folder_broken',
    `PostgreSQL does not start on ${place.cluster}: ${said} (log: ${log}). Restore the folder, or choose another --data.`,
  )
}

/** The server's log file, and what is appended to it from now on. */
async function openLog(cellFolder: string) {
  const path = join(cellFolder, 'postgres.log')
  const bytes = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (bytes > limits.postgresLogBytesMax) await rename(path, `${path}.1`)
  const file = await open(path, 'a+', 0o600)
  const from = (await file.stat()).size
  const read = async () => (await readFile(path)).subarray(from).toString()
  return { file, read }
}

async function makeDatabase(url: DatabaseUrl): Promise<void> {
  const sql = openSql(withDatabase(url, 'postgres'), { max: 1, onnotice: () => {} })
  try {
    const [found] = await sql`select 1 from pg_database where datname = 'holdfast'`
    if (!found) await sql`create database holdfast`
  } finally {
    await sql.end()
  }
}

/** Watches the server by its pid, since an adopted one is not our child. */
function watch(place: Place, running: Running, onLost: (() => void) | undefined): Pick<Embedded, 'stop' | 'abandon'> {
  const timer = setInterval(() => {
    if (stillRuns(place.cluster, running.pid)) return
    clearInterval(timer)
    onLost?.()
  }, limits.postgresWatchMs)
  timer.unref()
  return {
    abandon: () => clearInterval(timer),
    async stop() {
      clearInterval(timer)
      await stopServer(place.cluster, running.pid)
      await removeSocketFolder(running.socketFolder)
    },
  }
}

/** Only what we made is removed. */
async function removeSocketFolder(folder: string): Promise<void> {
  if (basename(folder).startsWith('holdfast-')) await rm(folder, { recursive: true, force: true })
}
