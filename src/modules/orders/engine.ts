// One batch: lock and load every row it touches, look keys up, decide in memory, write, commit. The order of locks and
// statements stands here once, for every store: orders, then holds, then stock (each sorted by id), then keys, then the clock.
import { type CellName, type LocationCode, type ShopId, type Sku, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, laterOf } from '../../base/time.ts'
import { skuKey } from '../stock/decide.ts'
import type { DueQuery, Hold, Policy, ShopSku, ShopUuid, StockRow, StockRowId, Transfer } from '../stock/types.ts'
import { type BatchState, emptyState, type KeyRow, keyOf, referenceKey, unitsOnRow } from './batch-state.ts'
import { decideBatch } from './decide.ts'
import type { CommandOutcome, Order, PlaceOrder, Submission } from './types.ts'

export type NewRow = ShopSku & { location: LocationCode }

/** Everything a batch needs to know beforehand. */
export type Footprint = {
  orders: ShopUuid[]
  holds: ShopUuid[]
  due: DueQuery
  skus: ShopSku[]
  newRows: NewRow[]
  keys: { shopId: ShopId; hash: string }[]
  references: { shopId: ShopId; reference: string }[]
  policies: ShopSku[]
  /** Whose totals of transfers are needed. */
  transfers: ShopSku[]
}

export type LookUp = {
  keys: KeyRow[]
  references: { shopId: ShopId; reference: string; orderId: Uuid }[]
  policies: Policy[]
  transfers: Transfer[]
  /** Cells that are sent nothing any more; looked up with the totals of transfers. */
  leaving: CellName[]
}

/** One open transaction. Calls are issued in this order, without need to await the one before, and run in it. */
export type EngineTx = {
  /** The orders named and those due; sorted by id, each row locked. */
  lockOrders(named: readonly ShopUuid[], due: DueQuery): Promise<Order[]>
  lockHolds(named: readonly ShopUuid[], due: DueQuery): Promise<Hold[]>
  /** Makes the rows that are missing (of known locations), then locks every row of the SKUs, sorted by id. */
  lockStock(skus: readonly ShopSku[], newRows: readonly NewRow[]): Promise<{ rows: StockRow[]; made: StockRowId[] }>
  lookUp(footprint: Footprint): Promise<LookUp>
  /** The database's clock, read now. */
  now(): Promise<Instant>
  /** Something of the SKUs is due that was not loaded: another batch has it, and its units are not free yet. */
  isMoreDue(skus: readonly ShopSku[], loaded: { orders: readonly Order[]; holds: readonly Hold[] }): Promise<boolean>
  /** Standing orders that use the row, newest first, until `units` are covered. */
  ordersOn(row: StockRow, units: number): Promise<Uuid[]>
  /** Writes what the batch changed, and removes the rows it made in vain. Throws at once if it cannot begin. */
  write(state: BatchState, unusedRows: readonly StockRowId[]): Promise<void>
  /** Rejects unless the transaction is committed. */
  commit(): Promise<void>
}

export type EngineStore = {
  /** Opens a transaction on the lane's own connection; rolls back when `work` rejects. */
  transaction<T>(lane: number, work: (tx: EngineTx) => Promise<T>): Promise<T>
}

export type EngineOptions = {
  cell: CellName
  startedAt: Instant
  /** All rows of a SKU of which some have changed, once that is committed or may be. */
  onRows?: ((rows: readonly StockRow[]) => void) | undefined
  /** What a batch has appended to the log; told once it is committed. */
  onEvents?: ((events: BatchState['events']) => void) | undefined
}

