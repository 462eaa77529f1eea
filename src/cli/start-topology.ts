// What the cells of a start know of each other. An operator gives it as a file; else the data folder keeps it, made from the cells
// that are started in it and their keys: moved with their ports, and with what was changed since.
import { type KeyObject, randomBytes } from 'node:crypto'
import { chown, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CellName } from '../base/ids.ts'
import { parseJson } from '../base/json.ts'
import {
  cellNamed,
  checkNextTopology,
  checkTopology,
  newerTopology,
  type Topology,
  type TopologyCell,
  type TopologyRules,
  topologyJson,
} from '../base/topology.ts'
import { type StartedCell, topologyAtStart } from '../base/topology-start.ts'
import type { Config } from '../runtime/config.ts'
import { newCellKey, publicKeyOf, readCellKey } from '../runtime/peer-keys.ts'
import { StartFailure } from '../runtime/start-failure.ts'

const refused = (line: string): StartFailure => new StartFailure('topology_refused', line)

/** Where a data folder keeps the topology of the cells in it. */
export const ownTopologyFile = (data: string): string => join(data, 'topology.json')

const ownRules: TopologyRules = { httpAnywhere: true }
/** It was checked when it was read; it may be several versions ahead. */
const givenRules: TopologyRules = { httpAnywhere: true, severalVersions: true }

/** A lone cell may stand behind a proxy, and its own address is then http. */
export const readOwnTopology = (data: string): Promise<Topology | undefined> =>
  readTopologyFile(ownTopologyFile(data), ownRules)

export const cellKeyFile = (cellFolder: string): string => join(cellFolder, 'cell.key')

/** Undefined when there is none yet. Throws StartFailure when it is not one. */
export async function readTopologyFile(file: string, rules: TopologyRules = {}): Promise<Topology | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw refused(`The topology ${file} cannot be read (${error.code}).`)
  })
  if (text === undefined) return undefined
  const parsed = parseJson(text)
  if (!parsed.ok) throw refused(`The topology ${file} is not JSON.`)
  const found = checkTopology(parsed.value, rules)
  if (!Array.isArray(found)) return found
  const [first, ...more] = found
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`
  throw refused(`The topology ${file} is wrong at ${first!.pointer || 'its top'}: ${first!.detail}${others}`)
}

/** Whole or not at all. */
export async function writeTopologyFile(file: string, topology: Topology): Promise<void> {
  const draft = `${file}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, `${JSON.stringify(topologyJson(topology), null, 2)}\n`)
  await rename(draft, file)
}

/** The operator's, which must know the cells that are started here, by the keys that they have here. */
export async function givenTopology(config: Config, folderOf: (cell: CellName) => string): Promise<Topology> {
  const file = config.topology!
  const topology = await readTopologyFile(file, { httpAnywhere: config.httpBetweenCells })
  if (!topology) throw refused(`There is no topology ${file}.`)
  for (const name of config.cells) {
    const known = cellNamed(topology, name)
    const names = topology.cells.map((cell) => cell.name).join(', ')
    if (!known) throw refused(`--cells ${name}: the topology ${file} knows no such cell, it has ${names}.`)
    if (known.state === 'removed') throw refused(`--cells ${name}: the topology ${file} says that it was removed.`)
    const keyFile = config.cellKey ?? cellKeyFile(folderOf(name))
    if ((await publicKeyIn(keyFile)) !== known.publicKey)
      throw refused(`The key in ${keyFile} is not the one that the topology ${file} has for ${name}.`)
  }
  return topology
}

/** Puts the cells of a data folder where they are now, and keeps that. */
export async function ownTopology(
  data: string,
  earlier: Topology | undefined,
  started: readonly StartedCell[],
): Promise<Topology> {
  const found = topologyAtStart(earlier && withLoneKey(earlier, started), started, ownRules)
  if (Array.isArray(found)) throw refused(found[0]!.detail)
  if (found !== earlier) await writeTopologyFile(ownTopologyFile(data), found)
  return found
}

/**
 * What counts for a cell that has `stored` and is started with `given`. The addresses are those of `given` when it is the data
 * folder's own, which may have been behind.
 */
export function countingTopology(stored: Topology | undefined, given: Topology, isOwn: boolean) {
  if (!stored) return given
  const newer = newerTopology(stored, given)
  if (!isOwn) return newer === given && stored.cells.length > 1 ? checkNextTopology(stored, given, givenRules) : newer
  const started = given.cells.filter(({ name, state }) => state !== 'removed' && !isRemovedIn(newer, name))
  return topologyAtStart(withLoneKey(newer, started), started, ownRules)
}

const isRemovedIn = (topology: Topology, name: CellName): boolean => cellNamed(topology, name)?.state === 'removed'

/** Nobody else knows a lone cell by its key, so a database may come with a new data folder. */
function withLoneKey(topology: Topology, started: readonly StartedCell[]): Topology {
  const [lone, ...others] = topology.cells as [TopologyCell]
  const publicKey = started.find(({ name }) => name === lone.name)?.publicKey ?? lone.publicKey
  if (others.length > 0 || publicKey === lone.publicKey) return topology
  return { ...topology, cells: [{ ...lone, publicKey }], version: topology.version + 1 }
}

/** The cell's public key; its private one is made when there is none. It belongs to whom the folder belongs. */
export async function ensureCellKey(cellFolder: string): Promise<string> {
  await mkdir(cellFolder, { recursive: true })
  const file = cellKeyFile(cellFolder)
  if (!(await stat(file).catch(() => undefined))) {
    const draft = `${file}.new`
    await writeFile(draft, newCellKey(), { mode: 0o600 })
    const owner = await stat(cellFolder)
    if (process.getuid?.() === 0) await chown(draft, owner.uid, owner.gid)
    await rename(draft, file)
  }
  return publicKeyIn(file)
}

export const publicKeyIn = async (file: string): Promise<string> => publicKeyOf(await cellKeyIn(file))

/** Throws StartFailure when it is not there, or none. */
export async function cellKeyIn(file: string): Promise<KeyObject> {
  try {
    return await readCellKey(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw refused(`There is no key of a cell in ${file}: holdfast cells key makes one.`)
    throw refused(`${file} is no private key of a cell (Ed25519, PKCS #8).`)
  }
}
