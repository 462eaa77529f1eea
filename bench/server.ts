// The product under test, started as a user starts it: `holdfast start` with its embedded PostgreSQL and durable settings.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type postgres from 'postgres'
import { uuidV7 } from '../src/base/ids.ts'
import type { Instant } from '../src/base/time.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { openSql, socketUrl } from '../src/runtime/database-url.ts'
import { superuser } from '../src/runtime/embedded-folder.ts'
import { readPostmaster } from '../src/runtime/embedded-postmaster.ts'
import type { BenchContext } from './bench.ts'
import { repository } from './machine.ts'
import { childrenOf, cpuSecondsOf } from './processes.ts'
import { skuOf, skusSpread, unitsOnHand } from './shapes.ts'

export type CpuSeconds = { server: number; postgres: number }

export type HttpServer = {
  url: string
  /** Of all its processes so far. */
  cpuSeconds(): Promise<CpuSeconds>
}

export type BenchServer = HttpServer & {
  sql: postgres.Sql
  /** The process that answers HTTP. */
  cellPid(): number
  postmasterPid(): Promise<number>
}

const readyMsMax = 120_000
const stopMsMax = 90_000

/** On a data folder of its own, with stock of every SKU. */
export async function startServer(context: BenchContext, folderName = 'cells'): Promise<BenchServer> {
  const data = join(context.folder, folderName)
  const flags = [
    '--port=0',
    '--cells=eu1',
    `--data=${data}`,
    `--lanes=${context.options.lanes}`,
    '--json-logs',
    '--log-level=error',
  ]
  const { child, url } = await startProcess(context, ['src/cli/holdfast.ts', 'start', ...flags])
  const cluster = join(data, 'eu1', 'pg')
  const sql = await openCluster(data, cluster)
  context.defer(() => sql.end({ timeout: 1 }))
  const postmasterPid = async () => {
    const found = await readPostmaster(cluster)
    if (!found) throw new CommandFailure('postgres_gone', `PostgreSQL on ${cluster} is gone`)
    return found.pid
  }
  await receiveStock(url)
  return {
    url,
    sql,
    postmasterPid,
    cellPid: () => childrenOf(child.pid!)[0]!, // the parent has no other
    async cpuSeconds() {
      const postgres = cpuSecondsOf(await postmasterPid())
      return { server: cpuSecondsOf(child.pid!, await postmasterPid()), postgres }
    },
  }
}

/** The same app, answering at once without engine and database. */
export async function startNoopServer(context: BenchContext): Promise<HttpServer> {
  const { child, url } = await startProcess(context, ['bench/noop-server.ts'])
  return { url, cpuSeconds: async () => ({ server: cpuSecondsOf(child.pid!), postgres: 0 }) }
}

/** A Node process that says where it listens as a line of JSON; it is told to stop in the end. */
async function startProcess(context: BenchContext, args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'inherit'] })
  context.defer(() => stopProcess(child))
  const lines = createInterface({ input: child.stdout! })
  const ready = new Promise<string>((resolve) => {
    lines.on('line', (line) => {
      const url = /^\{"ready":true,"url":"([^"]+)"/.exec(line)?.[1]
      if (url) resolve(url)
      else process.stderr.write(`${line}\n`)
    })
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new CommandFailure('server_ended', `${args[0]} ended with code ${code} before it was ready`)
  })
  const late = pause(readyMsMax, undefined, { ref: false }).then(() => {
    throw new CommandFailure('server_late', `${args[0]} was not ready after ${readyMsMax / 1000} s`)
  })
  const url = await Promise.race([ready, ended, late])
  ended.catch(() => {}) // from here on its end is seen by whoever asks it
  late.catch(() => {})
  return { child, url }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const lastResort = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
  clearTimeout(lastResort)
}

async function openCluster(data: string, cluster: string): Promise<postgres.Sql> {
  const password = (await readFile(join(data, 'eu1', 'password'), 'utf8')).trim()
  const postmaster = await readPostmaster(cluster)
  const url = socketUrl({ folder: postmaster!.socketFolder, user: superuser, password, database: 'holdfast' })
  return openSql(url, { max: 2, onnotice: () => {} }) as unknown as postgres.Sql
}

async function receiveStock(url: string): Promise<void> {
  const adjustments = Array.from({ length: skusSpread }, (_, at) => ({
    sku: skuOf(at),
    delta: unitsOnHand,
    reason: 'received',
  }))
  await post(`${url}/v1/stock/adjustments`, { adjustments }, 200)
}

async function post(url: string, body: object, expected: number): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: 'Bearer sk_dev',
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await response.text()
  if (response.status === expected) return JSON.parse(text)
  throw new CommandFailure('unexpected_answer', `POST ${url} answered ${response.status}: ${text}`)
}

/** Halfway through a slice, so that its cost and that of the full pages after it are in every number. */
export async function checkpointMidway(sql: postgres.Sql, seconds: number): Promise<void> {
  await pause(seconds * 500)
  await sql`checkpoint`
}

/** Orders whose ids were made since then: a short range of the key, however many are stored. */
export async function countOrdersSince(sql: postgres.Sql, since: Instant, status?: 'confirmed'): Promise<number> {
  const first = uuidV7(since, new Uint8Array(10))
  const [row] = await sql<{ count: string }[]>`
    select count(*) from orders.states where shop_id = 1 and id >= ${first} and (${status ?? null}::text is null or status = ${status ?? null})`
  return Number(row!.count)
}

/** By the provider's own record: orders it has charged, and those of them that it has charged more than once. */
export async function countCharges(sql: postgres.Sql): Promise<{ charges: number; doubled: number }> {
  const [row] = await sql<{ charges: string; doubled: string }[]>`
    select count(*) as charges, count(*) filter (where times > 1) as doubled from (
      select order_id, count(*) filter (where captured > 0) as times from test_provider.charges group by order_id) one`
  return { charges: Number(row!.charges), doubled: Number(row!.doubled) }
}
