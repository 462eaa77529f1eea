// The topology of a cell: what it is when the cell starts, and what tells whether the cell may leave it.
import type { CellName } from './base/ids.ts'
import type { Topology, TopologyRules } from './base/topology.ts'
import { type StartedCell, topologyAtStart } from './base/topology-start.ts'
import type { CellRoutesOptions } from './gateway/cells.ts'
import { hasOpenOrders } from './modules/orders/reads.ts'
import { hasOperations } from './modules/payments/sums.ts'
import { hasUnits, locationsAt } from './modules/stock/reads.ts'
import { type Config, termsOf } from './runtime/config.ts'
import { keepLatest } from './runtime/latest.ts'
import { cellKeyOf, newCellKey, publicKeyOf } from './runtime/peer-keys.ts'
import type { Database } from './runtime/pg.ts'
import { type KeepTopologyOptions, keepTopology, type TopologyKeeper } from './runtime/topology.ts'

export type CellTopologyOptions = {
  cell: CellName
  /** Undefined when it keeps what it knows. */
  atStart: KeepTopologyOptions['atStart'] | undefined
  database: Database
  config: Partial<Pick<Config, 'port' | 'httpBetweenCells' | 'durability' | 'onIsolation' | 'standbyRegion'>>
  onError(error: unknown): void
}

export type CellTopology = Pick<CellRoutesOptions, 'whyNotEmptied' | 'peers' | 'rules'> & { topology: TopologyKeeper }

export async function startCellTopology(options: CellTopologyOptions): Promise<CellTopology> {
  const { cell, atStart, database, config, onError } = options
  const rules: TopologyRules = { httpAnywhere: config.httpBetweenCells ?? false }
  const left = keepLatest(() => whatIsLeft({ cell, database, hasOthers: hasOthers(topology.current(), cell) }))
  const topology: TopologyKeeper = await keepTopology({
    cell,
    database,
    rules,
    onError,
    whyNotEmptied: () => left.result({ fresh: true }),
    atStart: atStart ?? ((stored) => stored ?? topologyAtStart(undefined, [alone(options)], rules)),
  })
  const peers = { isUp: () => false, rttMs: () => 0, lastHeardAt: () => null, dataAsOf: () => null }
  return { topology, rules, peers, whyNotEmptied: () => left.result({ fresh: true }) }
}

/** Locations go to another cell, where there is one. */
const hasOthers = ({ cells }: Topology, self: CellName): boolean =>
  cells.some(({ name, state }) => name !== self && state === 'active')

type Left = { cell: CellName; database: Pick<Database, 'query'>; hasOthers: boolean }

/** What of the cell itself is in flight; null when nothing is. */
async function whatIsLeft({ cell, database, hasOthers }: Left): Promise<string | null> {
  const homes = hasOthers ? await locationsAt(database, cell) : []
  if (homes.length > 0)
    return `Locations have their home here: ${homes.join(', ')}. PUT /v1/locations/{code} names another cell for each.`
  if (await hasUnits(database)) return 'Units are here, or held, or sold and not shipped.'
  if (await hasOpenOrders(database)) return 'Orders are open here.'
  return (await hasOperations(database)) ? 'A payment provider has not answered for good yet.' : null
}

/** A cell that was given no key has one for the topology only: it talks to no other. */
function alone({ cell, config }: CellTopologyOptions): StartedCell {
  const url = new URL(`http://127.0.0.1:${config.port ?? 0}`).origin
  return { name: cell, url, publicKey: publicKeyOf(cellKeyOf(newCellKey())), ...termsOf(config) }
}
