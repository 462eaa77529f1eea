// The engine's store in memory, for the simulator and the contract suite: it waits, sees, refuses and forgets as PostgreSQL
// does under READ COMMITTED. Every statement first passes `pause`, where a scheduler interleaves lanes and a fault strikes.
import { assert } from '../../base/assert.ts'
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, instantMax } from '../../base/time.ts'
import { DatabaseUnavailable, StatementFailed } from '../../runtime/pg-failure.ts'
import { skuKey } from '../stock/decide.ts'
import type { DueQuery, Hold, ShopSku, ShopUuid, StockRow, StockRowId, Transfer } from '../stock/types.ts'
import { type BatchState, type KeyRow, keyOf, type ReferenceRow, referenceKey, unitsOnRow } from './batch-state.ts'
import type { EngineStore, EngineTx, Footprint, LookUp, NewRow } from './engine.ts'
import { type MemoryCommit, type MemoryDatabase, type MemoryTables, publish } from './memory-database.ts'
import type { LockOwner } from './memory-locks.ts'
import type { Order } from './types.ts'

export type Statement =
  | 'begin'
  | 'lock orders'
  | 'lock due orders'
  | 'lock holds'
  | 'lock due holds'
  | 'make rows'
  | 'lock rows'
  | 'count rows'
  | 'look up'
  | 'now'
  | 'more due'
  | 'orders on'
  | 'write'
  | 'write references'
  | 'write keys'
  | 'write events'
  | 'commit'
  /** COMMIT is done and its answer is on the way. */
  | 'committed'

/** Resolves when the statement may run; rejects when the session is lost there. */
export type Pause = (statement: Statement, lane: number) => Promise<CutOff | undefined>
/**
 * The session is lost in COMMIT, and nobody here knows what comes of it: the server carries it out when `carriedOut`
 * resolves and holds the locks until then; null: it never got it.
 */
export type CutOff = { carriedOut: Promise<void> | null }

type Transaction = {
  database: MemoryDatabase
  owner: LockOwner
  /** `failed`: the rest is refused, and COMMIT rolls back. `cut off`: only the server can end it. */
  phase: 'open' | 'failed' | 'cut off' | 'ended'
  made: Map<StockRowId, StockRow>
  removed: Set<StockRowId>
  change: MemoryCommit
}

/** One server process's sessions. `close` is the loss of all of them: what is open is rolled back. */
export function createMemoryStore(database: MemoryDatabase, pause: Pause = () => Promise.resolve(undefined)) {
  const open = new Map<number, Transaction>()
  const store: EngineStore & { close(): void } = {
    async transaction(lane, work) {
      await pause('begin', lane)
      assert(!open.has(lane), `lane ${lane} is in a transaction`)
      const transaction = begin(database, lane)
      open.set(lane, transaction)
      try {
        return await work(transactionOn(transaction, lane, pause))
      } finally {
        open.delete(lane)
        if (transaction.phase !== 'cut off') end(transaction)
      }
    },
    close() {
      for (const transaction of open.values()) if (transaction.phase !== 'cut off') end(transaction)
      open.clear()
    },
  }
  return store
}

function begin(database: MemoryDatabase, lane: number): Transaction {
  const due = { at: instantMax, beyondLimit: [], logLength: 0 }
  return {
    database,
    owner: { waitsFor: null, holds: new Set(), hasEnded: false },
    phase: 'open',
    made: new Map(),
    removed: new Set(),
    change: {
      lane,
      now: 0 as Instant,
      orders: [],
      holds: [],
      rows: [],
      policies: [],
      transfers: [],
      keys: [],
      references: [],
      parts: [],
      events: [],
      due,
    },
  }
}

/** Locks go, and with them what was not committed. */
function end(transaction: Transaction): void {
  transaction.phase = 'ended'
  transaction.database.writers.delete(transaction.owner)
  transaction.database.locks.releaseAll(transaction.owner, sessionLost())
}

const sessionLost = () => new DatabaseUnavailable('CONNECTION_CLOSED', 'the session was lost')