/** Runs batches on a store. `now` never runs backwards within a process. */
export function createEngine(store: EngineStore, options: EngineOptions) {
  let lastNow = options.startedAt

  type Run = { footprint: Footprint; isLast: boolean; onWriting: () => void }

  function runOnce(lane: number, submissions: readonly Submission[], { footprint, isLast, onWriting }: Run) {
    return store.transaction(lane, async (tx) => {
      const [orders, holds] = await Promise.all([
        tx.lockOrders(footprint.orders, footprint.due),
        tx.lockHolds(footprint.holds, footprint.due),
      ])
      const [stock, found, clock] = await Promise.all([
        tx.lockStock(withSkusOf(footprint.skus, orders, holds), footprint.newRows),
        tx.lookUp(footprint),
        tx.now(),
      ])
      lastNow = laterOf(lastNow, clock)
      const state = loadState(options.cell, lastNow, { orders, holds, stock, found })
      const outcomes = decideBatch(state, submissions)
      if (!isLast && outcomes.some(isForWantOfUnits)) {
        if (await tx.isMoreDue(footprint.skus, { orders, holds })) throw new UnitsOnTheirWay()
      }
      for (const { event, row, units } of state.shorts.slice(0, limits.shortRowsNamedMax)) {
        const hit = await ordersHit(tx, state, row, units)
        event.data.orders = hit.map((id) => toWireId('ord', options.cell, id))
      }
      const writing = [tx.write(state, unusedRows(state)), tx.commit()]
      onWriting()
      try {
        await allOrFirstFailure(writing)
      } finally {
        // Told too when COMMIT was not answered: it may have been done, and the batch that runs again then changes nothing.
        if (options.onRows) for (const rows of changedRows(state)) options.onRows(rows)
      }
      options.onEvents?.(state.events)
      return outcomes
    })
  }

  return {
    /**
     * `onWriting` is called when the batch is decided and its writes are issued. What another batch is expiring is skipped,
     * so that nobody waits for it in vain; only a refusal for want of those units makes the batch run again and wait.
     */
    async run(lane: number, submissions: readonly Submission[], onWriting = () => {}): Promise<CommandOutcome[]> {
      const footprint = footprintOf(submissions)
      for (let left: number = limits.waitsForUnitsMax; ; left--) {
        try {
          return await runOnce(lane, submissions, { footprint, isLast: left === 0, onWriting })
        } catch (error) {
          if (!(error instanceof UnitsOnTheirWay)) throw error
          footprint.due.ifLocked = 'wait' // more may become due meanwhile, and be locked again
        }
      }
    },
  }
}

/** Rolls a batch back: another one is expiring what this one lacks. */
class UnitsOnTheirWay extends Error {
  override readonly name = 'UnitsOnTheirWay'
}

const isForWantOfUnits = (outcome: CommandOutcome): boolean => !outcome.ok && outcome.code === 'insufficient_stock'

/** Who cannot be served, newest first: orders of this batch, then those before it that it has not cancelled. */
async function ordersHit(tx: EngineTx, state: BatchState, row: StockRow, units: number): Promise<Uuid[]> {
  const named: Uuid[] = []
  let left = units
  for (const order of state.newOrders.toReversed()) {
    const onRow = order.status === 'cancelled' ? 0 : unitsOnRow(order, row.id)
    if (onRow === 0 || left <= 0) continue
    named.push(order.id)
    left -= onRow
  }
  if (left <= 0) return named
  // The store does not know yet what this batch has cancelled, and would count it.
  const changed = [...state.dirtyOrders].filter((order) => !named.includes(order.id))
  const counted = changed.reduce((sum, order) => sum + unitsOnRow({ ...order, cancelled: null, life: null }, row.id), 0)
  const standing = await tx.ordersOn(row, left + counted)
  return [...named, ...standing.filter((id) => state.orders.get(id)?.status !== 'cancelled')]
}

/** COMMIT travels behind the writes; if both fail, the write's failure is the reason and the commit's only its echo. */
async function allOrFirstFailure(steps: readonly Promise<void>[]): Promise<void> {
  for (const step of await Promise.allSettled(steps)) if (step.status === 'rejected') throw step.reason
}

export type Engine = ReturnType<typeof createEngine>

/** Rows touched, the measure by which batches are bounded. */
export function rowsOf({ command }: Submission): number {
  switch (command.kind) {
    case 'place_order':
    case 'place_hold':
      return 2 + command.lines.length
    case 'adjust_stock':
      return 1 + command.adjustments.length
    case 'receive_units':
    case 'remember_sent':
      return 1 + command.totals.length
    case 'exchange_order':
      return 5 + command.order.lines.length
    case 'expire_due':
      return command.limit
    default:
      return 3
  }
}

export function footprintOf(submissions: readonly Submission[]): Footprint {
  const footprint: Footprint = {
    orders: [],
    holds: [],
    due: { skus: [], limit: limits.dueExpiredPerBatchMax, ifLocked: 'skip' },
    skus: [],
    newRows: [],
    keys: [],
    references: [],
    policies: [],
    transfers: [],
  }
  const skus = new Map<string, ShopSku>()
  for (const submission of submissions) addFootprint(footprint, skus, submission)
  footprint.skus = [...skus.values()]
  if (footprint.due.skus !== 'any') footprint.due.skus = footprint.skus
  return footprint
}

