// The topology of a cell: what it is when the cell starts, and what tells whether the cell may leave it.
import type { CellName } from './base/ids.ts'
import type { TopologyRules } from './base/topology.ts'
import { type StartedCell, topologyAtStart } from './base/topology-start.ts'
import type { CellRoutesOptions } from './gateway/cells.ts'
import { hasOpenOrders } from './modules/orders/reads.ts'
import { hasOperations } from './modules/payments/sums.ts'
import { hasUnits } from './modules/stock/reads.ts'
import type { Config } from './runtime/config.ts'
import { keepLatest } from './runtime/latest.ts'
import { cellKeyOf, newCellKey, publicKeyOf } from './runtime/peer-keys.ts'
import type { Database } from './runtime/pg.ts'
import { type KeepTopologyOptions, keepTopology, type TopologyKeeper } from './runtime/topology.ts'

export type CellTopologyOptions = {
  cell: CellName
  /** Undefined when it keeps what it knows. */
  atStart: KeepTopologyOptions['atStart'] | undefined
  database: Database
  config: Partial<Pick<Config, 'port' | 'httpBetweenCells'>>
  onError(error: unknown): void
}

export type CellTopology = Pick<CellRoutesOptions, 'isEmptied' | 'peers' | 'rules'> & { topology: TopologyKeeper }

export async function startCellTopology(options: CellTopologyOptions): Promise<CellTopology> {
  const { cell, atStart, database, config, onError } = options
  const rules: TopologyRules = { httpAnywhere: config.httpBetweenCells ?? false }
  const topology = await keepTopology({
    cell,
    database,
    onError,
    atStart: atStart ?? ((stored) => stored ?? topologyAtStart(undefined, [alone(options)], rules)),
  })
  const emptied = keepLatest(
    async () => !(await hasUnits(database)) && !(await hasOpenOrders(database)) && !(await hasOperations(database)),
  )
  const peers = { isUp: () => false, rttMs: () => 0, lastHeardAt: () => null, dataAsOf: () => null }
  return { topology, rules, peers, isEmptied: () => emptied.result({ fresh: true }) }
}

/** A cell that was given no key has one for the topology only: it talks to no other. */
function alone({ cell, config }: CellTopologyOptions): StartedCell {
  const url = new URL(`http://127.0.0.1:${config.port ?? 0}`).origin
  return { name: cell, url, publicKey: publicKeyOf(cellKeyOf(newCellKey())) }
}
