// What the topology in force makes this cell promise, acted on while it runs: whether its answers wait for a standby, and whether it
// sells when it hears no other cell. A promise is kept by every process of the cell before it is marked in the database, and marked as
// less before it is less in any: a copy of the database that has the mark has all that was ever answered after it became `geo`.
import { present } from './base/assert.ts'
import type { CellName } from './base/ids.ts'
import { limits } from './base/limits.ts'
import { cellNamed, type Topology, type TopologyCell } from './base/topology.ts'
import type { Clock } from './runtime/clock.ts'
import { every } from './runtime/every.ts'
import type { ChangingGate } from './runtime/gate.ts'
import type { Metrics } from './runtime/metrics.ts'
import type { Peers } from './runtime/peers.ts'
import type { Database } from './runtime/pg.ts'
import type { Standing } from './runtime/standing.ts'
import type { TopologyKeeper } from './runtime/topology.ts'

export type PromisesOptions = {
  cell: CellName
  topology: Pick<TopologyKeeper, 'current' | 'onChange' | 'isFirst' | 'look' | 'lookedMsAgo'>
  /** Not behind the gate. */
  database: Pick<Database, 'setSynchronousCommit'>
  clock: Pick<Clock, 'elapsedMs'>
  gate: Pick<ChangingGate, 'set'>
  standing: Pick<Standing, 'promise'>
  onError(error: unknown): void
}

/** This cell, as its topology has it. */
const ownTerms = (topology: Topology, cell: CellName): TopologyCell =>
  present(cellNamed(topology, cell), 'this cell in its topology')

/**
 * What is answered by this process need not wait for a standby, as it knows from a look at the database. One that had none for long does
 * not know it any more, so that the others of the cell may count on when it has stopped.
 */
export const mayBeOpen = (topology: Pick<TopologyKeeper, 'current' | 'lookedMsAgo'>, cell: CellName): boolean =>
  ownTerms(topology.current(), cell).durability === 'local' && topology.lookedMsAgo() < limits.topologyTrustedMs

/** Whether it is to sell nothing, since it hears no other cell. */
export function watchIsolation(
  { cell, topology, metrics }: Pick<PromisesOptions, 'cell' | 'topology'> & { metrics: Pick<Metrics, 'gaugeOf'> },
  heard: () => Pick<Peers, 'hearsNobody'> | undefined,
): () => boolean {
  const isIsolated = () =>
    ownTerms(topology.current(), cell).onIsolation === 'stop' && (heard()?.hearsNobody(limits.isolatedMs) ?? false)
  metrics.gaugeOf('holdfast_isolated', '1 while it sells nothing, since it hears no other cell', () => +isIsolated())
  return isIsolated
}

/**
 * Kept when it resolves, and again after each change. The mark of a `geo` cell follows when every process of it has either looked at the
 * topology since, or stopped answering on the word of an older one; at once where there has never been another.
 */
export async function keepPromises(options: PromisesOptions): Promise<{ stop(): Promise<void> }> {
  const { cell, topology, database, clock, gate, standing, onError } = options
  let kept: Topology | undefined
  let seen = topology.current()
  let seenAtMs = topology.isFirst ? Number.NEGATIVE_INFINITY : clock.elapsedMs()

  async function keep(): Promise<void> {
    const current = topology.current()
    if (current === kept) return
    if (current !== seen) [seen, seenAtMs] = [current, clock.elapsedMs()]
    const { durability } = ownTerms(current, cell)
    if (durability === 'geo') {
      database.setSynchronousCommit('local') // the gate waits, and COMMIT does not
      await gate.set(true)
      if (clock.elapsedMs() - seenAtMs < limits.topologyTrustedMs + limits.topologyPollMs) return // tried again soon
      if (!(await standing.promise('geo', current))) return
    } else {
      if (!(await standing.promise('local', current))) return
      database.setSynchronousCommit(undefined)
      await gate.set(false)
    }
    kept = current
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