/** Statements run one after the other in the order they were issued, awaited or not: the pipeline of a session. */
function transactionOn(transaction: Transaction, lane: number, pause: Pause): EngineTx {
  let last: Promise<unknown> = Promise.resolve()
  function issue<T>(statement: Statement, run: () => T | Promise<T>): Promise<T> {
    const result = last.then(async () => {
      await pause(statement, lane)
      if (transaction.phase === 'ended') throw sessionLost()
      if (transaction.phase === 'failed') throw new StatementFailed('fail', '25P02', 'the transaction is aborted')
      return run()
    })
    last = result.catch(() => {
      if (transaction.phase === 'open') transaction.phase = 'failed'
    })
    return result
  }
  return {
    async lockOrders(named, due) {
      const [first, second] = await Promise.all([
        issue('lock orders', () =>
          lockNamed(transaction, 'order', transaction.database.tables.orders, [
            ...named,
            ...awaitedOrders(transaction, due),
          ]),
        ),
        issue('lock due orders', () => lockDueOrders(transaction, due)),
      ])
      return distinct([...first, ...second])
    },
    async lockHolds(named, due) {
      const [first, second] = await Promise.all([
        issue('lock holds', () =>
          lockNamed(transaction, 'hold', transaction.database.tables.holds, [
            ...named,
            ...awaitedHolds(transaction, due),
          ]),
        ),
        issue('lock due holds', () => lockDueHolds(transaction, due)),
      ])
      return distinct([...first, ...second])
    },
    async lockStock(skus, newRows) {
      const [made, rows, count] = await Promise.all([
        issue('make rows', () => makeRows(transaction, newRows)),
        issue('lock rows', () => lockRows(transaction, skus)),
        issue('count rows', () => countRows(transaction, skus)),
      ])
      if (rows.length !== count)
        throw new StatementFailed('rerun', 'ROWS_ADDED', 'a SKU got a row while its rows were locked')
      return { rows, made }
    },
    lookUp: (footprint) => issue('look up', () => lookUp(transaction.database.tables, footprint)),
    now: () => issue('now', () => transaction.database.clock()),
    isMoreDue: (skus, loaded) => issue('more due', () => isMoreDue(transaction, skus, loaded)),
    ordersOn: (row, units) => issue('orders on', () => ordersOn(transaction.database.tables, row, units)),
    async write(state, unusedRows) {
      await Promise.all([
        issue('write', () => writeThings(transaction, state, unusedRows)),
        issue('write references', () => writeReferences(transaction, state.newReferences)),
        issue('write keys', () => writeKeys(transaction, state.newKeys)),
        issue('write events', () => writeEvents(transaction, state)),
      ])
    },
    async commit() {
      await last
      const cutOff = await pause('commit', lane)
      if (cutOff) leaveToServer(transaction, cutOff)
      const tag = commit(transaction)
      if (tag !== 'COMMIT') throw new StatementFailed('fail', 'ROLLED_BACK', 'COMMIT rolled back')
      await pause('committed', lane)
    },
  }
}

const rowLock = (id: StockRowId): string => `row ${id}`
const thingLock = (table: 'order' | 'hold', id: Uuid): string => `${table} ${id}`

async function lockNamed<T extends { id: Uuid; shopId: ShopId }>(
  { database, owner }: Transaction,
  table: 'order' | 'hold',
  things: ReadonlyMap<Uuid, T>,
  named: readonly ShopUuid[],
): Promise<T[]> {
  const locked: T[] = []
  for (const { id, shopId } of named.toSorted(byId)) {
    if (things.get(id)?.shopId !== shopId) continue
    await database.locks.acquire(owner, thingLock(table, id))
    locked.push({ ...things.get(id)! })
  }
  return locked
}

function lockDueOrders(transaction: Transaction, due: DueQuery): Order[] {
  transaction.change.due.logLength = transaction.database.tables.events.length
  const { orders, timedOrders } = transaction.database.tables
  const ids = dueOf(transaction, due.skus, timedOrders, (id) => orders.get(id)!)
  const locked = lockDue(transaction, 'order', ids, due)
  return locked.map((id) => ({ ...orders.get(id)! }))
}

