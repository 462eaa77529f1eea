// Three real cells by one `holdfast start`, which reach each other only through a wide area of ours, and a client process in each
// region that reaches every cell directly.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createClient } from '../../../sdk/src/client.ts'
import type { CellName } from '../../../src/base/ids.ts'
import type { Topology } from '../../../src/base/topology.ts'
import { findPortFrom } from '../../../src/cli/ports.ts'
import { ensureCellKey, writeTopologyFile } from '../../../src/cli/start-topology.ts'
import { eventually } from '../../support/eventually.ts'
import { makeDataFolder, type Running, startHoldfast } from '../../support/holdfast.ts'
import { readLatencies } from '../../support/latencies.ts'
import { openWideArea, type WideArea } from '../../support/wide-area.ts'
import { countAnswers } from '../journal.ts'
import { skus } from '../workload.ts'
import { type Cell, cells } from './plan.ts'
import { countedSku, firstUnits, plentySku } from './stock.ts'

export type Scene = {
  data: string
  area: WideArea
  server: Running
  urls: Record<Cell, string>
  journals: Record<Cell, string>
  clients: Record<Cell, ChildProcess>
  /** Of all clients so far. */
  answers(): number
  stop(): Promise<void>
}

const clientStopMsMax = 150_000

export async function openScene(seed: number): Promise<Scene> {
  const { data, remove } = await makeDataFolder()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-journals-')) // apart: what names the data folder is a process of the cells
  const area = openWideArea(readLatencies())
  const clients: Partial<Record<Cell, ChildProcess>> = {}
  const stop = async () => {
    for (const client of Object.values(clients)) client.kill('SIGKILL')
    await remove()
    await area.stop()
    await rm(folder, { recursive: true })
  }
  try {
    const { server, urls } = await startCells(data, area)
    await receiveFirst(urls)
    const journals = byCell((cell) => join(folder, `${cell}.ndjson`))
    for (const cell of cells) clients[cell] = startClient(cell, { urls, journal: journals[cell], seed })
    const counts = cells.map((cell) => countAnswers(journals[cell]))
    const answers = () => counts.reduce((sum, count) => sum + count(), 0)
    return { data, area, server, urls, journals, clients: clients as Scene['clients'], answers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The cells listen where only clients go; the topology has the addresses of the wide area. All have heard of all then. */
export async function startCells(data: string, area: WideArea, args: string[] = []) {
  const port = await findPorts(cells.length)
  const known: Topology['cells'][number][] = []
  for (const [at, cell] of cells.entries()) {
    area.place(cell, port + at)
    const publicKey = await ensureCellKey(join(data, cell))
    const standing = { state: 'active', durability: 'local', onIsolation: 'sell', standby: null } as const
    known.push({ name: cell as CellName, url: await area.open(cell), publicKey, ...standing })
  }
  const zones = [{ name: 'world', regions: cells.map((cell) => cell.replace(/\d+$/, '')) }]
  const file = join(data, 'wide-area.json')
  await writeTopologyFile(file, { version: 1, by: cells[0] as CellName, zones, cells: known })
  const told = [`--data=${data}`, `--cells=${cells}`, `--port=${port}`, `--topology=${file}`, '--log-level=fatal']
  const server = await startHoldfast([...told, ...args])
  const urls = byCell((cell) => `http://127.0.0.1:${port + cells.indexOf(cell)}`)
  for (const cell of cells) await eventually(() => hasHeardOfAll(urls[cell]), 30_000)
  return { server, urls }
}

/** Units that are received are shared with those that are up. */
async function hasHeardOfAll(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/v1/cells`, { headers: { authorization: 'Bearer sk_dev' } })
  const { data } = (await answer.json()) as { data?: { reachable: boolean }[] }
  return data?.every(({ reachable }) => reachable) ?? false // its shop may not be there yet
}

/** The first of so many ports in a row that are free. */
async function findPorts(count: number): Promise<number> {
  for (;;) {
    const first = randomInt(20_000, 32_000)
    const found = await Promise.all(Array.from({ length: count }, (_, at) => findPortFrom('127.0.0.1', first + at)))
    if (found.every((port, at) => port === first + at)) return first
  }
}

/** Until every cell has its part of what there is plenty of. */
async function receiveFirst(urls: Record<Cell, string>): Promise<void> {
  const client = createClient({ url: urls.eu1, key: 'sk_dev' })
  const received = [...skus, plentySku, countedSku]
  await client.stock.adjust(received.map((sku) => ({ sku, delta: firstUnits(sku), reason: 'received' })))
  for (const cell of cells) {
    const own = createClient({ url: urls[cell], key: 'sk_dev' })
    await eventually(async () => {
      const level = await own.stock.get(plentySku).catch(() => undefined)
      return level?.cells.some((part) => part.cell === cell && part.on_hand > 0) ?? false
    }, 20_000)
  }
}

type ClientGiven = { urls: Record<Cell, string>; journal: string; seed: number }

function startClient(cell: Cell, { urls, journal, seed }: ClientGiven): ChildProcess {
  const program = fileURLToPath(new URL('./client.ts', import.meta.url))
  const nearestFirst = [urls[cell], ...cells.filter((other) => other !== cell).map((other) => urls[other])]
  const given = [`--cell=${cell}`, `--urls=${nearestFirst}`, `--journal=${journal}`, `--seed=${seed}`]
  return spawn(process.execPath, [program, ...given], { stdio: ['ignore', 'inherit', 'inherit'] })
}

export const hasEnded = ({ clients }: Scene): boolean =>
  Object.values(clients).some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)

/** When each has an answer to all that it sent. */
export async function stopClients({ clients }: Scene): Promise<void> {
  const all = Object.entries(clients)
  for (const [, client] of all) client.kill('SIGTERM')
  await eventually(
    () => all.every(([, { exitCode, signalCode }]) => exitCode !== null || signalCode !== null),
    clientStopMsMax,
  )
  for (const [cell, { exitCode }] of all) {
    if (exitCode !== 0) throw new Error(`the client of ${cell} ended with ${exitCode}`)
  }
}

export const byCell = <T>(make: (cell: Cell) => T): Record<Cell, T> =>
  Object.fromEntries(cells.map((cell) => [cell, make(cell)])) as Record<Cell, T>
