// The engine's store on PostgreSQL: one session per lane, statements pipelined, three round trips a batch. Personal data,
// references, holds and policies are touched only by batches that have any.
import { present } from '../../base/assert.ts'
import type { Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import { appendEventsParams, appendEventsSql, type NewEvent } from '../../runtime/outbox.ts'
import { commit } from '../../runtime/pg.ts'
import { DatabaseUnavailable, StatementFailed } from '../../runtime/pg-failure.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { randomUuid } from '../../runtime/random.ts'
import type { EngineEvent } from '../stock/decide.ts'
import * as stock from '../stock/store.ts'
import type { AwaitedDue, DueQuery, Hold, ShopSku, ShopUuid, StockRow, StockRowId } from '../stock/types.ts'
import { type BatchState, unitsOnRow } from './batch-state.ts'
import type { EngineStore, EngineTx, Footprint, LookUp, NewRow } from './engine.ts'
import * as orders from './store.ts'
import type { Order } from './types.ts'

/** Opens a session for a lane; the store owns and closes it. */
export type OpenLane = (lane: number) => Promise<Session>

// Every statement of a batch finds its rows by key, whatever the statistics say of a table that was empty a minute ago.
const laneSettings = [
  'set enable_seqscan = off',
  'set enable_hashjoin = off',
  'set enable_mergejoin = off',
  'set plan_cache_mode = force_generic_plan',
]

export function createPostgresStore(openLane: OpenLane) {
  const lanes = new Map<number, Session>()

  async function sessionOf(lane: number): Promise<Session> {
    const open = lanes.get(lane)
    if (open && !open.lost) return open
    const session = await openLane(lane)
    await Promise.all(laneSettings.map((text) => session.run(text)))
    lanes.set(lane, session)
    return session
  }

  const store: EngineStore & { close(): Promise<void> } = {
    async transaction(lane, work) {
      const session = await sessionOf(lane)
      const begun = session.run('begin read write')
      try {
        return await work(transactionOn(session))
      } catch (error) {
        const first = await begun.then(
          () => error,
          (failed) => failed, // what followed failed because of it
        )
        await rollBack(session)
        throw first
      }
    },
    async close() {
      await Promise.all([...lanes.values()].map((session) => session.close()))
    },
  }
  return store
}

/** Nothing of a failed batch may leak into the lane's next one: a session that cannot roll back is closed. */
async function rollBack(session: Session): Promise<void> {
  if (session.lost) return
  try {
    await session.run('rollback')
  } catch (error) {
    await session.close()
    if (!(error instanceof DatabaseUnavailable)) throw error
  }
}

function transactionOn(session: Session): EngineTx {
  let afterLocks: Promise<AfterLocks>
  let young = -1
  return {
    lockOrders: (named, due) => lockOrders(session, named, due),
    lockHolds: (named, due) => lockHolds(session, named, due),
    lockStock(skus, newRows) {
      const locked = lockStock(session, skus, newRows)
      afterLocks = readAfterLocks(session, skus)
      return checkNoneAdded(locked, afterLocks)
    },
    async lookUp(footprint) {
      const found = await lookUp(session, footprint)
      young = (await afterLocks).young
      return found
    },
    now: async () => (await afterLocks).now,
    isMoreDue: (skus, loaded) => isMoreDue(session, skus, loaded),
    ordersOn: (row, units) => ordersOn(session, row, units),
    // Not async: if a parameter cannot be built, it throws before COMMIT is sent.
    write: (state, unusedRows) => writeAll(session, state, unusedRows, young),
    commit: () => commit(session),
  }
}

type AfterLocks = { rows: number; young: number; now: Instant }

async function readAfterLocks(session: Session, skus: readonly ShopSku[]): Promise<AfterLocks> {
  const [, [record]] = await Promise.all([orders.shareKeys(session), orders.readAfterLocks(session, skus)])
  return present(record, 'the key generation')
}

async function lockOrders(session: Session, named: readonly ShopUuid[], due: DueQuery): Promise<Order[]> {
  const awaited = awaitedOf(due)
  const first = awaited
    ? orders.lockAwaitedOrders(session, named, awaited)
    : named.length > 0
      ? orders.lockOrders(session, named)
      : []
  const records = await Promise.all([first, orders.lockDueOrders(session, due)])
  return distinct(records.flat().map(orders.orderOf))
}

async function lockHolds(session: Session, named: readonly ShopUuid[], due: DueQuery): Promise<Hold[]> {
  const awaited = awaitedOf(due)
  const first = awaited
    ? stock.lockAwaitedHolds(session, named, awaited)
    : named.length > 0
      ? stock.lockHolds(session, named)
      : []
  const records = await Promise.all([first, stock.lockDueHolds(session, due)])
  return distinct(records.flat().map(stock.holdOf))
}

/** The sweeper waits for nobody. */
const awaitedOf = ({ skus, limit, ifLocked }: DueQuery): AwaitedDue | undefined =>
  ifLocked === 'wait' && skus !== 'any' ? { skus, limit } : undefined

/** What was named may be due as well; both were read under the same lock. */
const distinct = <T extends { id: Uuid }>(items: T[]): T[] => [
  ...new Map(items.map((item) => [item.id, item])).values(),
]

async function lockStock(session: Session, skus: readonly ShopSku[], newRows: readonly NewRow[]) {
  const [, made, rows] = await Promise.all([
    newRows.length > 0 ? stock.sharePolicies(session) : undefined,
    newRows.length > 0 ? stock.makeRows(session, newRows) : [],
    skus.length > 0 ? stock.lockRows(session, skus) : [],
  ])
  return { rows: rows.map(stock.rowOf), made: made.map((row) => row.id) }
}

/**
 * A row that was added while the statement waited for its SKU's other rows is not in its snapshot [seen by the simulator:
 * units refused though they were there, a policy set on half of a SKU]. Now that those are locked no more can be added.
 */
async function checkNoneAdded<T extends { rows: StockRow[] }>(
  locking: Promise<T>,
  after: Promise<AfterLocks>,
): Promise<T> {
  const [locked, { rows }] = await Promise.all([locking, after])
  if (rows === locked.rows.length) return locked
  throw new StatementFailed('rerun', 'ROWS_ADDED', 'a SKU was given a row while its others were being locked')
}

async function lookUp(session: Session, footprint: Footprint): Promise<LookUp> {
  const { keys, references, policies, transfers } = footprint
  const [keyRecords, referenceRecords, policyRecords, transferRecords, leaving] = await Promise.all([
    keys.length > 0 ? orders.lookUpKeys(session, keys) : [],
    references.length > 0 ? orders.lookUpReferences(session, references) : [],
    policies.length > 0 ? stock.readPolicies(session, policies) : [],
    transfers.length > 0 ? stock.readTransfers(session, transfers) : [],
    transfers.length > 0 ? stock.readLeaving(session) : [],
  ])
  return {
    keys: keyRecords.map(orders.keyRowOf),
    references: referenceRecords.map(({ shop_id, reference, order_id }) => ({
      shopId: shop_id,
      reference,
      orderId: order_id,
    })),
    policies: policyRecords.map(stock.policyOf),
    transfers: transferRecords.map(stock.transferOf),
    leaving: leaving.map(({ peer }) => peer),
  }
}

async function isMoreDue(
  session: Session,
  skus: readonly ShopSku[],
  loaded: { orders: readonly Order[]; holds: readonly Hold[] },
): Promise<boolean> {
  const found = await Promise.all([
    orders.findOtherDueOrder(session, skus, loaded.orders),
    stock.findOtherDueHold(session, skus, loaded.holds),
  ])
  return found.some((records) => records.length > 0)
}

/** Newest first, until their units on the row make up what is missing. */
async function ordersOn(session: Session, row: StockRow, units: number): Promise<Uuid[]> {
  const candidates = await orders.ordersOnRow(session, {
    shopId: row.shopId,
    row: row.id,
    scannedMax: limits.shortOrdersScannedMax,
    namedMax: limits.shortOrdersNamedMax,
  })
  const named: Uuid[] = []
  let left = units
  for (const order of candidates) {
    if (left <= 0) break
    const onRow = unitsOnRow(order, row.id)
    if (onRow > 0) named.push(order.id)
    left -= onRow
  }
  return named
}

const stamped = (event: EngineEvent, at: Instant): NewEvent => ({ ...event, eventId: randomUuid(), at })

/** Issues every write at once; the events last, so that their numbers are drawn when all row locks are held. */
function writeAll(
  session: Session,
  state: BatchState,
  unusedRows: readonly StockRowId[],
  young: number,
): Promise<void> {
  const { newOrders, newHolds, newKeys, newReferences, newParts, editedOrders, events } = state
  const newOnes = new Set<unknown>([...newOrders, ...newHolds])
  const changedOrders = [...state.dirtyOrders].filter((order) => !newOnes.has(order))
  const changedHolds = [...state.dirtyHolds].filter((hold) => !newOnes.has(hold))
  const told = new Set([...newOrders, ...editedOrders])
  const personal = [...told].filter((order) => order.personal !== null)
  const annotated = [...told].filter((order) => order.annotations !== null)
  const writes: Promise<unknown>[] = []
  const write = <T>(items: readonly T[], statement: (session: Session, items: readonly T[]) => Promise<unknown>) => {
    if (items.length > 0) writes.push(statement(session, items))
  }
  write(newOrders, orders.insertOrders)
  write(changedOrders, orders.updateStates)
  write(personal, orders.writePersonal)
  write(annotated, orders.writeAnnotations)
  write(newHolds, stock.insertHolds)
  write(changedHolds, stock.updateHolds)
  write([...state.dirtyRows], stock.updateRows)
  write([...state.dirtyTransfers], stock.writeTransfers)
  write(unusedRows, stock.removeRows)
  for (const policy of state.dirtyPolicies) writes.push(stock.writePolicy(session, policy))
  write(newParts, orders.insertParts)
  write(newReferences, orders.insertReferences)
  write(newKeys, (on, keys) => orders.insertKeys(on, young, keys))
  write(events, (on, list) =>
    on.run(appendEventsSql, appendEventsParams(list.map((event) => stamped(event, state.now)))),
  )
  return Promise.all(writes).then(() => {})
}