function lockDueHolds(transaction: Transaction, due: DueQuery): Hold[] {
  const { holds, activeHolds } = transaction.database.tables
  const ids = dueOf(transaction, due.skus, activeHolds, (id) => holds.get(id)!)
  const locked = lockDue(transaction, 'hold', ids, due)
  return locked.map((id) => ({ ...holds.get(id)! }))
}

function isMoreDue(
  transaction: Transaction,
  skus: readonly ShopSku[],
  loaded: { orders: readonly Order[]; holds: readonly Hold[] },
): boolean {
  const { holds, activeHolds, orders, timedOrders } = transaction.database.tables
  const known = new Set([...loaded.orders, ...loaded.holds].map((one) => one.id))
  const due = [
    ...dueOf(transaction, skus, timedOrders, (id) => orders.get(id)!),
    ...dueOf(transaction, skus, activeHolds, (id) => holds.get(id)!),
  ]
  return due.some((id) => !known.has(id))
}

type Expiring = { shopId: ShopId; expiresAt: Instant | null; lines: readonly { sku: string }[] }

/** What is due now, longest due first. */
function dueOf(
  { database, change }: Transaction,
  skusAsked: DueQuery['skus'],
  live: ReadonlySet<Uuid>,
  thingOf: (id: Uuid) => Expiring,
): Uuid[] {
  const now = database.clock()
  change.due.at = Math.min(change.due.at, now) as Instant
  const skus = skusAsked === 'any' ? null : new Set(skusAsked.map((one) => skuKey(one.shopId, one.sku)))
  const ids = [...live].filter((id) => {
    const { shopId, expiresAt, lines } = thingOf(id)
    return expiresAt !== null && expiresAt <= now && (!skus || lines.some(({ sku }) => skus.has(`${shopId} ${sku}`)))
  })
  return ids.toSorted((a, b) => thingOf(a).expiresAt! - thingOf(b).expiresAt!)
}

/** Of what is awaited, and not skipped when another batch has it: named with the others, so that all are locked in one order. */
function awaitedOrders(transaction: Transaction, { skus, limit, ifLocked }: DueQuery): ShopUuid[] {
  const { orders, timedOrders } = transaction.database.tables
  const ids = ifLocked === 'wait' ? dueOf(transaction, skus, timedOrders, (id) => orders.get(id)!) : []
  return ids.slice(0, limit).map((id) => ({ id, shopId: orders.get(id)!.shopId }))
}

function awaitedHolds(transaction: Transaction, { skus, limit, ifLocked }: DueQuery): ShopUuid[] {
  const { holds, activeHolds } = transaction.database.tables
  const ids = ifLocked === 'wait' ? dueOf(transaction, skus, activeHolds, (id) => holds.get(id)!) : []
  return ids.slice(0, limit).map((id) => ({ id, shopId: holds.get(id)!.shopId }))
}

function lockDue(
  { database, owner, change }: Transaction,
  table: 'order' | 'hold',
  ids: readonly Uuid[],
  { limit }: DueQuery,
): Uuid[] {
  const locked: Uuid[] = []
  for (const id of ids) {
    if (locked.length === limit) change.due.beyondLimit.push(id)
    else if (database.locks.tryAcquire(owner, thingLock(table, id))) locked.push(id)
  }
  return locked
}

/** `on conflict do nothing`: waits for whoever is making the same row, then sees whether it stands. */
async function makeRows(transaction: Transaction, newRows: readonly NewRow[]): Promise<StockRowId[]> {
  const { database, owner, made } = transaction
  for (const { shopId, sku, location } of newRows.toSorted(byKey(slotOf))) {
    const site = database.tables.locations.get(`${shopId} ${location}`)
    const stands = () =>
      [...(database.tables.rowIds.get(skuKey(shopId, sku)) ?? [])].some(
        (id) => database.tables.rows.get(id)!.location === location,
      )
    if (!site || stands()) continue
    const slot = `slot ${slotOf({ shopId, sku, location })}`
    if (owner.holds.has(slot)) continue
    await database.locks.acquire(owner, slot)
    if (stands()) continue
    const id = ++database.lastRowId as StockRowId
    const tracking = database.tables.policies.get(skuKey(shopId, sku))?.tracking ?? 'counted'
    made.set(id, { ...emptyRow, id, shopId, sku, location, site, tracking })
  }
  return [...made.keys()]
}