function addFootprint(footprint: Footprint, skus: Map<string, ShopSku>, { command, key }: Submission): void {
  if (command.kind === 'expire_due') {
    footprint.due = { skus: 'any', limit: command.limit, ifLocked: 'skip' }
    return
  }
  const { shopId } = command
  if (key) footprint.keys.push({ shopId, hash: key.hash })
  const touch = (sku: Sku) => void skus.set(skuKey(shopId, sku), { shopId, sku })
  switch (command.kind) {
    case 'exchange_order':
      footprint.orders.push({ shopId, id: command.orderId })
      addPlaced(footprint, command.order, touch)
      break
    case 'place_order':
      addPlaced(footprint, command, touch)
      break
    case 'place_hold':
      for (const line of command.lines) touch(line.sku)
      break
    case 'adjust_stock':
      for (const { sku, location, shares } of command.adjustments) {
        touch(sku)
        footprint.newRows.push({ shopId, sku, location })
        footprint.transfers.push({ shopId, sku })
        if (shares) footprint.policies.push({ shopId, sku })
      }
      break
    case 'send_units':
    case 'hand_over_units':
      touch(command.sku)
      addTransfers(footprint, shopId, command.sku)
      break
    case 'receive_units':
    case 'remember_sent':
      for (const { sku, location } of command.totals) {
        touch(sku)
        footprint.newRows.push({ shopId, sku, location })
        addTransfers(footprint, shopId, sku)
      }
      break
    case 'set_policy':
      touch(command.policy.sku)
      footprint.newRows.push({ shopId, sku: command.policy.sku, location: 'main' as LocationCode })
      addTransfers(footprint, shopId, command.policy.sku)
      break
    case 'remember_key':
      break
    case 'extend_hold':
    case 'release_hold':
      footprint.holds.push({ shopId, id: command.holdId })
      break
    default:
      footprint.orders.push({ shopId, id: command.orderId })
  }
}

function addTransfers(footprint: Footprint, shopId: ShopId, sku: Sku): void {
  footprint.policies.push({ shopId, sku })
  footprint.transfers.push({ shopId, sku })
}

function addPlaced(footprint: Footprint, { shopId, lines, holdId, reference }: PlaceOrder, touch: (sku: Sku) => void) {
  for (const line of lines) touch(line.sku)
  if (holdId !== null) footprint.holds.push({ shopId, id: holdId })
  if (reference !== null) footprint.references.push({ shopId, reference })
}

/** Orders and holds that were loaded move units of their own SKUs, so those rows are locked too. */
function withSkusOf(skus: readonly ShopSku[], orders: readonly Order[], holds: readonly Hold[]): readonly ShopSku[] {
  if (orders.length === 0 && holds.length === 0) return skus
  const all = new Map(skus.map((one) => [skuKey(one.shopId, one.sku), one]))
  for (const { shopId, lines } of [...orders, ...holds]) {
    for (const { sku } of lines) all.set(skuKey(shopId, sku), { shopId, sku })
  }
  return [...all.values()]
}

type Loaded = {
  orders: Order[]
  holds: Hold[]
  stock: { rows: StockRow[]; made: StockRowId[] }
  found: LookUp
}

function loadState(cell: CellName, now: Instant, loaded: Loaded): BatchState {
  const state = emptyState(cell, now)
  for (const order of loaded.orders) state.orders.set(order.id, order)
  for (const hold of loaded.holds) state.holds.set(hold.id, hold)
  for (const id of loaded.stock.made) state.made.add(id)
  for (const row of loaded.stock.rows) {
    state.rowById.set(row.id, row)
    const key = skuKey(row.shopId, row.sku)
    const siblings = state.rows.get(key)
    if (siblings) siblings.push(row)
    else state.rows.set(key, [row])
  }
  for (const key of loaded.found.keys) state.keys.set(keyOf(key.shopId, key.hash), key)
  for (const { shopId, reference, orderId } of loaded.found.references) {
    state.references.set(referenceKey(shopId, reference), orderId)
  }
  for (const policy of loaded.found.policies) state.policies.set(skuKey(policy.shopId, policy.sku), policy)
  state.leaving = new Set(loaded.found.leaving)
  state.transfers = Map.groupBy(loaded.found.transfers, ({ row }) => row)
  return state
}

function changedRows({ dirtyRows, rows }: BatchState): StockRow[][] {
  const keys = new Set([...dirtyRows].map((row) => skuKey(row.shopId, row.sku)))
  return [...keys].map((key) => rows.get(key)!)
}

/** Rows made for a command that was then refused. */
function unusedRows(state: BatchState): StockRowId[] {
  return [...state.made].filter((id) => !state.dirtyRows.has(state.rowById.get(id)!))
}
