// The embedded PostgreSQL of one cell: made when missing, adopted when an earlier run left it alive, started when not,
// and watched. It runs in a process group of its own, so that Ctrl-C reaches us first and it outlives our crash.
import { spawn } from 'node:child_process'
import { chown, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type postgres from 'postgres'
import { limits } from '../base/limits.ts'
import { type DatabaseUrl, openSql, socketUrl, withDatabase } from './database-url.ts'
import { type Account, postgresAccount } from './embedded-account.ts'
import { type Binaries, postgresBinaries } from './embedded-binaries.ts'
import { type Claim, claimServer } from './embedded-claim.ts'
import {
  checkDiskSpace,
  clusterArgument,
  hasCluster,
  makeCellFolder,
  makeCluster,
  makeSocketFolder,
  type NewCluster,
  postgresEnvironment,
  superuser,
} from './embedded-folder.ts'
import {
  isAlive,
  isServerOf,
  killOrphanBackends,
  readPostmaster,
  stillRuns,
  stopServer,
} from './embedded-postmaster.ts'
import { type EmbeddedSettings, settingsFile, settingsText } from './embedded-settings.ts'
import { StartFailure } from './start-failure.ts'

export type EmbeddedOptions = {
  /** The cell's folder, DIR/<cell>. */
  folder: string
  settings?: EmbeddedSettings
  diskFreeMinMib?: number
  /** Tests of logic only: initdb does not wait for the disk. */
  durable?: boolean
  /** Makes the cluster and its password in the folder, whole or not at all; absent: an empty one. */
  makeCluster?: (at: NewCluster) => Promise<void>
  /** Called when the server is gone without stop(); restart() is the answer. */
  onLost?: () => void
  /** Gives the start up; a server that was starting is stopped. */
  signal?: AbortSignal
}

export type Embedded = {
  /** Superuser, database `holdfast`. */
  url: DatabaseUrl
  adopted: boolean
  cluster: string
  pid(): number
  /** After onLost: starts it again behind the same URL. False when stop() was called before it ran: it does not run then. */
  restart(): Promise<boolean>
  /** Fast shutdown, of a server that is just being started again too; resolves when no process of it is left. */
  stop(): Promise<void>
}

type Place = {
  cellFolder: string
  cluster: string
  account: Account | undefined
  binaries: Binaries
  conf: string
  password: string
  signal: AbortSignal | undefined
}
type Running = { pid: number; socketFolder: string }

export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const stopping = new AbortController()
  const given = options.signal
  const place = await preparePlace({
    ...options,
    signal: given ? AbortSignal.any([given, stopping.signal]) : stopping.signal,
  })
  let { running, claim, adopted } = await run(place, undefined)
  const url = urlOf(place, running)
  await makeDatabase(url)
  let stopWatching = watch(place, running, options.onLost)
  let restarting: Promise<unknown> = Promise.resolve()

  async function startAgain(): Promise<boolean> {
    try {
      await claim.release()
      ;({ running, claim } = await run(place, running.socketFolder))
      stopWatching = watch(place, running, options.onLost)
    } catch (error) {
      if (!stopping.signal.aborted) throw error
    }
    return !stopping.signal.aborted
  }

  return {
    url,
    adopted,
    cluster: place.cluster,
    pid: () => running.pid,
    restart() {
      if (stopping.signal.aborted) return Promise.resolve(false)
      const again = startAgain()
      restarting = again.catch(() => {})
      return again
    },
    async stop() {
      stopping.abort()
      await restarting
      stopWatching()
      await stopServer(place.cluster, running.pid) // before the claim goes: nobody may adopt what is about to end
      await claim.release()
      await removeSocketFolder(running.socketFolder)
    },
  }
}

/** The folder with a cluster in it, and everything that is needed to run it. */
async function preparePlace(options: EmbeddedOptions): Promise<Place> {
  const cellFolder = await makeCellFolder(options.folder)
  const cluster = join(cellFolder, 'pg')
  const account = postgresAccount(cluster)
  const binaries = await postgresBinaries(account)
  await checkDiskSpace(cellFolder, options.diskFreeMinMib ?? 64)
  if (!(await hasCluster(cellFolder, binaries.major)))
    await (options.makeCluster ?? makeCluster)({ cellFolder, binaries, account, durable: options.durable ?? true })
  const password = (await readFile(join(cellFolder, 'password'), 'utf8')).trim()
  const conf = settingsText(binaries.packageVersion, options.settings)
  return { cellFolder, cluster, account, binaries, conf, password, signal: options.signal }
}

const urlOf = (place: Place, running: Running): DatabaseUrl =>
  socketUrl({ folder: running.socketFolder, user: superuser, password: place.password, database: 'holdfast' })

