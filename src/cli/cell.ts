// The process of one cell: its PostgreSQL, its engine, its HTTP server. Started by `holdfast start`, never by hand. It drains
// and stops when its parent says so or is gone, and starts its PostgreSQL again when that dies.
import { basename, dirname } from 'node:path'
import type { CellName } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { cellNamed, checkTopology, type Topology, topologyJson } from '../base/topology.ts'
import type { Supervisor } from '../gateway/chaos.ts'
import { type CellOptions, runCell } from '../main.ts'
import { type Config, overruledFlags, readConfig } from '../runtime/config.ts'
import type { DatabaseUrl } from '../runtime/database-url.ts'
import { type Log, openLog } from '../runtime/log.ts'
import { checkServer, checkStandbys, type Server as FoundServer } from '../runtime/preflight.ts'
import { asStartFailure, StartFailure, type StartFailureCode } from '../runtime/start-failure.ts'
import type { TopologyKeeper } from '../runtime/topology.ts'
import { type CellDatabase, embeddedPostgres, externalPostgres } from './cell-postgres.ts'
import { askControl } from './control.ts'
import {
  cellKeyFile,
  cellKeyIn,
  countingTopology,
  ownTopologyFile,
  readOwnTopology,
  readTopologyFile,
} from './start-topology.ts'

export type CellReady = { cell: CellName; url: string; postgres: string; adopted: boolean }

/** What a cell tells its parent. A parent says `stop`, or offers a topology. */
export type CellReport =
  | ({ type: 'ready' } & CellReady)
  | { type: 'topology'; topology: Json }
  | { type: 'failed'; code: StartFailureCode; line: string }

export async function cell([folder = '', ...args]: string[]): Promise<number> {
  const config = readConfig(args, process.env)
  const name = basename(folder) as CellName
  const log = openLog({ level: config.logLevel, json: config.jsonLogs, name })
  const stopping = whenToldToStop(log)
  let database: CellDatabase | undefined
  try {
    const given = await topologyGiven(folder, config)
    database = config.databaseUrl
      ? externalPostgres(config.databaseUrl)
      : await embeddedPostgres({ folder, servers: serversOf(given, config), config, log, stopping })
    const server = await checkServer(database.url)
    const key = await cellKeyIn(config.cellKey ?? cellKeyFile(folder))
    const atStart = startingWith({ ...given, name, config, log, database, server })
    const supervisor = process.connected ? supervisorOf(dirname(folder)) : undefined
    const running = await runCell({ config, cell: name, databaseUrl: database.url, log, atStart, key, supervisor })
    shareTopology(running.topology)
    keepStandbys(running.topology, { name, database, log })
    report({ type: 'ready', cell: name, url: running.url, postgres: server.version, adopted: database.adopted })
    await aborted(stopping)
    await running.stop()
    return 0
  } catch (error) {
    const failure = asStartFailure(error)
    if (!failure) throw error
    report({ type: 'failed', code: failure.code, line: failure.message })
    return 1
  } finally {
    await database?.stop()
    process.removeAllListeners('disconnect') // ours, not the parent's death
    if (process.connected) process.disconnect?.()
  }
}

type Given = { given: Topology; isOwn: boolean }

async function topologyGiven(folder: string, { topology: file = '', httpBetweenCells }: Config): Promise<Given> {
  const data = dirname(folder)
  const isOwn = file === ownTopologyFile(data)
  const given = isOwn ? await readOwnTopology(data) : await readTopologyFile(file, { httpAnywhere: httpBetweenCells })
  if (!given) throw new StartFailure('topology_refused', `There is no topology ${file}.`)
  return { given, isOwn }
}

/** How many may share this machine, before it is known what each cell has stored. */
const serversOf = ({ given }: Given, { cells }: Config): number =>
  given.cells.filter(({ name, durability }) => cells.includes(name) && durability === 'geo').length + cells.length

type Starting = Given &
  Pick<CellOptions, 'config' | 'log'> & {
    name: CellName
    database: CellDatabase
    server: FoundServer & { url: DatabaseUrl }
  }

/** What counts is decided between the file and what the cell has stored. Its standby is there before anything waits for it. */
function startingWith({ given, isOwn, name, config, log, database, server }: Starting): CellOptions['atStart'] {
  return async (stored) => {
    const counting = countingTopology(stored, given, isOwn)
    const self = Array.isArray(counting) ? undefined : cellNamed(counting, name)
    if (!self) return counting
    for (const line of overruledFlags(config, self)) log.warn(line)
    // Later that is for the gate to find: a cell whose standby is gone starts, and serves reads.
    if (!stored && config.databaseUrl && self.durability === 'geo') await checkStandbys(server.url)
    await database.keepStandby(self)
    return counting
  }
}

/** As the topology changes. */
function keepStandbys(
  topology: TopologyKeeper,
  { name, database, log }: Pick<Starting, 'name' | 'database' | 'log'>,
): void {
  topology.onChange((changed) => {
    const self = cellNamed(changed, name)
    if (self) database.keepStandby(self).catch((err) => log.error({ err }, 'the standby is not as the topology says'))
  })
}

/** The `holdfast start` on the folder. A process that it is asked to stop does not wait for its answer. */
const supervisorOf = (data: string): Supervisor => ({
  cells: async () => (await askControl(data, { do: 'list' })).cells.map(({ cell }) => cell),
  carryOut: async (action, cell) => void (await askControl(data, { do: action, cell }, { mayEnd: true })),
})

/** The parent keeps the newest in its file, and offers what it changes. */
function shareTopology(keeper: TopologyKeeper): void {
  const tell = (topology: Topology) => report({ type: 'topology', topology: topologyJson(topology) })
  tell(keeper.current())
  keeper.onChange(tell)
  process.on('message', (message: 'stop' | { topology: Json }) => {
    const offered = typeof message === 'object' ? checkTopology(message.topology, { httpAnywhere: true }) : []
    if (!Array.isArray(offered)) void keeper.offer(offered)
  })
}

/** The parent's message, its death, or SIGTERM. Ctrl-C reaches the whole process group; the parent decides about it. */
function whenToldToStop(log: Log): AbortSignal {
  const controller = new AbortController()
  const stop = (why: string) => {
    if (!controller.signal.aborted) log.info({ why }, 'stopping')
    controller.abort()
  }
  process.on('message', (message) => message === 'stop' && stop('asked'))
  process.on('disconnect', () => stop('parent is gone'))
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => process.connected || stop('SIGINT'))
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {}) // a parent that is gone reads no more
  return controller.signal
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )

const report = (message: CellReport): void => {
  if (process.connected) process.send?.(message)
}