const emptyRow = {
  onHand: 0,
  reserved: 0,
  committed: 0,
  shipped: 0,
  allowance: 0,
  missing: 0,
  version: 0,
  countedAt: null,
} as const

/** The rows that stood when the statement began, and our own; each read again once it is locked. */
async function lockRows({ database, owner, made }: Transaction, skus: readonly ShopSku[]): Promise<StockRow[]> {
  const { rows, rowIds } = database.tables
  const keys = new Set(skus.map((one) => skuKey(one.shopId, one.sku)))
  const standing = [...keys].flatMap((key) => rowIds.get(key) ?? [])
  const own = [...made.values()].filter((row) => keys.has(skuKey(row.shopId, row.sku))).map((row) => row.id)
  const locked: StockRow[] = []
  for (const id of [...standing, ...own].toSorted((a, b) => a - b)) {
    if (!made.has(id)) await database.locks.acquire(owner, rowLock(id))
    const row = made.get(id) ?? rows.get(id)
    if (row) locked.push({ ...row })
  }
  return locked
}

function countRows({ database, made }: Transaction, skus: readonly ShopSku[]): number {
  const keys = new Set(skus.map((one) => skuKey(one.shopId, one.sku)))
  const own = [...made.values()].filter((row) => keys.has(skuKey(row.shopId, row.sku)))
  return [...keys].reduce((sum, key) => sum + (database.tables.rowIds.get(key)?.length ?? 0), own.length)
}

function lookUp(tables: MemoryTables, wanted: Footprint): LookUp {
  return {
    keys: wanted.keys.flatMap(({ shopId, hash }) => tables.keys.get(keyOf(shopId, hash)) ?? []),
    references: wanted.references.flatMap(({ shopId, reference }) => {
      const orderId = tables.references.get(referenceKey(shopId, reference))
      return orderId ? [{ shopId, reference, orderId }] : []
    }),
    policies: wanted.policies.flatMap(({ shopId, sku }) => tables.policies.get(skuKey(shopId, sku)) ?? []),
    transfers: wanted.transfers.flatMap(({ shopId, sku }) => transfersOf(tables, skuKey(shopId, sku))),
    leaving: wanted.transfers.length > 0 ? [...tables.leaving] : [],
  }
}

function transfersOf({ rowIds, transfers }: MemoryTables, key: string): Transfer[] {
  const ids = new Set(rowIds.get(key))
  return [...transfers.values()].filter(({ row }) => ids.has(row)).map((transfer) => ({ ...transfer }))
}

function ordersOn({ orders }: MemoryTables, row: StockRow, units: number): Uuid[] {
  const named: Uuid[] = []
  let left = units
  for (const order of [...orders.values()].toSorted(byId).reverse()) {
    if (left <= 0 || named.length === limits.shortOrdersNamedMax) break
    if (order.status === 'cancelled' || order.shopId !== row.shopId) continue
    const onRow = unitsOnRow(order, row.id)
    if (onRow > 0) named.push(order.id)
    left -= onRow
  }
  return named
}

function writeThings(
  { change, made, removed }: Transaction,
  state: BatchState,
  unusedRows: readonly StockRowId[],
): void {
  change.now = state.now
  change.orders = [...new Set([...state.newOrders, ...state.dirtyOrders])].map(copyOfOrder)
  change.parts = [...state.newParts]
  change.holds = [...new Set([...state.newHolds, ...state.dirtyHolds])].map((hold) => ({
    ...hold,
    lines: frozen(hold.lines),
  }))
  change.rows = [...state.dirtyRows].map((row) => ({ ...row }))
  change.policies = [...state.dirtyPolicies].map((policy) => ({ ...policy }))
  change.transfers = [...state.dirtyTransfers].map((transfer) => ({ ...transfer }))
  for (const row of change.rows) {
    check(
      Math.min(row.onHand, row.reserved, row.committed, row.shipped, row.missing) >= 0,
      `stock row ${row.id} below zero`,
    )
  }
  for (const order of change.orders) {
    check((order.status === 'cancelled') === (order.cancelReason !== null), 'cancelled without reason')
    const isOver = order.status === 'completed' || order.status === 'cancelled'
    check(!isOver || order.expiresAt === null, 'something is due of an order that is over')
  }
  for (const id of unusedRows) {
    assert(made.has(id), `row ${id} was not made here`)
    removed.add(id)
  }
}

