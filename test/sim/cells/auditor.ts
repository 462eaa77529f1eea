// The independent auditor of many cells. After every COMMIT anywhere it adds up what all cells hold and what is under way, from their
// tables, and compares it with what was ever received: units are neither made nor lost, whatever messages do.
import { type CellName, parseWireId, type Sku, toWireId, type Uuid } from '../../../src/base/ids.ts'
import type { MemoryCommit } from '../../../src/modules/orders/memory-database.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import type { StockRow, Transfer } from '../../../src/modules/stock/types.ts'
import { Violation } from '../violation.ts'
import type { Durable } from './durable.ts'
import { type CellNode, type CellRequest, type Reply, shopId } from './node.ts'

/** `received` by the cell that booked it. */
type Book = { received: Map<CellName, number>; allowance: number; hasFacts: boolean }

const isElderThan = (a: { name: string; order: Order }, b: { name: string; order: Order }): boolean =>
  a.order.id < b.order.id || (a.order.id === b.order.id && a.name < b.name)

const sentBy = (one?: Transfer): number => (one ? one.sentUnits + one.sentAllowance : 0)
const receivedBy = (one?: Transfer): number => (one ? one.receivedUnits + one.receivedAllowance : 0)

/** From the question whether an order stands to the end of the younger one. */
const duplicateMsMax = 14_000

function fail(violation: Violation): never {
  throw violation
}

const receivedOf = ({ received }: Book): number => [...received.values()].reduce((sum, units) => sum + units, 0)
const rowsOf = ({ database }: Pick<Durable, 'database'>, sku: string): StockRow[] =>
  [...database.tables.rows.values()].filter((row) => row.sku === sku)
const transferOf = (
  { database }: Pick<Durable, 'database'>,
  row: StockRow | undefined,
  peer: CellName,
): Transfer | undefined => row && database.tables.transfers.get(`${row.id} ${peer}`)

