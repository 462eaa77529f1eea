// The engine's store with a span for each call of a transaction, for those few batches that have a span of their own. Calls that
// the engine issues together overlap: they travel as one round trip.
import { type Span, within } from '../../runtime/tracing.ts'
import type { EngineStore, EngineTx } from './engine.ts'

export function tracedStore<S extends EngineStore>(store: S, spanOf: (lane: number) => Span | undefined): EngineStore {
  return {
    transaction(lane, work) {
      const span = spanOf(lane)
      return store.transaction(lane, span ? (tx) => work(tracedTx(tx, span)) : work)
    },
  }
}

function tracedTx(tx: EngineTx, batch: Span): EngineTx {
  const timed = <T>(name: string, work: () => Promise<T>): Promise<T> =>
    within(batch.child(name, { 'db.system.name': 'postgresql' }, 'client'), work)
  return {
    lockOrders: (named, due) => timed('lock orders', () => tx.lockOrders(named, due)),
    lockHolds: (named, due) => timed('lock holds', () => tx.lockHolds(named, due)),
    lockStock: (skus, newRows) => timed('lock stock', () => tx.lockStock(skus, newRows)),
    lookUp: (footprint) => timed('look up', () => tx.lookUp(footprint)),
    now: tx.now,
    isMoreDue: tx.isMoreDue,
    ordersOn: tx.ordersOn,
    write: (state, unusedRows) => timed('write', () => tx.write(state, unusedRows)),
    commit: () => timed('commit', tx.commit),
  }
}