const copyOfOrder = (order: Order): Order => ({ ...order, lines: frozen(order.lines) })

/** Lines are written once: whoever changes them later has a bug, and finds out at once. */
function frozen<T extends { allocations: object[] }>(lines: T[]): T[] {
  for (const line of lines) {
    for (const allocation of line.allocations) Object.freeze(allocation)
    Object.freeze(line.allocations)
    Object.freeze(line)
  }
  return Object.freeze(lines) as T[]
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new StatementFailed('fail', '23514', message)
}

async function writeReferences(transaction: Transaction, references: readonly ReferenceRow[]): Promise<void> {
  const { tables } = transaction.database
  for (const row of references.toSorted(byKey((one) => referenceKey(one.shopId, one.reference)))) {
    await insertUnique(transaction, tables.references, referenceKey(row.shopId, row.reference), 'order_references_pkey')
    transaction.change.references.push(row)
  }
}

async function writeKeys(transaction: Transaction, keys: readonly KeyRow[]): Promise<void> {
  for (const row of keys.toSorted(byKey((one) => keyOf(one.shopId, one.hash)))) {
    await insertUnique(transaction, transaction.database.tables.keys, keyOf(row.shopId, row.hash), 'keys_pkey')
    transaction.change.keys.push(row)
  }
}

/** Waits for a transaction that is inserting the same, and is refused if that one commits. */
async function insertUnique(
  { database, owner }: Transaction,
  table: ReadonlyMap<string, unknown>,
  key: string,
  constraint: string,
): Promise<void> {
  const slot = `${constraint} ${key}`
  const twice = owner.holds.has(slot)
  await database.locks.acquire(owner, slot)
  if (twice || table.has(key)) throw new StatementFailed('fail', '23505', `duplicate key ${slot}`, constraint)
}

/** Numbers are drawn here and seen at COMMIT, so that a reader meets gaps that are filled later. */
function writeEvents({ database, owner, change }: Transaction, state: BatchState): void {
  if (state.events.length > 0) database.writers.add(owner)
  change.events = state.events.map((event) => ({ ...event, seq: ++database.lastSeq, at: state.now }))
}

function leaveToServer(transaction: Transaction, { carriedOut }: CutOff): never {
  if (carriedOut && transaction.phase === 'open') {
    transaction.phase = 'cut off'
    void carriedOut.then(() => commit(transaction))
  }
  throw new DatabaseUnavailable('CONNECTION_CLOSED', 'the session was lost in COMMIT', true)
}

/** The tag that COMMIT is answered with. */
function commit(transaction: Transaction): 'COMMIT' | 'ROLLBACK' {
  if (transaction.phase === 'ended') throw sessionLost()
  const isOpen = transaction.phase !== 'failed'
  if (isOpen) {
    const { database, change, made, removed } = transaction
    publish(
      database.tables,
      change,
      [...made.values()].filter((row) => !removed.has(row.id)),
    )
    database.onCommit(change)
  }
  end(transaction)
  return isOpen ? 'COMMIT' : 'ROLLBACK'
}

const byId = (a: { id: Uuid }, b: { id: Uuid }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const slotOf = ({ shopId, sku, location }: NewRow): string => `${skuKey(shopId, sku)} ${location}`

/** Whoever waits for unique keys waits for them in one order. */
const byKey =
  <T>(key: (item: T) => string) =>
  (a: T, b: T): number => {
    const [left, right] = [key(a), key(b)]
    return left < right ? -1 : left > right ? 1 : 0
  }

/** What was named may be due as well. */
const distinct = <T extends { id: Uuid }>(items: T[]): T[] => [
  ...new Map(items.map((item) => [item.id, item])).values(),
]
