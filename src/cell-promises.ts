// What the topology in force makes this cell promise, acted on while it runs: whether its answers wait for a standby, and whether it
// sells when it hears no other cell. A promise is kept before it is marked in the database, and marked as less before it is less.
import { present } from './base/assert.ts'
import type { CellName } from './base/ids.ts'
import { limits } from './base/limits.ts'
import { cellNamed, type TopologyCell } from './base/topology.ts'
import { every } from './runtime/every.ts'
import type { ChangingGate } from './runtime/gate.ts'
import type { Metrics } from './runtime/metrics.ts'
import type { Peers } from './runtime/peers.ts'
import type { Database } from './runtime/pg.ts'
import type { Standing } from './runtime/standing.ts'
import type { TopologyKeeper } from './runtime/topology.ts'

export type PromisesOptions = {
  cell: CellName
  topology: Pick<TopologyKeeper, 'current' | 'onChange'>
  /** Not behind the gate. */
  database: Pick<Database, 'setSynchronousCommit'>
  gate: ChangingGate
  standing: Pick<Standing, 'promise'>
  onError(error: unknown): void
}

/** This cell, as its topology has it. */
export const ownTerms = (topology: Pick<TopologyKeeper, 'current'>, cell: CellName): TopologyCell =>
  present(cellNamed(topology.current(), cell), 'this cell in its topology')

/** Whether it is to sell nothing, since it hears no other cell. */
export function watchIsolation(
  { cell, topology, metrics }: Pick<PromisesOptions, 'cell' | 'topology'> & { metrics: Pick<Metrics, 'gaugeOf'> },
  heard: () => Pick<Peers, 'hearsNobody'> | undefined,
): () => boolean {
  const isIsolated = () =>
    ownTerms(topology, cell).onIsolation === 'stop' && (heard()?.hearsNobody(limits.isolatedMs) ?? false)
  metrics.gaugeOf('holdfast_isolated', '1 while it sells nothing, since it hears no other cell', () => +isIsolated())
  return isIsolated
}

/** Kept when it resolves, and again after each change. */
export async function keepPromises(options: PromisesOptions): Promise<{ stop(): Promise<void> }> {
  const { cell, topology, database, gate, standing, onError } = options

  async function keep(): Promise<void> {
    const { durability } = ownTerms(topology, cell)
    if (durability === 'geo') {
      database.setSynchronousCommit('local') // the gate waits, and COMMIT does not
      await gate.set(true)
      await standing.promise('geo')
    } else {
      await standing.promise('local')
      database.setSynchronousCommit(undefined)
      await gate.set(false)
    }
  }

  let turn = keep()
  await turn
  const next = (): Promise<void> => {
    turn = turn.then(keep, keep)
    return turn
  }
  const stopListening = topology.onChange(() => void next().catch(onError))
  const trying = every(limits.standingLookMs, next, onError) // where the database was away
  return {
    async stop() {
      stopListening()
      await trying.stop()
      await turn.catch(() => {})
    },
  }
}
