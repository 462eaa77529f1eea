// The product under test, started as a user starts it: `holdfast start` with its embedded PostgreSQL and durable settings.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import type postgres from 'postgres'
import { type CellName, uuidV7 } from '../src/base/ids.ts'
import type { Instant } from '../src/base/time.ts'
import type { Topology } from '../src/base/topology.ts'
import { type StartedCell, topologyAtStart } from '../src/base/topology-start.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { ensureCellKey, writeTopologyFile } from '../src/cli/start-topology.ts'
import { type DatabaseUrl, openSql, socketUrl } from '../src/runtime/database-url.ts'
import { superuser } from '../src/runtime/embedded-folder.ts'
import { readPostmaster } from '../src/runtime/embedded-postmaster.ts'
import { eventually } from '../test/support/eventually.ts'
import type { WideArea } from '../test/support/wide-area.ts'
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

/** One cell of a start. */
export type BenchServer = HttpServer & {
  cell: string
  sql: postgres.Sql
  /** The process that answers HTTP. */
  cellPid(): number
  postmasterPid(): Promise<number>
}

export type StartWanted = {
  folderName: string
  cells: readonly string[]
  flags?: readonly string[]
  /** Through which they reach each other, and nobody else does. */
  area?: Pick<WideArea, 'open' | 'place'>
}

const readyMsMax = 120_000
const stopMsMax = 90_000
const stockMsMax = 20_000

/** One cell on a data folder of its own, with stock of every SKU. */
export async function startServer(context: BenchContext, folderName = 'cells'): Promise<BenchServer> {
  const [server] = (await startCells(context, { folderName, cells: ['eu1'] })) as [BenchServer]
  await receiveSpread([server])
  return server
}

/** Cells that know each other, on one data folder; every one of them takes requests. */
export async function startCells(context: BenchContext, wanted: StartWanted): Promise<BenchServer[]> {
  const data = join(context.folder, wanted.folderName)
  const topology = wanted.area && (await topologyIn(wanted.area, data, wanted.cells))
  const flags = [
    '--port=0',
    ...(topology ? [`--topology=${topology}`] : []),
    `--cells=${wanted.cells.join(',')}`,
    `--data=${data}`,
    `--lanes=${context.options.lanes}`,
    '--json-logs',
    '--log-level=error',
    ...(wanted.flags ?? []),
  ]
  const { child, ready } = await startProcess(context, ['src/cli/holdfast.ts', 'start', ...flags])
  for (const { cell, url } of ready.cells) wanted.area?.place(cell, Number(new URL(url).port))
  const servers = await Promise.all(ready.cells.map((one) => benchServer(context, { ...one, data, parent: child })))
  await eventually(() => allReady(servers), readyMsMax)
  return servers
}

/** The file of a topology in which every cell has its address in the area. */
async function topologyIn(area: Pick<WideArea, 'open'>, data: string, names: readonly string[]): Promise<string> {
  const cells: StartedCell[] = []
  for (const name of names as readonly CellName[])
    cells.push({ name, url: await area.open(name), publicKey: await ensureCellKey(join(data, name)) })
  const file = join(data, 'area.json')
  await writeTopologyFile(file, topologyAtStart(undefined, cells) as Topology)
  return file
}

const allReady = async (servers: readonly HttpServer[]): Promise<boolean> =>
  (await Promise.all(servers.map(({ url }) => fetch(`${url}/readyz`)))).every(({ ok }) => ok)

type Started = { cell: string; url: string; data: string; parent: ChildProcess }

async function benchServer(context: BenchContext, { cell, url, data, parent }: Started): Promise<BenchServer> {
  const cluster = join(data, cell, 'pg')
  const postmaster = async () => {
    const found = await readPostmaster(cluster)
    if (!found) throw new CommandFailure('postgres_gone', `PostgreSQL on ${cluster} is gone`)
    return found
  }
  const password = (await readFile(join(data, cell, 'password'), 'utf8')).trim()
  const { socketFolder } = await postmaster()
  const sql = openBenchSql(
    context,
    socketUrl({ folder: socketFolder, user: superuser, password, database: 'holdfast' }),
  )
  const postmasterPid = async () => (await postmaster()).pid
  const cellPid = () => childrenOf(parent.pid!, `${data}/${cell}`)[0]!
  return {
    cell,
    url,
    sql,
    postmasterPid,
    cellPid,
    async cpuSeconds() {
      const pid = await postmasterPid()
      return { server: cpuSecondsOf(cellPid(), pid), postgres: cpuSecondsOf(pid) }
    },
  }
}