export function createCellsAuditor(
  cells: () => readonly CellNode[],
  { now, isGrouped }: { now(): number; isGrouped(sku: Sku): boolean },
) {
  const books = new Map<string, Book>()
  const acknowledged = new Map<string, { id: Uuid; cell: CellName; request: CellRequest }>()
  const placedUnder = new Map<string, Set<string>>()
  /** Orders that money was ever set aside or taken for, or that were confirmed; and those of them that gave way when it had been. */
  const [paid, paidWhenGone] = [new Set<string>(), new Set<string>()]
  const [givenUpAt, gaveWay] = [new Map<Uuid, number>(), new Set<Uuid>()]
  let haveMet = false
  /** Orders that are gone since their cell was set back, and keys of orders whose end is forgotten. */
  const forgotten = new Map<Uuid, 'safe' | 'unsafe'>()
  const carriedOutIn = new Map<string, CellName>() // by the key of what makes nothing with an id, such as an adjustment
  const [everAcknowledged, unsettledKeys] = [new Set<Uuid>(), new Set<string>()]
  let failure: Violation | null = null

  function watch<A extends unknown[]>(judge: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (failure) return
      try {
        judge(...args)
      } catch (error) {
        failure = error instanceof Violation ? error : new Violation('ends', String((error as Error).stack))
      }
    }
  }

  const bookOf = (sku: string): Book => {
    const book = books.get(sku) ?? { received: new Map(), allowance: 0, hasFacts: false }
    books.set(sku, book)
    return book
  }
  const cellOf = (name: CellName): CellNode => cells().find((cell) => cell.name === name)!
  function committed(cell: CellName, commit: MemoryCommit): void {
    const isFrozen = cellOf(cell).durable.frozen !== undefined
    for (const { type, data } of commit.events) {
      if (isFrozen && (type === 'order.placed' || type === 'hold.created'))
        throw new Violation('P1', `${cell} sells while it is frozen`)
      watchPaid(type, data)
      if (type === 'stock.adjusted' || type === 'stock.policy_set') book(cell, type, data)
    }
    for (const { hash, resultId, takenBy } of commit.keys) {
      if (resultId !== null || takenBy !== null) continue
      const other = carriedOutIn.get(hash) ?? cell
      if (other !== cell) throw new Violation('P3', `what has the key ${hash} is carried out by ${other} and ${cell}`)
      carriedOutIn.set(hash, cell)
    }
    const placed = new Set(commit.events.flatMap(({ type, subject }) => (type === 'order.placed' ? [subject] : [])))
    for (const order of commit.orders) {
      if (!placed.has(toWireId('ord', cell, order.id))) continue
      const key = commit.keys.find((one) => one.resultId === order.id)
      if (!key) continue
      if (haveMet && placedUnder.has(key.hash) && !unsettledKeys.has(key.hash))
        throw new Violation('P3', `${cell} took the key ${key.hash} again`)
      placedUnder.set(key.hash, (placedUnder.get(key.hash) ?? new Set()).add(`${cell} ${order.id}`))
    }
    for (const order of commit.orders) watchDuplicate(order)
    for (const sku of new Set(commit.rows.map((row) => row.sku))) {
      compare(sku)
      compareSales(cell, commit, sku)
    }
  }

  function book(cell: CellName, type: string, data: Record<string, unknown>): void {
    const one = bookOf(String(data.sku))
    if (type === 'stock.adjusted') {
      one.received.set(cell, (one.received.get(cell) ?? 0) + Number(data.delta))
      // What a cell that was set back sent in the time that it forgot, it books in and out again.
      if (data.reason === 'lost') one.hasFacts = true
    } else {
      if (Number(data.allowance) < one.allowance) one.hasFacts = true
      one.allowance = Number(data.allowance)
    }
  }

  /** P1 where counts have taken units away: that may leave a cell short, but a sale never does. */
  function compareSales(cell: CellName, { events }: MemoryCommit, sku: string): void {
    const isOf = (type: string, wanted: string, data: Record<string, unknown>) => type === wanted && data.sku === sku
    if (events.some(({ type, data }) => isOf(type, 'stock.adjusted', data) || isOf(type, 'stock.policy_set', data)))
      return
    const isSale = events.some(
      ({ type, data }) =>
        (type === 'order.placed' || type === 'hold.created') &&
        (data.lines as { sku: string }[]).some((line) => line.sku === sku),
    )
    const left = sumsOf(sku).available.get(cell)!
    if (isSale && left < 0) throw new Violation('P1', `${sku}: ${cell} sold what it is short of`)
  }

  function watchPaid(type: string, data: Record<string, unknown>): void {
    const order = String(data.order_id)
    if (type === 'payment.authorized' || type === 'payment.captured' || type === 'order.confirmed') paid.add(order)
    const givesWay = type === 'order.duplicate_found' || (type === 'order.cancelled' && data.reason === 'duplicate')
    if (givesWay && paid.has(order)) paidWhenGone.add(order)
  }

  /** P3: nobody gives way to an order that was given up long before. */
  function watchDuplicate(order: Order): void {
    if (order.status !== 'cancelled') return
    const name = order.id
    if (order.cancelReason !== 'duplicate') {
      if (!givenUpAt.has(name)) givenUpAt.set(name, now())
      return
    }
    if (gaveWay.has(name)) return // its payments come to an end long afterwards
    gaveWay.add(name)
    const elder = parseWireId(order.life!.supersededBy!)!
    if (now() - (givenUpAt.get(elder.uuid) ?? Number.POSITIVE_INFINITY) > duplicateMsMax)
      throw new Violation('P3', `${order.id} gave way to ${elder.uuid}, which had been cancelled`)
  }

  /** P1 and conservation of one SKU over all cells. */
  function compare(sku: string): void {
    const book = bookOf(sku)
    const sums = sumsOf(sku)
    const received = receivedOf(book)
    if (sums.onHand + sums.unitsUnderWay !== received)
      throw new Violation(
        'conservation',
        `${sku}: ${sums.onHand} on hand and ${sums.unitsUnderWay} under way of ${received}`,
      )
    if (sums.allowance + sums.allowanceUnderWay !== book.allowance)
      throw new Violation(
        'conservation',
        `${sku}: allowance ${sums.allowance} and ${sums.allowanceUnderWay} under way of ${book.allowance}`,
      )
    if (book.hasFacts) return
    if (sums.taken > received + book.allowance) throw new Violation('P1', `${sku}: ${sums.taken} sold of ${received}`)
    for (const [cell, units] of sums.available)
      if (units < 0 && !cellOf(cell).durable.frozen)
        throw new Violation('P1', `${sku}: ${cell} sold ${-units} more than its allotment`)
  }

  function sumsOf(sku: string) {
    const sums = {
      onHand: 0,
      allowance: 0,
      taken: 0,
      unitsUnderWay: 0,
      allowanceUnderWay: 0,
      available: new Map<CellName, number>(),
    }
    for (const cell of cells()) {
      let available = 0
      for (const row of rowsOf(cell, sku)) {
        sums.onHand += row.onHand
        sums.allowance += row.allowance
        sums.taken += row.reserved + row.committed + row.shipped
        const inRow = row.onHand + row.allowance - row.reserved - row.committed - row.missing
        if (inRow < 0 && !bookOf(sku).hasFacts && !cell.durable.frozen)
          throw new Violation('P1', `${sku}: a row of ${cell.name} is ${-inRow} short`)
        available += inRow
      }
      sums.available.set(cell.name, available)
      for (const taker of cells()) addUnderWay(sums, sku, cell, taker)
    }
    return sums
  }

  function addUnderWay(
    sums: { unitsUnderWay: number; allowanceUnderWay: number },
    sku: string,
    giver: CellNode,
    taker: CellNode,
  ): void {
    const [from, to] = [rowsOf(giver, sku), rowsOf(taker, sku)]
    for (const location of new Set([...from, ...to].map((row) => row.location))) {
      const at = (rows: StockRow[]) => rows.find((row) => row.location === location)
      const sent = transferOf(giver, at(from), taker.name)
      const taken = transferOf(taker, at(to), giver.name)
      const units = (sent?.sentUnits ?? 0) - (taken?.receivedUnits ?? 0)
      const allowance = (sent?.sentAllowance ?? 0) - (taken?.receivedAllowance ?? 0)
      // Frozen, it does not know yet what it has sent; what it has beyond is for nobody.
      if ((units < 0 || allowance < 0) && !giver.durable.frozen)
        throw new Violation('conservation', `${sku}: ${taker.name} took ${-units} more than ${giver.name} sent`)
      sums.unitsUnderWay += units
      sums.allowanceUnderWay += allowance
    }
  }

  /** P2 and P3 of an answer that a client got. */
  function answered(request: CellRequest, reply: Reply): void {
    if (reply.kind !== 'accepted' || reply.id === null || request.command.kind !== 'place_order') return
    if (forgotten.get(reply.id) === 'unsafe') return
    if (!cellOf(reply.cell).database.tables.orders.has(reply.id))
      throw new Violation('P2', `${reply.id} was acknowledged and is not in ${reply.cell}`)
    everAcknowledged.add(reply.id)
    if (request.home === null) return
    const before = acknowledged.get(request.key)
    acknowledged.set(request.key, { id: reply.id, cell: reply.cell, request })
    const lines = request.command.lines
    if (cellOf(request.home).wasClosed() || lines.some(({ sku }) => isGrouped(sku))) return // judged when all have met
    if (reply.cell !== request.home) throw new Violation('P3', `a key of ${request.home} was taken by ${reply.cell}`)
    if (before && before.id !== reply.id)
      throw new Violation('P3', `key ${request.key} made ${before.id} and ${reply.id}`)
  }

  /** Units that a count did not find are given back by whoever has some of that place. */
  function checkOwed(sku: string): void {
    const kept = keptFrom(sku)
    if (kept)
      throw new Violation('ends', `${sku}: ${kept.by} keeps ${kept.units} that are missing in ${kept.missingIn}`)
  }

  function keptFrom(sku: string): { by: CellName; units: number; missingIn: CellName } | undefined {
    const rows = cells().flatMap((cell) => rowsOf(cell, sku).map((row) => ({ cell: cell.name, row })))
    for (const { cell, row } of rows.filter((one) => one.row.missing > 0)) {
      const free = rows.filter((one) => one.cell !== cell && one.row.location === row.location)
      for (const { cell: other, row: there } of free) {
        const backing = Math.min(0, there.allowance) // goods that were sold on an allowance which went elsewhere
        const goods = there.onHand - there.reserved - there.committed - there.missing + backing
        const units = Math.min(goods, sumsOf(sku).available.get(other)!)
        if (units > 0) return { by: other, units, missingIn: cell }
      }
    }
    return undefined
  }

  /**
   * P2 and what follows of it. A `geo` cell that goes on from its standby has lost nothing that had left it. Any other may have
   * lost what it had acknowledged; of what it had sent and cannot know, it may be short.
   */
  function setBack(name: CellName, before: Durable, isSafe: boolean): void {
    const cell = cellOf(name)
    const { orders, events } = cell.database.tables
    for (const [id, order] of before.database.tables.orders) {
      if (isSafe && everAcknowledged.has(id) && !orders.has(id))
        throw new Violation('P2', `${id} was acknowledged and is lost with the region of ${name}`)
      if (orders.get(id) === order) continue
      if (!orders.has(id)) forgotten.set(id, isSafe ? 'safe' : 'unsafe')
      if (orders.get(id)?.status !== 'cancelled') for (const known of [givenUpAt, gaveWay]) known.delete(id)
      for (const [key, placed] of placedUnder) {
        if (!placed.has(`${name} ${id}`)) continue
        unsettledKeys.add(key)
        if (!orders.has(id)) placed.delete(`${name} ${id}`)
      }
    }
    for (const [key, { id }] of acknowledged) if (forgotten.has(id)) acknowledged.delete(key)
    for (const key of carriedOutIn.keys())
      if (carriedOutIn.get(key) === name && !cell.database.tables.keys.has(`${shopId} ${key}`)) carriedOutIn.delete(key)
    // What two cells that were set back have both forgotten, one may have sold and the other have again.
    const isWithAnother = cells().some((other) => other !== cell && other.durable.frozen)
    const isPolicies = before.database.tables.events.some(({ type }) => type === 'stock.policy_set')
    for (const [sku, one] of books) {
      one.received.delete(name)
      if (isPolicies) one.allowance = 0
      if (isWithAnother || isShortOf(cell, before, sku)) one.hasFacts = true
    }
    for (const { type, data } of events)
      if (type === 'stock.adjusted' || type === 'stock.policy_set') book(name, type, data)
  }

  /** What it sent in the time that is forgotten may be reserved or sold here again. */
  function isShortOf(cell: CellNode, before: Durable, sku: string): boolean {
    return rowsOf(before, sku).some((row) => {
      const now = rowsOf(cell, sku).find(({ location }) => location === row.location)
      let free = now ? now.onHand + now.allowance - now.reserved - now.committed - now.missing : 0
      for (const { name } of cells()) {
        const [then, known] = [transferOf(before, row, name), transferOf(cell, now, name)]
        free -= sentBy(then) - sentBy(known)
        free += receivedBy(then) - receivedBy(known)
      }
      return free < 0
    })
  }

  /** Who is removed takes nothing along, nor is anything under way from or to it. */
  function left(cell: CellNode): void {
    for (const row of cell.database.tables.rows.values())
      if (row.onHand !== 0 || row.allowance !== 0 || row.reserved !== 0 || row.committed !== 0)
        throw new Violation('conservation', `${cell.name} is removed with units of ${row.sku}`)
    for (const sku of books.keys()) {
      for (const other of cells()) {
        for (const [giver, taker] of [
          [cell, other],
          [other, cell],
        ] as const) {
          const sums = { unitsUnderWay: 0, allowanceUnderWay: 0 }
          addUnderWay(sums, sku, giver, taker)
          if (sums.unitsUnderWay + sums.allowanceUnderWay > 0)
            throw new Violation('conservation', `${cell.name} is removed while ${sku} is under way with ${other.name}`)
        }
      }
    }
  }

  /** When everything has met: one order a key stands, and none gave way to one that comes behind it. */
  function finish(): void {
    for (const { id, cell } of acknowledged.values()) {
      if (
        !cells()
          .find(({ name }) => name === cell)!
          .database.tables.orders.has(id)
      )
        throw new Violation('P2', `${id} was acknowledged and is gone`)
    }
    for (const [key, placed] of placedUnder) {
      const orders = [...placed].map((text) => {
        const [name, id] = text.split(' ') as [CellName, Uuid]
        const { database } = cells().find((one) => one.name === name)!
        return { name: toWireId('ord', name, id), order: database.tables.orders.get(id)! }
      })
      judgeKey(key, orders)
    }
  }

  /** P3 of one key: who was reported, since it could not be cancelled, does not count as standing. */
  function judgeKey(key: string, orders: { name: string; order: Order }[]): void {
    const gone = orders.filter(({ order }) => order.life?.supersededBy !== undefined)
    const others = orders.filter((one) => !gone.includes(one))
    const standing = others.filter(({ order }) => order.status !== 'cancelled')
    if (standing.length > 1) throw new Violation('P3', `key ${key} has ${standing.length} orders that stand`)
    if (unsettledKeys.has(key)) return
    if (others.length === 0) throw new Violation('P3', `key ${key}: every order gave way to another`)
    for (const { name, order } of gone) {
      const other = orders.find((one) => one.name === order.life!.supersededBy)
      if (!other) throw new Violation('P3', `key ${key}: ${name} gave way to an order of another key`)
      const isElder = isElderThan(other, { name, order })
      if (paidWhenGone.has(name) && !paid.has(other.name))
        throw new Violation('P3', `key ${key}: ${name} gave way though it was paid and ${other.name} was not`)
      if (!isElder && (paidWhenGone.has(name) || !paid.has(other.name)))
        throw new Violation('P3', `key ${key}: ${name} gave way to ${other.name} though it is the elder`)
    }
  }

  return {
    ...{ committed: watch(committed), setBack: watch(setBack), left: watch(left) },
    ...{ answered: watch(answered), finish: watch(finish), found: watch(fail) },
    /** From now on no key is taken twice: whoever is asked with it knows of it. */
    haveMet: () => {
      haveMet = true
    },
    /** What was placed once, and not where its key says. */
    takenElsewhere: () =>
      [...acknowledged.values()]
        .filter(
          ({ cell, request }) =>
            cell !== request.home && placedUnder.get(request.key)?.size === 1 && !unsettledKeys.has(request.key),
        )
        .map(({ cell, request }) => ({ taker: cell, request })),
    sumsOf,
    checkOwed: watch(checkOwed),
    isKept: (sku: string) => keptFrom(sku) !== undefined,
    isShort: (sku: string) => bookOf(sku).hasFacts,
    violation: () => failure,
  }
}