/** A server that runs with our settings and is ours alone. `socketFolder`: the one that the URL already names. */
async function run(
  place: Place,
  socketFolder: string | undefined,
): Promise<{ running: Running; claim: Claim; adopted: boolean }> {
  for (let attempt = 1; attempt <= limits.postgresStartsMax; attempt++) {
    const found = await findRunning(place, socketFolder)
    const running = found ?? (await launch(place, socketFolder))
    if (!running) continue // somebody else was starting it
    const claim = await claimServer(urlOf(place, running), place.cellFolder)
    if (!claim) continue // its holder was taking it down
    if (!(await isReady(place, running.pid))) {
      await claim.release()
      continue
    }
    const fits = !found || ((await runsWith(place)) && (socketFolder ?? found.socketFolder) === found.socketFolder)
    if (fits) return { running, claim, adopted: found !== undefined }
    await stopServer(place.cluster, running.pid)
    await claim.release()
    await removeSocketFolder(running.socketFolder)
  }
  throw new StartFailure(
    'postgres_failed',
    `PostgreSQL on ${place.cluster} went away ${limits.postgresStartsMax} times while it started.`,
  )
}

/** False from the first moment of a shutdown, before its clients notice. */
async function isReady({ cluster }: Place, pid: number): Promise<boolean> {
  const found = await readPostmaster(cluster)
  return found?.pid === pid && found.status === 'ready'
}

/** The live server of this folder, an orphan of a killed run, once it answers. `kept`: a socket folder that stays. */
async function findRunning(place: Place, kept: string | undefined): Promise<Running | undefined> {
  const found = await readPostmaster(place.cluster)
  if (!found) return undefined
  if (isServerOf(place.cluster, found.pid)) return (await becomesReady(place, found.pid)) ? found : undefined
  if (found.socketFolder !== kept) await removeSocketFolder(found.socketFolder)
  // PostgreSQL sees by itself that a pid is dead, but not that it is a zombie or was given to another program since.
  if (isAlive(found.pid)) {
    await rm(join(place.cluster, 'postmaster.pid'), { force: true })
    if (kept) await rm(join(kept, '.s.PGSQL.5432.lock'), { force: true })
  }
  return undefined
}

const runsWith = async (place: Place): Promise<boolean> =>
  (await readFile(join(place.cluster, settingsFile), 'utf8').catch(() => '')) === place.conf

/**
 * Starts it and waits until it accepts connections. What an earlier one left behind gets a bounded time to go; a server
 * that somebody else started meanwhile makes it undefined.
 */
async function launch(place: Place, socketFolder = ''): Promise<Running | undefined> {
  const deadline = performance.now() + limits.postgresRetryStartMsMax
  for (;;) {
    await killOrphanBackends(place.cluster, 5_000)
    const started = await launchOnce(place, socketFolder)
    if (started.running) return started.running
    if (/lock file .* already exists/.test(started.problem)) return undefined
    const remains = /pre-existing shared memory block/.test(started.problem)
    if (!remains || performance.now() > deadline) throw launchFailure(place, started.problem)
    await pause(100)
  }
}

async function launchOnce(
  place: Place,
  earlierSocketFolder: string,
): Promise<{ running: Running; problem?: never } | { running?: never; problem: string }> {
  const socketFolder = await makeSocketFolder(place.account, earlierSocketFolder)
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
    if (await becomesReady(place, child.pid!)) return { running: { pid: child.pid!, socketFolder } }
    if (!earlierSocketFolder) await removeSocketFolder(socketFolder)
    return { problem: await log.read() }
  } finally {
    await log.file.close()
  }
}

/** True when it accepts connections, false when it is gone. Recovery after a crash may take its time. */
async function becomesReady(place: Place, pid: number): Promise<boolean> {
  const { cluster, signal } = place
  const deadline = performance.now() + limits.postgresStartMsMax
  while (performance.now() < deadline) {
    if (await isReady(place, pid)) return true
    if (!stillRuns(cluster, pid)) return false
    if (signal?.aborted) {
      await stopServer(cluster, pid)
      throw new StartFailure('postgres_failed', 'Stopped while PostgreSQL was starting.')
    }
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
  const name = 'holdfast'
  await inDatabase(withDatabase(url, 'postgres'), async (sql) => {
    const [found] = await sql`select 1 from pg_database where datname = ${name}`
    if (!found) await sql`create database ${sql(name)}`
  })
  await inDatabase(withDatabase(url, name), async (sql) => {
    const [found] = await sql`select 1 from pg_extension where extname = 'pg_stat_statements'`
    if (!found) await sql`create extension pg_stat_statements`
  })
}

async function inDatabase(url: DatabaseUrl, work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  const sql = openSql(url, { max: 1, onnotice: () => {} })
  try {
    await work(sql)
  } finally {
    await sql.end()
  }
}

/** Watches the server by its pid, since an adopted one is not our child. Answers how to stop watching. */
function watch(place: Place, running: Running, onLost: (() => void) | undefined): () => void {
  const timer = setInterval(() => {
    if (stillRuns(place.cluster, running.pid)) return
    clearInterval(timer)
    onLost?.()
  }, limits.postgresWatchMs)
  timer.unref()
  return () => clearInterval(timer)
}

/** Only what we made is removed. */
async function removeSocketFolder(folder: string): Promise<void> {
  if (basename(folder).startsWith('holdfast-')) await rm(folder, { recursive: true, force: true })
}