/** One cell on a PostgreSQL that the bench has started itself, with stock of every SKU. */
export async function startServerOn(
  context: BenchContext,
  { url, pid, flags }: { url: DatabaseUrl; pid: () => number; flags: readonly string[] },
): Promise<BenchServer> {
  const own = [
    '--port=0',
    '--cells=eu1',
    `--data=${join(context.folder, 'cells-on')}`,
    '--json-logs',
    '--log-level=fatal',
  ]
  const args = ['src/cli/holdfast.ts', 'start', ...own, `--lanes=${context.options.lanes}`, `--database-url=${url}`]
  const { child, ready } = await startProcess(context, [...args, ...flags])
  const server: BenchServer = {
    cell: 'eu1',
    url: ready.url,
    sql: openBenchSql(context, url),
    postmasterPid: async () => pid(),
    cellPid: () => childrenOf(child.pid!, join(context.folder, 'cells-on', 'eu1'))[0]!,
    cpuSeconds: async () => ({ server: cpuSecondsOf(child.pid!), postgres: cpuSecondsOf(pid()) }),
  }
  await eventually(() => allReady([server]), readyMsMax)
  await receiveSpread([server])
  return server
}

function openBenchSql(context: BenchContext, url: DatabaseUrl): postgres.Sql {
  const sql = openSql(url, { max: 2, onnotice: () => {} }) as unknown as postgres.Sql
  context.defer(() => sql.end({ timeout: 1 }))
  return sql
}

/** The same app, answering at once without engine and database. */
export async function startNoopServer(context: BenchContext): Promise<HttpServer> {
  const { child, ready } = await startProcess(context, ['bench/noop-server.ts'])
  return { url: ready.url, cpuSeconds: async () => ({ server: cpuSecondsOf(child.pid!), postgres: 0 }) }
}

/** What it says of itself when it is ready. */
type Ready = { url: string; cells: { cell: string; url: string }[] }

/** A Node process that says where it listens as a line of JSON; it is told to stop in the end. */
async function startProcess(context: BenchContext, args: string[]): Promise<{ child: ChildProcess; ready: Ready }> {
  const child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'inherit'] })
  context.defer(() => stopProcess(child))
  const lines = createInterface({ input: child.stdout! })
  const said = new Promise<Ready>((resolve) => {
    lines.on('line', (line) => {
      if (line.startsWith('{"ready":true,')) resolve(JSON.parse(line) as Ready)
      else process.stderr.write(`${line}\n`)
    })
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new CommandFailure('server_ended', `${args[0]} ended with code ${code} before it was ready`)
  })
  const late = pause(readyMsMax, undefined, { ref: false }).then(() => {
    throw new CommandFailure('server_late', `${args[0]} was not ready after ${readyMsMax / 1000} s`)
  })
  const ready = await Promise.race([said, ended, late])
  ended.catch(() => {}) // from here on its end is seen by whoever asks it
  late.catch(() => {})
  return { child, ready }
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const lastResort = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
  clearTimeout(lastResort)
}

export type StockOf = { sku: string; units: number }

const spreadStock: readonly StockOf[] = Array.from({ length: skusSpread }, (_, at) => ({
  sku: skuOf(at),
  units: unitsOnHand,
}))

/** Of every SKU of the usual load, more than is ever sold. */
export const receiveSpread = (servers: readonly BenchServer[]): Promise<void> => receiveStock(servers, spreadStock)

/** At the first of the cells, which shares it with the others; it is there when this resolves. */
export async function receiveStock(servers: readonly BenchServer[], stock: readonly StockOf[]): Promise<void> {
  const adjustments = stock.map(({ sku, units }) => ({ sku, delta: units, reason: 'received' }))
  await post(`${servers[0]!.url}/v1/stock/adjustments`, { adjustments }, 200)
  const has = async ({ sql }: BenchServer) =>
    (await sql`select 1 from stock.rows where sku = any(${stock.map(({ sku }) => sku)}) and on_hand > 0`).length ===
    stock.length
  await eventually(async () => (await Promise.all(servers.map(has))).every(Boolean), stockMsMax)
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
