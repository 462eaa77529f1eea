// Cells as an operator would run them: each by a `holdfast start` of its own, with a topology file that all of them were given, so
// that one can be lost with everything it has while the others do not notice.
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ensureCellKey } from '../../src/cli/start-topology.ts'
import { eventually } from '../support/eventually.ts'
import {
  type Ended,
  everyProcess,
  makeDataFolder,
  type Running,
  runHoldfast,
  startHoldfast,
} from '../support/holdfast.ts'
import { signalAll } from '../support/signal-all.ts'

export type DrillCell = {
  name: string
  /** The data folder, in which its own is DIR/<cell>. */
  data: string
  url: string
  /** Resolves when it has said that it is ready. */
  start(args?: readonly string[]): Promise<void>
  /** As an operator stops it: everything is answered and written. */
  stop(): Promise<void>
  /** The loss of a machine: no process of it is left, but those that are spared. */
  kill(spared?: readonly number[]): Promise<void>
  command(args: readonly string[]): Promise<Ended>
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
}
export type CallOptions = { body?: unknown; key?: string; deadlineMs?: number }
// biome-ignore lint/suspicious/noExplicitAny: drills read what was answered and fail when it is not there
export type Answer = { status: number; json: any }

export type DrillCells = { cells: DrillCell[]; topology: string; close(): Promise<void> }
export type CellTerms = { durability?: 'local' | 'geo'; standby?: string; onIsolation?: 'sell' | 'stop' }

/** Nothing runs yet. */
export async function prepareCells(terms: Record<string, CellTerms>): Promise<DrillCells> {
  const names = Object.keys(terms)
  const folders = await Promise.all(names.map(() => makeDataFolder()))
  const shared = await makeDataFolder() // of no cell: who names a cell's folder is lost with it
  const topology = join(shared.data, 'given.json')
  const places = await Promise.all(
    names.map(async (name, at) => {
      const publicKey = await ensureCellKey(join(folders[at]!.data, name))
      return { name, data: folders[at]!.data, port: await freePort(), publicKey, ...terms[name] }
    }),
  )
  const regions = new Set(
    places.flatMap(({ name, standby }) => [name.replace(/\d+$/, ''), ...(standby ? [standby] : [])]),
  )
  const described = places.map(({ name, port, publicKey, durability = 'local', standby, onIsolation = 'sell' }) => ({
    ...{ name, url: `http://127.0.0.1:${port}`, public_key: publicKey, state: 'active' },
    ...{ durability, on_isolation: onIsolation, standby: standby ? { region: standby } : null },
  }))
  const zones = [{ name: 'all', regions: [...regions] }]
  await writeFile(topology, JSON.stringify({ version: 1, by: names[0], zones, cells: described }))
  const cells = places.map((place) => drillCell(place, topology))
  return {
    cells,
    topology,
    async close() {
      for (const cell of cells) await cell.kill()
      for (const folder of [...folders, shared]) await folder.remove()
    },
  }
}

type Place = { name: string; data: string; port: number } & CellTerms

function drillCell({ name, data, port }: Place, topology: string): DrillCell {
  const url = `http://127.0.0.1:${port}`
  let run: Running | undefined
  return {
    name,
    data,
    url,
    async start(args = []) {
      const own = [`--cells=${name}`, `--port=${port}`, `--data=${data}`, `--topology=${topology}`]
      run = await startHoldfast([...own, ...args])
    },
    async stop() {
      run?.interrupt()
      await run?.ended
      run = undefined
    },
    async kill(spared = []) {
      run?.child.kill('SIGKILL') // first, so that nothing is started again
      const left = () => everyProcess(data).filter((pid) => !spared.includes(pid))
      await eventually(() => {
        signalAll(left())
        return left().length === 0
      }, 20_000)
      run = undefined
    },
    command: (args) => runHoldfast([...args]),
    call: (method, path, options) => call(method, `${url}${path}`, options),
  }
}

/** The same cell at another address, where another process of it is. */
export const besides = (cell: DrillCell, url: string): DrillCell => ({
  ...cell,
  url,
  call: (method, path, options) => call(method, `${url}${path}`, options),
})

/** Status 0: nobody answered. */
async function call(
  method: string,
  url: string,
  { body, key = crypto.randomUUID(), deadlineMs = 15_000 }: CallOptions = {},
): Promise<Answer> {
  try {
    const answer = await fetch(url, {
      method,
      headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/json', 'idempotency-key': key },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(deadlineMs),
    })
    return { status: answer.status, json: await answer.json().catch(() => undefined) }
  } catch {
    return { status: 0, json: undefined }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

export const isReady = (cell: DrillCell, ms = 30_000): Promise<void> =>
  eventually(async () => (await cell.call('GET', '/readyz', { deadlineMs: 2_000 })).status === 200, ms)

export const orderOf = (sku: string, quantity = 1) => ({
  currency: 'EUR',
  lines: [{ sku, quantity, unit_price: { amount: 500, currency: 'EUR' } }],
})

export async function receiveStock(cell: DrillCell, sku: string, delta: number): Promise<void> {
  const answer = await cell.call('POST', '/v1/stock/adjustments', {
    body: { adjustments: [{ sku, delta, reason: 'received' }] },
  })
  if (answer.status !== 200) throw new Error(`stock was not received: ${JSON.stringify(answer)}`)
}
