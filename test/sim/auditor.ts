// The independent auditor: watches every COMMIT, every answer and every effect of an event, and compares them with its own
// books and with what clients asked for. It shares no code with what it judges.
import { AssertionFailed } from '../../src/base/assert.ts'
import type { Uuid } from '../../src/base/ids.ts'
import type { LoggedEvent, MemoryCommit, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { Command, CommandOutcome, Order, Submission } from '../../src/modules/orders/types.ts'
import type { Hold, StockRow } from '../../src/modules/stock/types.ts'
import { type Books, createBooks } from './books.ts'
import { createClaims } from './claims.ts'
import { createEdits } from './edits.ts'
import type { Answer, Intent, Request } from './intents.ts'
import { createMoneyBooks } from './money.ts'
import { bareName, keyOfSku, nameOf } from './names.ts'
import type { ModelCharge } from './provider.ts'
import { sameRequest } from './same-request.ts'
import { Violation } from './violation.ts'

export type Auditor = ReturnType<typeof createAuditor>

/** What the last batch of a lane could have sold, at least, of each SKU at any moment of it. */
type Offer = { least: Map<string, number>; unfreed: Map<string, number> }

export function createAuditor() {
  const [books, claims, money, edits] = [createBooks(), createClaims(), createMoneyBooks(), createEdits()] as const
  const ordersAsPlaced = new Map<Uuid, string>()
  const answeredIds = new Map<string, Uuid>()
  const acknowledged = new Map<Uuid, Command>()
  const offers = new Map<number, Offer>()
  const consumed = new Map<string, { count: number; versions: Map<string, number> }>()
  let database: MemoryDatabase
  let failure: Violation | null = null

  /** Nothing that an auditor finds may be swallowed by the code it watches. */
  function watch<A extends unknown[]>(judge: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (failure) return
      try {
        judge(...args)
      } catch (error) {
        failure =
          error instanceof Violation ? error : new Violation('ends', `the auditor failed: ${(error as Error).stack}`)
      }
    }
  }

  function committed(commit: MemoryCommit): void {
    for (const order of commit.orders) watchOrder(order)
    for (const hold of commit.holds) watchHold(hold)
    claims.check(commit)
    for (const order of commit.orders) edits.check(order, claims.edits())
    const { least } = replay(commit)
    const credited = new Set(commit.events.flatMap(({ type, subject }) => (type === 'order.credited' ? [subject] : [])))
    for (const order of commit.orders) {
      const book = books.orders.get(nameOf(order.id))
      if (!book) throw new Violation('P5', `order ${order.id} was written without an event`)
      book.expiresAt = order.expiresAt
      money.watch(
        order,
        [...credited].some((subject) => bareName(subject) === nameOf(order.id)),
      )
    }
    offers.set(commit.lane, { least, unfreed: unfreedBy(commit) })
    compareRows(commit)
    compareSizes()
  }

  /** Plays the commit's events in their order, and remembers the least that was sellable after what was due had gone. */
  function replay(commit: MemoryCommit): { least: Map<string, number> } {
    const least = new Map<string, number>()
    const look = () => {
      for (const sku of books.skus.keys())
        least.set(sku, Math.min(least.get(sku) ?? Number.POSITIVE_INFINITY, books.sellable(sku)))
    }
    let areDueGone = false
    for (const event of commit.events) {
      if (!areDueGone && !isExpiry(event)) {
        areDueGone = true
        look()
      }
      books.record(event, commit.now)
      money.record(event, { ...claims, now: commit.now })
      if (areDueGone) look()
    }
    if (!areDueGone) look()
    return { least }
  }

  function watchOrder(order: Order): void {
    const { lines, currency, total, reference, customer, provider, holdId, placedAt } = order
    const text = JSON.stringify({ lines, currency, total, reference, customer, provider, holdId, placedAt })
    const before = ordersAsPlaced.get(order.id)
    if (before !== undefined && before !== text)
      throw new Violation('P2', `order ${order.id} was rewritten: ${before} became ${text}`)
    ordersAsPlaced.set(order.id, text)
    for (const line of lines) checkAllocations(line)
    if (total !== lines.reduce((sum, line) => sum + line.amount, 0))
      throw new Violation('P2', `order ${order.id} has another total`)
  }

  function watchHold(hold: Hold): void {
    for (const line of hold.lines) checkAllocations(line)
  }

  function checkAllocations(line: Hold['lines'][number]): void {
    let sum = 0
    for (const { row, quantity } of line.allocations) {
      sum += quantity
      if (database.tables.rows.get(row)?.sku !== line.sku)
        throw new Violation('P1', `units of ${line.sku} taken from row ${row}`)
    }
    if (sum !== line.quantity) throw new Violation('P1', `${sum} units allocated for ${line.quantity} of ${line.sku}`)
  }

  /** Units that time had freed when the batch looked, and that it did not free though its bound allowed it. */
  function unfreedBy({ due, now }: MemoryCommit): Map<string, number> {
    const units = new Map<string, number>()
    const beyondLimit = new Set(due.beyondLimit.map(nameOf))
    const count = (
      name: string,
      thing: { changedAt: number; expiresAt: number | null },
      lines: Map<string, number>,
    ) => {
      if (thing.expiresAt === null || thing.expiresAt > Math.min(due.at, now)) return // the clock may have gone back since
      if (thing.changedAt > due.logLength || beyondLimit.has(name)) return
      for (const [sku, quantity] of lines) units.set(sku, (units.get(sku) ?? 0) + quantity)
    }
    for (const [name, hold] of books.holds) if (hold.status === 'active') count(name, hold, hold.lines)
    for (const [name, order] of books.orders) if (order.status === 'pending') count(name, order, order.left)
    return units
  }

  function compareRows(commit: MemoryCommit): void {
    const skus = new Set<string>()
    for (const row of commit.rows) {
      skus.add(keyOfSku(row))
      const sums = books.ledger.get(row.id) ?? [0, 0, 0, 0]
      const counters = [row.onHand, row.reserved, row.committed, row.shipped]
      if (counters.some((counter, column) => counter !== sums[column])) {
        throw new Violation('counters', `row ${row.id} has ${counters}, its moves make ${sums}`)
      }
    }
    for (const sku of skus) compareSku(sku, books.skus.get(sku)!)
  }

  function compareSku(sku: string, book: Books['skus'] extends Map<string, infer B> ? B : never): void {
    const rows = [...database.tables.rows.values()].filter((row) => keyOfSku(row) === sku)
    const sum = (column: 'onHand' | 'reserved' | 'committed' | 'allowance') =>
      rows.reduce((total, row) => total + row[column], 0)
    for (const column of ['onHand', 'reserved', 'committed', 'allowance'] as const) {
      if (sum(column) !== book[column]) {
        throw new Violation(
          'counters',
          `${sku}: rows have ${column} ${sum(column)}, holds, orders and adjustments make ${book[column]}`,
        )
      }
    }
    if (rows.some((row) => (row.tracking === 'counted') !== book.counted))
      throw new Violation('counters', `${sku}: tracking differs`)
  }

  /** P2 after every step: nothing that was committed is ever missing. */
  function compareSizes(): void {
    const { tables } = database
    if (tables.orders.size !== books.orders.size)
      throw new Violation('P2', `${books.orders.size} orders placed, ${tables.orders.size} there`)
    if (tables.holds.size !== books.holds.size)
      throw new Violation('P2', `${books.holds.size} holds placed, ${tables.holds.size} there`)
    if (tables.events.length !== books.facts()) throw new Violation('P5', 'events are missing')
    if (tables.keys.size !== claims.keysSeen()) throw new Violation('P3', 'keys are missing')
    for (const row of tables.rows.values()) {
      if (row.version === 0 && !claims.hasPolicy(keyOfSku(row)))
        throw new Violation('answers', `row ${row.id} of ${row.sku} was left behind by a refusal`)
    }
  }

  /** A batch has been decided and committed: no refusal for want of units that were there. */
  function decided(lane: number, submissions: readonly Submission[], outcomes: readonly CommandOutcome[]): void {
    const { least, unfreed } = offers.get(lane) ?? {
      least: new Map<string, number>(),
      unfreed: new Map<string, number>(),
    }
    for (const [index, outcome] of outcomes.entries()) {
      const { command } = submissions[index]!
      if (outcome.ok || outcome.code !== 'insufficient_stock') continue
      if (command.kind !== 'place_order' && command.kind !== 'place_hold') continue
      const problems = (outcome.errors ?? []) as unknown as { sku: string; requested: number }[]
      if (problems.length === 0) throw new Violation('answers', 'insufficient_stock names no line')
      const isFalse = problems.every(({ sku, requested }) => {
        const key = keyOfSku({ shopId: command.shopId, sku })
        return (least.get(key) ?? 0) + (unfreed.get(key) ?? 0) >= requested
      })
      if (isFalse)
        throw new Violation(
          'expiry',
          `refused ${JSON.stringify(problems)} though ${[...least]} were there and ${[...unfreed]} had expired`,
        )
    }
  }

  function answered(intent: Intent, request: Request, answer: Answer): void {
    if (answer.kind === 'unavailable') return
    if (answer.kind === 'refused') {
      checkRefusal(intent, request, answer.code)
      return
    }
    if (intent.key !== null) checkKeyed(intent.key, request, answer)
    const { command } = request
    if (command.kind === 'release_hold') {
      const status = database.tables.holds.get(command.holdId)?.status
      if (status !== 'released' && status !== 'expired')
        throw new Violation('answers', `released, but the hold is ${status}`)
    }
    if (command.kind === 'set_policy' && !database.tables.policies.has(`${command.shopId} ${command.policy.sku}`)) {
      throw new Violation('answers', 'a policy was acknowledged and is not there')
    }
  }

  /** P2 and P3: what is acknowledged is there under its key, with the content that was sent, and it is one thing. */
  function checkKeyed(key: string, request: Request, answer: Answer & { kind: 'accepted' }): void {
    const row = database.tables.keys.get(`${request.command.shopId} ${key}`)
    if (!row) throw new Violation('P2', `acknowledged, but its key ${key} is not there`)
    if (row.request !== request.hash) throw new Violation('P3', `key ${key} was accepted for another body`)
    if (row.resultId !== answer.id)
      throw new Violation('P3', `key ${key} answers ${answer.id} and stands for ${row.resultId}`)
    if (answer.id === null) return
    const name = `${request.command.shopId} ${key}`
    const before = answeredIds.get(name)
    if (before !== undefined && before !== answer.id)
      throw new Violation('P3', `key ${key} made ${before} and ${answer.id}`)
    answeredIds.set(name, answer.id)
    const stored = { order: orderWith(request.command, answer.id), hold: database.tables.holds.get(answer.id) }
    if (!stored.order && !stored.hold) throw new Violation('P2', `${answer.id} was acknowledged and is not there`)
    acknowledged.set(answer.id, request.command)
    for (const thing of [stored, answer]) {
      const problem = sameRequest(request.command, thing, edits.wasEdited(answer.id))
      if (problem) throw new Violation('P2', problem)
    }
  }

  /** The order that has what the command was acknowledged to have made. */
  function orderWith(command: Command, id: Uuid): Order | undefined {
    const { orders, parts } = database.tables
    if (!('orderId' in command) || command.kind === 'place_order') return orders.get(id)
    if (command.kind === 'exchange_order') {
      const made = orders.get(id)
      const back = orders.get(command.orderId)?.life?.returns.find(({ exchangeOrderId }) => exchangeOrderId === id)
      return back && made?.exchangeOf?.returnId === back.id ? made : undefined
    }
    const order = orders.get(command.orderId)
    const isThere = (): boolean => {
      switch (command.kind) {
        case 'start_payment':
          return order?.life?.payments.some((one) => one.id === id) ?? false
        case 'refund_order':
          return order?.life?.refunds.some((one) => one.id === id) ?? false
        case 'ship_order':
        case 'pick_order':
          return (order?.life?.shipments.some((one) => one.id === id) ?? false) && parts.has(`${command.shopId} ${id}`)
        case 'request_return':
          return (order?.life?.returns.some((one) => one.id === id) ?? false) && parts.has(`${command.shopId} ${id}`)
        default:
          return id === command.orderId
      }
    }
    return isThere() ? order : undefined
  }

  /** Refusals whose reason stays true once it is true can be checked whenever they arrive. */
  function checkRefusal(intent: Intent, { command }: Request, code: string): void {
    const { references } = database.tables
    const own = <T extends { shopId: number }>(thing: T | undefined) =>
      thing?.shopId === command.shopId ? thing : undefined
    const hold =
      'holdId' in command && command.holdId !== null ? own(database.tables.holds.get(command.holdId)) : undefined
    const order = 'orderId' in command ? own(database.tables.orders.get(command.orderId)) : undefined
    const placed = command.kind === 'place_order' ? command : command.kind === 'exchange_order' ? command.order : null
    const isTrue = (): boolean => {
      switch (code) {
        case 'idempotency_key_reused':
          return intent.requests.length > 1
        case 'hold_expired':
        case 'hold_released':
        case 'hold_consumed':
          return `hold_${hold?.status}` === code
        case 'hold_not_found':
          return !hold
        case 'order_cancelled':
          return order?.status === 'cancelled'
        case 'not_found':
          if ('shipmentId' in command && command.kind !== 'ship_order' && command.kind !== 'pick_order')
            return !order?.life?.shipments.some(({ id }) => id === command.shipmentId)
          if (command.kind === 'receive_return') return !order?.life?.returns.some(({ id }) => id === command.returnId)
          return 'orderId' in command ? !order : !hold
        case 'order_shipped':
          return order?.status === 'completed' || parcelsOf(order).some(({ shippedAt }) => shippedAt !== undefined)
        case 'shipment_shipped':
        case 'shipment_cancelled': {
          const parcel = parcelsOf(order).find(({ id }) => 'shipmentId' in command && id === command.shipmentId)
          return code === 'shipment_cancelled'
            ? parcel?.status === 'cancelled'
            : parcel?.status === 'shipped' || parcel?.status === 'delivered'
        }
        case 'return_received':
          return (
            command.kind === 'receive_return' &&
            order?.life?.returns.find(({ id }) => id === command.returnId)?.status === 'received'
          )
        case 'not_in_review':
          return order?.life?.review !== 'open'
        case 'reference_taken':
          return placed !== null && references.has(`${command.shopId} ${placed.reference}`)
        case 'sku_not_found':
        case 'insufficient_stock':
        case 'hold_too_small':
        case 'quantity_too_large':
        case 'line_not_found':
        case 'precondition_failed':
        case 'location_not_found':
          return true
        case 'order_not_confirmed':
        case 'order_not_paid':
        case 'order_paid':
        case 'payment_in_progress':
        case 'nothing_to_capture':
        case 'nothing_to_ship':
        case 'nothing_to_refund':
        case 'refund_too_large':
        case 'not_shipped':
        case 'shipment_not_packed':
        case 'shipment_not_shipped':
        case 'units_in_parcel':
        case 'too_many_parts':
          return order !== undefined
        default:
          return false
      }
    }
    if (!isTrue()) throw new Violation('answers', `${command.kind} was refused ${code}, which is not so`)
  }

  /** P5: once, and in order within the subject. */
  function applied(consumer: string, event: LoggedEvent): void {
    const seen = consumed.get(consumer) ?? { count: 0, versions: new Map<string, number>() }
    consumed.set(consumer, seen)
    const subject = `${event.shopId} ${event.subject}`
    const version = seen.versions.get(subject) ?? 0
    if (event.subjectVersion !== version + 1) {
      throw new Violation(
        'P5',
        `${consumer} applied version ${event.subjectVersion} of ${event.subject} after ${version}`,
      )
    }
    seen.versions.set(subject, event.subjectVersion)
    seen.count++
  }

  /** When all is quiet: consumers have seen everything, and the store is what the books say. */
  function finish(
    consumers: ReadonlyMap<string, ReadonlyMap<number, number[]>>,
    charges: readonly ModelCharge[],
  ): void {
    const { tables } = database
    money.finish(tables, charges)
    compareSizes()
    for (const [id, command] of acknowledged) {
      if (!orderWith(command, id) && !tables.holds.has(id))
        throw new Violation('P2', `${id} was acknowledged and is gone`)
    }
    for (const order of tables.orders.values()) watchOrder(order)
    for (const sku of books.skus.keys()) compareSku(sku, books.skus.get(sku)!)
    for (const [name, units] of consumers) {
      const count = consumed.get(name)?.count ?? 0
      if (count !== tables.events.length)
        throw new Violation('P5', `${name} applied ${count} of ${tables.events.length} events`)
      for (const row of tables.rows.values()) compareConsumer(name, row, units.get(row.id) ?? [0, 0, 0, 0])
    }
  }

  function compareConsumer(name: string, row: StockRow, sums: number[]): void {
    const counters = [row.onHand, row.reserved, row.committed, row.shipped]
    if (counters.some((counter, column) => counter !== sums[column])) {
      throw new Violation('P5', `${name} has ${sums} for row ${row.id}, which has ${counters}`)
    }
  }

  return {
    books,
    /** The only database, until cells are many. */
    watches: (one: MemoryDatabase) => {
      database = one
    },
    intended: claims.intended,
    money: {
      calling: watch(money.calling),
      heard: watch(money.heard),
      takenBack: watch(money.takenBack),
      /** Everything has settled by this time. */
      checkTime: watch((now: number) => money.checkTime({ ...claims, now })),
      charging: watch(money.charging),
    },
    committed: watch(committed),
    decided: watch(decided),
    answered: watch(answered),
    applied: watch(applied),
    finish: watch(finish),
    failed: watch((error: unknown) => {
      throw violationOf(error as Error)
    }),
    found: watch((violation: Violation) => {
      throw violation
    }),
    violation: () => failure,
  }
}

/** A command failed, which is neither an answer nor a refusal. */
function violationOf({ name, message, stack }: Error): Violation {
  const isOurs = name === AssertionFailed.name
  return new Violation('answers', isOurs ? `an assertion failed: ${message}\n${stack}` : `a command failed: ${stack}`)
}

const parcelsOf = (order: Order | undefined) => order?.life?.shipments ?? []

const isExpiry = (event: LoggedEvent): boolean =>
  event.type === 'hold.expired' || (event.type === 'order.cancelled' && event.data.reason === 'unpaid')
