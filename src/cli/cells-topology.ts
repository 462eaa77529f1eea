// What holdfast cells does about the topology, through cells that run: each change is made of what was seen, and refused when
// somebody else was faster.
import { type CellList, type Client, HoldfastError } from '@holdfast/sdk'
import type { CellName } from '../base/ids.ts'
import {
  type CellTerms,
  cellNamed,
  changeTopology,
  checkTopology,
  type Topology,
  type TopologyCell,
  type TopologyChange,
  topologyJson,
} from '../base/topology.ts'
import type { Told } from './cells.ts'
import { CommandFailure } from './failure.ts'
import { formatTable } from './table.ts'

/** Which addresses are allowed is for the cell to say. */
const rules = { httpAnywhere: true }

type Seen = { self: CellName; topology: Topology; list: CellList }

async function see(client: Client): Promise<Seen> {
  const list = await client.cells.list()
  const topology = checkTopology(list.topology, rules)
  if (Array.isArray(topology))
    throw new CommandFailure('unexpected_answer', `The topology has faults: ${topology[0]!.detail}`)
  return { self: client.cell() as CellName, topology, list }
}

export async function listCells(client: Client): Promise<Told> {
  const { list } = await see(client)
  const right = (head: string) => ({ head, align: 'right' as const })
  const heads = [
    ...['Cell', 'Zone', 'State', 'URL', 'Reachable'].map((head) => ({ head })),
    right('Round trip'),
    { head: 'Emptied' },
  ]
  const rows = list.data.map((cell) => [
    cell.name,
    cell.zone,
    cell.state,
    cell.url,
    cell.reachable ? 'yes' : 'no',
    cell.round_trip_ms === null ? '' : `${cell.round_trip_ms.toFixed(1)} ms`,
    cell.emptied === null ? '' : cell.emptied ? 'yes' : 'no',
  ])
  const { version, by } = list.topology
  return { text: `Version ${version}, made at ${by}\n${formatTable(heads, rows)}`, json: list }
}

export async function changeCell(
  client: Client,
  change: { kind: 'drain' | 'activate'; name: CellName },
): Promise<Told> {
  const seen = await see(client)
  const word = change.kind === 'drain' ? 'drains' : 'is active'
  return put(client, seen, changed(seen, change), `${change.name} ${word}`)
}

/** Made local at the cell itself, which alone may say that its answers need not wait; all else at whatever cell was asked. */
export async function setTerms(
  client: Client,
  { name, terms }: { name: CellName; terms: Partial<CellTerms> },
  at: (url: string) => Client,
): Promise<Told> {
  const first = await see(client)
  const cell = cellNamed(first.topology, name)
  const isLowered = cell?.durability === 'geo' && terms.durability === 'local'
  const where = isLowered && first.self !== name ? at(cell.url) : client
  const seen = where === client ? first : await seeItself(where, cell!)
  const next = changed(seen, { kind: 'set', name, terms })
  const { durability, onIsolation, standby } = cellNamed(next, name)!
  const stands = standby ? `, its standby in ${standby.region}` : ''
  return put(
    where,
    seen,
    next,
    `${name} is ${durability}${stands}; alone it ${onIsolation === 'stop' ? 'stops' : 'sells'}`,
  )
}

/** At the cell itself, which alone knows what of it is in flight. */
export async function removeCell(client: Client, name: CellName, at: (url: string) => Client): Promise<Told> {
  const cell = cellNamed((await see(client)).topology, name)
  if (!cell) throw new CommandFailure('cell_unknown', `There is no cell ${name}.`)
  const itself = at(cell.url)
  const seen = await seeItself(itself, cell)
  return put(itself, seen, changed(seen, { kind: 'remove', name }), `${name} is removed`)
}

export type Newcomer = Omit<TopologyCell, 'publicKey' | 'state'> & { zone?: string }

/** The new cell is told first: what fails after that can be done again. Its key is what it says itself, at its own address. */
export async function addCell(client: Client, { zone, ...newcomer }: Newcomer, itself: Client): Promise<Told> {
  const seen = await see(client)
  const its = await seeItself(itself, newcomer)
  const { publicKey } = cellNamed(its.topology, newcomer.name)!
  const cell: TopologyCell = { ...newcomer, publicKey, state: 'active' }
  const next = changed(seen, { kind: 'add', cell, ...(zone === undefined ? {} : { zone }) })
  await put(itself, its, next, '')
  return put(client, seen, next, `${cell.name} is added`)
}

async function seeItself(client: Client, { name, url }: Pick<TopologyCell, 'name' | 'url'>): Promise<Seen> {
  const seen = await see(client).catch((error) => {
    if (!(error instanceof HoldfastError) || error.code !== 'unreachable') throw error
    throw new CommandFailure('unreachable', `${name} does not answer at ${url}: ${error.message}.`)
  })
  if (seen.self !== name) throw new CommandFailure('wrong_cell', `At ${url} answers ${seen.self}, not ${name}.`)
  return seen
}

function changed({ self, topology }: Seen, change: TopologyChange): Topology {
  const next = changeTopology(topology, change, self, rules)
  if ('code' in next) throw new CommandFailure(next.code, next.detail)
  return next
}

async function put(client: Client, { topology }: Seen, next: Topology, done: string): Promise<Told> {
  const { zones, cells } = topologyJson(next)
  const answer = await client.cells.putTopology({ zones, cells }, { ifMatch: `"${topology.version}"` })
  return { text: `${done} (version ${answer.version}).`, json: { topology: answer } }
}
