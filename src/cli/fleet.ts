// The cells of one `holdfast start`: which of them there are, where they listen, and what they know of each other. The topology of
// a data folder is kept as new as the newest that any of its cells has adopted.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { CellName } from '../base/ids.ts'
import { cellNamed, changeTopology, newerTopology, type Topology } from '../base/topology.ts'
import type { StartedCell } from '../base/topology-start.ts'
import { originOf } from '../main.ts'
import { type Config, termsOf } from '../runtime/config.ts'
import { openLog } from '../runtime/log.ts'
import { CommandFailure } from './failure.ts'
import { findPortFrom, findPorts } from './ports.ts'
import {
  cellKeyFile,
  ensureCellKey,
  givenTopology,
  ownTopology,
  ownTopologyFile,
  publicKeyIn,
  readOwnTopology,
  writeTopologyFile,
} from './start-topology.ts'
import { type SupervisedCell, superviseCell } from './supervise.ts'

export type Fleet = {
  /** Those that can be started, in the order of their ports. */
  cells: SupervisedCell[]
  /** Those that run unless somebody stops them. */
  wanted: SupervisedCell[]
  /** Makes another cell, starts it and tells the others of it. */
  add(name: CellName): Promise<SupervisedCell>
  /** When everything that was heard is in the file. */
  settled(): Promise<void>
}

/** Nothing runs yet. Throws StartFailure when a port is taken, or the topology does not fit. */
export async function makeFleet(config: Config): Promise<Fleet> {
  const data = resolve(config.data)
  return config.topology ? givenFleet(data, config) : ownFleet(data, config)
}

/** As the operator's file says, which is not ours to change. */
async function givenFleet(data: string, config: Config): Promise<Fleet> {
  const file = resolve(config.topology!)
  await givenTopology({ ...config, topology: file }, (name) => join(data, name))
  const ports = await findPorts({ ...config, count: config.cells.length })
  const cells = config.cells.map((name, at) =>
    supervise(data, { ...config, topology: file, port: ports[at]! }, name, () => {}),
  )
  return {
    cells,
    wanted: cells,
    async add() {
      throw new CommandFailure('topology_given', `The topology is the one in ${file}: a cell is added to that.`)
    },
    settled: async () => {},
  }
}

async function ownFleet(data: string, config: Config): Promise<Fleet> {
  const file = ownTopologyFile(data)
  const earlier = await readOwnTopology(data)
  const { wanted, names } = namesOf(data, config, earlier)
  const ports = await findPorts({ ...config, count: names.length, needed: wanted.length })
  const started = await Promise.all(names.map((name, at) => placeCell(data, config, name, ports[at]!)))
  let topology = await ownTopology(data, earlier, started)
  let written = Promise.resolve()
  const keep = (heard: Topology): void => {
    if (newerTopology(topology, heard) === topology) return
    topology = heard
    written = written.then(() => writeTopologyFile(file, heard)).catch(() => {}) // the next one is written whole again
    for (const other of cells) other.offer(heard) // a cell that has left stops before its greetings tell them
    for (const cell of cells) if (cellNamed(heard, cell.name)?.state === 'removed') void cell.stop()
  }
  const make = (name: CellName, port: number) => supervise(data, { ...config, topology: file, port }, name, keep)
  const cells = names.map((name, at) => make(name, ports[at]!))
  return {
    cells,
    wanted: cells.slice(0, wanted.length),
    async add(name) {
      const port = await findPortFrom(config.host, Math.max(...ports) + 1)
      const next = withCell(topology, await placeCell(data, config, name, port))
      ports.push(port)
      keep(next)
      await written // its process reads it
      const cell = make(name, port)
      cells.push(cell)
      await cell.start()
      for (const other of cells) other.offer(topology)
      return cell
    },
    settled: () => written,
  }
}

/** `wanted` come first. A cell that is not wanted keeps its place behind them, to be started later. */
function namesOf(data: string, { cells, standardCells, databaseUrl }: Config, earlier: Topology | undefined) {
  const known = earlier?.cells ?? []
  const isRemoved = (name: CellName) => known.some((cell) => cell.name === name && cell.state === 'removed')
  const others = known
    .map(({ name }) => name)
    .filter((name) => !cells.includes(name) && !isRemoved(name) && existsSync(cellKeyFile(join(data, name))))
  const isAll = standardCells && !databaseUrl
  const wanted = isAll ? [...cells.filter((name) => !isRemoved(name)), ...others] : cells
  return { wanted, names: [...new Set([...wanted, ...others])] }
}

async function placeCell(data: string, config: Config, name: CellName, port: number): Promise<Required<StartedCell>> {
  const publicKey = config.cellKey ? await publicKeyIn(config.cellKey) : await ensureCellKey(join(data, name))
  return { name, url: originOf(config.host, port), publicKey, ...termsOf(config) }
}

function withCell(topology: Topology, place: Required<StartedCell>): Topology {
  const change = { kind: 'add', cell: { ...place, state: 'active' }, zone: topology.zones[0]!.name } as const
  const next = changeTopology(topology, change, topology.by, { httpAnywhere: true })
  if ('cells' in next) return next
  throw new CommandFailure(next.code, next.detail)
}

const supervise = (data: string, config: Config, name: CellName, onTopology: (topology: Topology) => void) =>
  superviseCell({
    name,
    folder: join(data, name),
    config,
    log: openLog({ level: config.logLevel, json: config.jsonLogs, name }),
    onTopology,
  })
