// The independent auditor of many cells. After every COMMIT anywhere it adds up what all cells hold and what is under way, from their
// tables, and compares it with what was ever received: units are neither made nor lost, whatever messages do.
import { type CellName, parseWireId, toWireId, type Uuid } from '../../../src/base/ids.ts'
import type { MemoryCommit } from '../../../src/modules/orders/memory-database.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import type { StockRow, Transfer } from '../../../src/modules/stock/types.ts'
import { Violation } from '../violation.ts'
import type { CellNode, CellRequest, Reply } from './node.ts'

type Book = { received: number; allowance: number; hasFacts: boolean }

const isElderThan = (a: { name: string; order: Order }, b: { name: string; order: Order }): boolean =>
  a.order.id < b.order.id || (a.order.id === b.order.id && a.name < b.name)

/** From the question whether an order stands to the end of the younger one. */
const duplicateMsMax = 14_000

export function createCellsAuditor(cells: () => readonly CellNode[], now: () => number) {
  const books = new Map<string, Book>()
  const acknowledged = new Map<string, { id: Uuid; cell: CellName; request: CellRequest }>()
  const placedUnder = new Map<string, Set<string>>()
  /** Orders that money was ever set aside or taken for, or that were confirmed; and those of them that gave way when it had been. */
  const paid = new Set<string>()
  const paidWhenGone = new Set<string>()
  const givenUpAt = new Map<Uuid, number>()
  let haveMet = false
  let failure: Violation | null = null
  let falselyRefused = 0
  let refused = 0

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
    const book = books.get(sku) ?? { received: 0, allowance: 0, hasFacts: false }
    books.set(sku, book)
    return book
  }
  const rowsOf = (cell: CellNode, sku: string): StockRow[] =>
    [...cell.database.tables.rows.values()].filter((row) => row.sku === sku)
  const transferOf = (cell: CellNode, row: StockRow | undefined, peer: CellName): Transfer | undefined =>
    row && cell.database.tables.transfers.get(`${row.id} ${peer}`)

  function committed(cell: CellName, commit: MemoryCommit): void {
    for (const { type, data } of commit.events) {
      watchPaid(type, data)
      if (type === 'stock.adjusted') {
        const book = bookOf(String(data.sku))
        book.received += Number(data.delta)
        if (data.reason !== 'received') book.hasFacts = true
      }
      if (type === 'stock.policy_set') {
        const book = bookOf(String(data.sku))
        if (Number(data.allowance) < book.allowance) book.hasFacts = true
        book.allowance = Number(data.allowance)
      }
    }
    const placed = new Set(commit.events.flatMap(({ type, subject }) => (type === 'order.placed' ? [subject] : [])))
    for (const order of commit.orders) {
      if (!placed.has(toWireId('ord', cell, order.id))) continue
      const key = commit.keys.find((one) => one.resultId === order.id)
      if (!key) continue
      if (haveMet && placedUnder.has(key.hash)) throw new Violation('P3', `${cell} took the key ${key.hash} again`)
      placedUnder.set(key.hash, (placedUnder.get(key.hash) ?? new Set()).add(`${cell} ${order.id}`))
    }
    for (const order of commit.orders) watchDuplicate(order)
    for (const sku of new Set(commit.rows.map((row) => row.sku))) {
      compare(sku)
      compareSales(cell, commit, sku)
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
    const elder = parseWireId(order.life!.supersededBy!)!
    if (now() - (givenUpAt.get(elder.uuid) ?? Number.POSITIVE_INFINITY) > duplicateMsMax)
      throw new Violation('P3', `${order.id} gave way to ${elder.uuid}, which had been cancelled`)
  }

  /** P1 and conservation of one SKU over all cells. */
  function compare(sku: string): void {
    const book = bookOf(sku)
    const sums = sumsOf(sku)
    if (sums.onHand + sums.unitsUnderWay !== book.received)
      throw new Violation(
        'conservation',
        `${sku}: ${sums.onHand} on hand and ${sums.unitsUnderWay} under way of ${book.received}`,
      )
    if (sums.allowance + sums.allowanceUnderWay !== book.allowance)
      throw new Violation(
        'conservation',
        `${sku}: allowance ${sums.allowance} and ${sums.allowanceUnderWay} under way of ${book.allowance}`,
      )
    if (book.hasFacts) return
    if (sums.taken > book.received + book.allowance)
      throw new Violation('P1', `${sku}: ${sums.taken} sold of ${book.received}`)
    for (const [cell, units] of sums.available)
      if (units < 0) throw new Violation('P1', `${sku}: ${cell} sold ${-units} more than its allotment`)
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
        if (inRow < 0 && !bookOf(sku).hasFacts)
          throw new Violation('P1', `${sku}: a row of ${cell.name} is ${-inRow} short`)
        available += inRow
        addUnderWay(sums, cell, row)
      }
      sums.available.set(cell.name, available)
    }
    return sums
  }

  function addUnderWay(
    sums: { unitsUnderWay: number; allowanceUnderWay: number },
    giver: CellNode,
    row: StockRow,
  ): void {
    for (const taker of cells()) {
      const sent = transferOf(giver, row, taker.name)
      const there = rowsOf(taker, row.sku).find(({ location }) => location === row.location)
      const taken = transferOf(taker, there, giver.name)
      const units = (sent?.sentUnits ?? 0) - (taken?.receivedUnits ?? 0)
      const allowance = (sent?.sentAllowance ?? 0) - (taken?.receivedAllowance ?? 0)
      if (units < 0 || allowance < 0)
        throw new Violation('conservation', `${row.sku}: ${taker.name} took ${-units} more than ${giver.name} sent`)
      sums.unitsUnderWay += units
      sums.allowanceUnderWay += allowance
    }
  }

  /** P2 and P3 of an answer that a client got. */
  function answered(request: CellRequest, reply: Reply): void {
    if (reply.kind === 'refused') refused++
    if (reply.kind !== 'accepted' || reply.id === null || request.command.kind !== 'place_order') return
    const home = cells().find(({ name }) => name === reply.cell)!
    const order = home.database.tables.orders.get(reply.id)
    if (!order) throw new Violation('P2', `${reply.id} was acknowledged and is not in ${reply.cell}`)
    if (request.home === null) return
    const before = acknowledged.get(request.key)
    acknowledged.set(request.key, { id: reply.id, cell: reply.cell, request })
    if (
      cells()
        .find(({ name }) => name === request.home)!
        .wasClosed()
    )
      return // judged when all have met
    if (reply.cell !== request.home) throw new Violation('P3', `a key of ${request.home} was taken by ${reply.cell}`)
    if (before && before.id !== reply.id)
      throw new Violation('P3', `key ${request.key} made ${before.id} and ${reply.id}`)
  }

  /** Units that a count did not find are given back by whoever has some of that place. */
  function checkOwed(sku: string): void {
    const rows = cells().flatMap((cell) => rowsOf(cell, sku).map((row) => ({ cell: cell.name, row })))
    for (const { cell, row } of rows.filter((one) => one.row.missing > 0)) {
      const free = rows.filter((one) => one.cell !== cell && one.row.location === row.location)
      for (const { cell: other, row: there } of free) {
        const units = there.onHand - there.reserved - there.committed - there.missing
        if (Math.min(units, sumsOf(sku).available.get(other)!) > 0)
          throw new Violation('ends', `${sku}: ${other} keeps ${units} that are missing in ${cell}`)
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
    committed: watch(committed),
    answered: watch(answered),
    finish: watch(finish),
    found: watch((violation: Violation) => {
      throw violation
    }),
    /** From now on no key is taken twice: whoever is asked with it knows of it. */
    haveMet: () => {
      haveMet = true
    },
    /** What was placed once, and not where its key says. */
    takenElsewhere: () =>
      [...acknowledged.values()]
        .filter(({ cell, request }) => cell !== request.home && placedUnder.get(request.key)?.size === 1)
        .map(({ request }) => request),
    sumsOf,
    checkOwed: watch(checkOwed),
    isOwed: (sku: string) => cells().some((cell) => rowsOf(cell, sku).some(({ missing }) => missing > 0)),
    isShort: (sku: string) => bookOf(sku).hasFacts,
    countFalselyRefused: () => void falselyRefused++,
    counts: () => ({ refused, falselyRefused }),
    violation: () => failure,
  }
}
