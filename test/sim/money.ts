// The auditor's books of money, kept from the log alone and compared with the provider's own record: what was asked, taken and
// given back of each order, and what the order costs as it stands. P4. Shares no code with `decide`.
import type { Uuid } from '../../src/base/ids.ts'
import { parseWireId } from '../../src/base/ids.ts'
import type { Terms } from '../../src/modules/orders/life.ts'
import type { MemoryTables } from '../../src/modules/orders/memory-database.ts'
import type { Order } from '../../src/modules/orders/types.ts'
import type { Heard } from '../../src/modules/payments/decide.ts'
import type { Operation } from '../../src/modules/payments/types.ts'
import { type ModelCharge, takenOf } from './provider.ts'
import { Violation } from './violation.ts'

type PaymentBook = {
  status: string
  amount: number
  captured: number
  asked: 'capture' | 'void' | null
  /** Its failure was once told, so that another attempt was allowed beside it. */
  wasGivenUp: boolean
  /** What somebody has dropped: nobody but somebody asks for it again. */
  dropped: 'capture' | 'void' | null
  authorizedAt: number
  refunds: Map<string, { amount: number; status: string }>
}
type MoneyBook = {
  status: string
  isShipped: boolean
  /** In the present commit. */
  isCostChanged: boolean
  payments: Map<string, PaymentBook>
  total: number
  creditedUnits: number[]
  credited: number
}
type Fact = { type: string; subject: string; data: Record<string, unknown> }
/** What the auditor knows of the commit that an event is of. */
export type About = {
  now: number
  termsOf(orderId: Uuid): Terms | undefined
  isCaptureAsked(orderId: Uuid): boolean
}

const dayMs = 24 * 60 * 60 * 1000

export function createMoneyBooks() {
  const orders = new Map<Uuid, MoneyBook>()
  /** Keys of which nobody knows what became of them. */
  const uncertain = new Set<Uuid>()
  /** Refunds that the provider took back, and that their orders have not heard of. */
  const backAgain = new Set<Uuid>()

  function record({ type, subject, data }: Fact, about: About): void {
    const [noun, what] = type.split('.') as [string, string]
    if (noun !== 'payment' && noun !== 'order' && noun !== 'shipment') return
    const id = uuidOf(subject)
    const book = orders.get(id) ?? newBook()
    orders.set(id, book)
    if (noun === 'order') recordOrder(book, subject, what, data, about)
    else if (noun === 'payment') recordPayment(book, subject, what, data, about)
    else if (what === 'created') book.isShipped = true
  }

  function recordOrder(
    book: MoneyBook,
    subject: string,
    what: string,
    data: Record<string, unknown>,
    about: About,
  ): void {
    const before = book.status
    if (statuses.has(what)) book.status = what
    if (cheaper.has(what)) book.isCostChanged = true
    if (what === 'placed') book.total = Number(data.total)
    if (what === 'cancelled' && data.reason === 'unpaid') {
      for (const { status } of book.payments.values())
        if (status === 'pending') throw new Violation('P4', `${subject} expired while a payment was under way`)
      if (before !== 'pending') checkDeadline(book, subject, about)
    }
    if (what === 'unpaid') book.status = 'pending'
    if (what === 'unpaid') checkUnpaid(book, subject)
    if (what !== 'confirmed') return
    if (data.provider === 'none') book.payments.set('elsewhere', newPayment('captured', Number(data.amount)))
    const hasAuthorization = [...book.payments.values()].some(isSetAside)
    if (!hasAuthorization && heldOf(book) < Number(data.amount))
      throw new Violation('P4', `${subject} was confirmed for ${data.amount}, and ${heldOf(book)} was paid`)
  }

  /** An order with its money set aside is cancelled by time only at its deadline, in a shop that wants it. */
  function checkDeadline(book: MoneyBook, subject: string, { now, termsOf }: About): void {
    const terms = termsOf(uuidOf(subject))
    const isDue = terms && [...book.payments.values()].some((payment) => isPastDeadline(payment, terms, now))
    if (!isDue || terms.atCaptureDeadline !== 'cancel')
      throw new Violation('P4', `${subject} was cancelled as unpaid, and its money was set aside`)
  }

  /** An order waits for money again only when its money is gone. */
  function checkUnpaid(book: MoneyBook, subject: string): void {
    const setAside = [...book.payments.values()].reduce((sum, one) => sum + (isSetAside(one) ? one.amount : 0), 0)
    const cost = book.total - book.credited
    if (heldOf(book) + setAside >= cost)
      throw new Violation('P4', `${subject} waits for money again, and ${heldOf(book) + setAside} of ${cost} is there`)
  }

  /** Money that an order needs is not given away before its time. */
  function checkVoid(book: MoneyBook, subject: string, payment: PaymentBook, { now, termsOf }: About): void {
    const terms = termsOf(uuidOf(subject))
    const isNeeded = book.status !== 'cancelled' && book.total - book.credited > heldOf(book)
    if (!terms || !isNeeded || book.isCostChanged || payment.status !== 'authorized' || book.payments.size > 1) return
    if (now < payment.authorizedAt + terms.authorizationMs)
      throw new Violation('P4', `${subject}: its authorization was given away before its end`)
  }

  /** Nobody takes money before it is ours, by the rule of the shop. */
  function checkCapture(book: MoneyBook, subject: string, payment: PaymentBook, about: About): void {
    const orderId = uuidOf(subject)
    const terms = about.termsOf(orderId)
    if (about.isCaptureAsked(orderId) || !terms) return
    if (payment.dropped === 'capture')
      throw new Violation('P4', `${subject}: a capture was dropped, and asked for again`)
    if (terms.captureRule === 'now' || book.isShipped) return
    if (terms.atCaptureDeadline !== 'capture' || !isPastDeadline(payment, terms, about.now))
      throw new Violation('P4', `${subject} was captured before its deadline, and was not shipped`)
  }

  function recordPayment(
    book: MoneyBook,
    subject: string,
    what: string,
    data: Record<string, unknown>,
    about: About,
  ): void {
    const isElsewhere = data.provider === 'none'
    const name = isElsewhere ? 'elsewhere' : String(data.payment_id)
    const fail = (text: string) => new Violation('P4', `${subject}, payment ${name}: ${text}`)
    if (what === 'requested') {
      const open = [...book.payments.values()].find(isOpen)
      if (open) throw fail(`begun while another one is ${open.status}`)
      book.payments.set(name, newPayment('pending', 0, Number(data.amount)))
      return
    }
    const payment = book.payments.get(name) ?? newPayment('pending', 0)
    if (!book.payments.has(name)) {
      if (!isElsewhere && Number(data.amount) > 0) throw fail(`${what}, and was never begun`)
      book.payments.set(name, payment)
    }
    switch (what) {
      case 'capture_requested':
      case 'void_requested':
        if (payment.asked) throw fail(`asked to ${what} while it is asked to ${payment.asked}`)
        if (payment.status !== 'authorized' && payment.status !== 'requires_action')
          throw fail(`${what}, and is ${payment.status}`)
        if (what === 'capture_requested') checkCapture(book, subject, payment, about)
        else checkVoid(book, subject, payment, about)
        payment.dropped = null
        payment.asked = what === 'capture_requested' ? 'capture' : 'void'
        return
      case 'given_up':
        if (payment.asked !== data.operation) throw fail(`dropped ${data.operation}, and is asked to ${payment.asked}`)
        payment.dropped = payment.asked
        payment.asked = null
        return
      case 'refund_requested':
        askRefund(payment, data, fail)
        return
      case 'refunded':
      case 'refund_failed':
        if (isElsewhere) askRefund(payment, data, fail)
        settleRefund(payment, what, data, fail)
        return
      case 'captured':
        if (payment.status === 'captured') throw fail('taken twice')
        payment.captured = Number(data.amount)
    }
    if (payment.status === 'captured') throw fail(`${what} after it was taken`)
    payment.status = what
    payment.dropped = null
    if (what === 'authorized') payment.authorizedAt = about.now
    if (what !== 'requires_action' && what !== 'authorized') payment.asked = null
    if (what === 'failed') payment.wasGivenUp = true
  }

  function askRefund(payment: PaymentBook, data: Record<string, unknown>, fail: (text: string) => Violation): void {
    if (payment.refunds.has(String(data.refund_id))) throw fail(`refund ${data.refund_id} was asked for twice`)
    payment.refunds.set(String(data.refund_id), { amount: Number(data.amount), status: 'pending' })
    if (heldIn(payment) < 0) throw fail(`refunds of ${-heldIn(payment)} more than was taken`)
  }

  function settleRefund(
    payment: PaymentBook,
    what: string,
    data: Record<string, unknown>,
    fail: (text: string) => Violation,
  ): void {
    const refund = payment.refunds.get(String(data.refund_id))
    if (!refund) throw fail(`refund ${data.refund_id} was never asked for`)
    const isBack =
      what === 'refund_failed' && data.taken_back === refund.amount && backAgain.delete(uuidOf(String(data.refund_id)))
    if ((refund.status === 'refunded' && !isBack) || refund.status === what)
      throw fail(`refund ${data.refund_id} ${what} twice`)
    refund.status = what
  }

  /** An order as a COMMIT wrote it: nothing is held beyond what it costs, and units were credited once. */
  function watch(order: Order, wasCredited: boolean): void {
    const book = orders.get(order.id)
    const { life } = order
    if (book) book.isCostChanged = false
    if (!book || !life) return
    const returned = (index: number) =>
      life.returns.reduce(
        (sum, { received }) =>
          sum + received.reduce((units, one) => (one.line === index ? units + one.quantity : units), 0),
        0,
      )
    const price = (units: readonly number[]) =>
      order.lines.reduce(
        (sum, line, index) => sum + (line.amount * (units[index] ?? 0) - rest(line, units[index] ?? 0)) / line.quantity,
        0,
      )
    const rest = (line: { amount: number; quantity: number }, units: number) => (line.amount * units) % line.quantity
    const fail = (text: string) => new Violation('P4', `order ${order.id}: ${text}`)
    const gone = order.lines.map((_, index) => (order.cancelled?.[index] ?? 0) + returned(index))
    const before = order.lines.map((_, index) => book.creditedUnits[index] ?? 0)
    const after = order.lines.map((_, index) => life.creditedUnits[index] ?? 0)
    const credited = life.credited
    if (!wasCredited && order.status !== 'cancelled') {
      const isDue = book.total > book.credited
      const expected = before.map((units, index) => Math.max(units, gone[index]!))
      if (isDue && expected.some((units, index) => units !== after[index]))
        throw fail(`units credited were ${before}, are ${after}; gone are ${gone}`)
      const due = Math.min(price(after) - price(before), book.total - book.credited)
      if (credited - book.credited !== due) throw fail(`${credited - book.credited} credited for units of ${due}`)
    }
    if (credited > book.total) throw fail(`${credited} credited of ${book.total}`)
    book.credited = credited
    book.creditedUnits = after
    const cost = order.status === 'cancelled' ? 0 : book.total - credited
    if (heldOf(book) > cost) throw fail(`${heldOf(book)} is kept, it costs ${cost}`)
    if (order.status === 'completed' && heldOf(book) !== cost)
      throw fail(`completed, ${heldOf(book)} is paid, it costs ${cost}`)
  }

  /** The provider is about to set money aside or take it. */
  function charging(charge: ModelCharge, others: readonly ModelCharge[]): void {
    const book = orders.get(charge.orderId)
    if (!book) throw new Violation('P4', `charged for ${charge.orderId}, which nobody placed`)
    let standing = charge.amount
    for (const other of others) {
      const ours = [...book.payments].find(([name]) => uuidOf(name) === other.paymentId)?.[1]
      const isLeft = ours?.asked === 'void' || ours?.dropped === 'void' // its end has passed for us, though not for the provider
      if (other.status === 'authorized' && !isLeft) standing += other.amount
      if (other.status === 'captured') standing += takenOf(other)
      const wasGivenUp = [...book.payments].some(
        ([name, payment]) => payment.wasGivenUp && uuidOf(name) === other.paymentId,
      )
      if (wasGivenUp && other.paymentId !== charge.paymentId) return // an attempt that was told to have failed
    }
    if (standing > book.total)
      throw new Violation('P4', `order ${charge.orderId} of ${book.total} is charged ${standing}`)
  }

  function calling(operation: Operation, step: 'send' | 'look_up', now: number): void {
    if (step === 'look_up') return
    const { id, kind, askedAt } = operation
    if (uncertain.has(id)) throw new Violation('P4', `${kind} ${id} was sent again without asking`)
    if (now - askedAt >= dayMs) throw new Violation('P4', `${kind} ${id} was sent under a key that is a day old`)
    uncertain.add(id)
  }

  function heard({ id }: Operation, what: Heard): void {
    if (what !== 'unknown' && what !== 'in_progress') uncertain.delete(id)
  }

  /** All is settled: what time should have done by now is done. */
  function checkTime({ now, termsOf }: About): void {
    for (const [id, { status, payments }] of orders) {
      const terms = termsOf(id)
      if (!terms || status === 'cancelled' || status === 'completed') continue
      for (const payment of payments.values()) {
        if (!isSetAside(payment) || payment.asked !== null || payment.dropped === 'void') continue
        const acts = (terms.atCaptureDeadline === 'cancel' || status === 'confirmed') && payment.dropped !== 'capture'
        if (acts && status !== 'pending' && isPastDeadline(payment, terms, now))
          throw new Violation('ends', `order ${id} is ${status}, and its capture deadline is over`)
        if (now >= payment.authorizedAt + terms.authorizationMs)
          throw new Violation('ends', `order ${id} is ${status}, and its authorization is over`)
      }
    }
  }

  /** All is settled: the provider's record says of every order what the log says, and what the order costs. */
  function finish(tables: MemoryTables, charges: readonly ModelCharge[]): void {
    for (const order of tables.orders.values()) compareOrder(order, charges)
    for (const { paymentId, orderId } of charges) {
      const life = tables.orders.get(orderId)?.life
      if (!life?.payments.some(({ id }) => id === paymentId))
        throw new Violation('P4', `${orderId} was charged unasked`)
    }
  }

  function compareOrder(order: Order, all: readonly ModelCharge[]): void {
    const book = orders.get(order.id)!
    const charges = all.filter(({ orderId }) => orderId === order.id)
    const fail = (text: string) => new Violation('P4', `at the end, order ${order.id} (${order.status}): ${text}`)
    const cost = order.status === 'cancelled' ? 0 : book.total - book.credited
    const elsewhere = book.payments.get('elsewhere')
    const held = charges.reduce((sum, charge) => sum + takenOf(charge), elsewhere ? heldIn(elsewhere) : 0)
    const isOver = order.status === 'cancelled' || order.status === 'completed'
    if (order.status === 'pending' && book.payments.size > 0) throw fail('it still waits for money')
    const isTakenByNow = (order.life?.captureRule ?? 'now') === 'now' || !book.isShipped // at its deadline, if not with a parcel
    const isPaid = isOver || (order.status === 'confirmed' && isTakenByNow)
    if (held > cost || (isPaid && held < cost)) throw fail(`the provider has ${held}, it costs ${cost}`)
    for (const { status, paymentId } of charges) {
      const ours = order.life?.payments.find(({ id }) => id === paymentId)?.status
      // A buyer who was told that it failed may still act; what he pays then goes back.
      const isStanding = status === 'authorized' || (status === 'requires_action' && ours !== 'failed')
      if (isOver && isStanding) throw fail(`payment ${paymentId} is still ${status}`)
    }
    for (const [name, { captured, refunds }] of book.payments) {
      for (const [refund, { status }] of refunds)
        if (status !== 'refunded') throw fail(`refund ${refund} is still ${status}`)
      const back = [...refunds.values()].reduce((sum, { amount }) => sum + amount, 0)
      if (name === 'elsewhere' || (captured === 0 && back === 0)) continue
      const charge = charges.find(({ paymentId }) => paymentId === uuidOf(name))
      if (charge?.captured !== captured)
        throw fail(`${captured} taken by ${name}, the provider says ${charge?.captured}`)
      if (captured - takenOf(charge) !== back) throw fail(`${back} refunded of ${name}, the provider says otherwise`)
    }
  }

  return {
    record,
    watch,
    charging,
    calling,
    heard,
    finish,
    checkTime,
    takenBack: (refundId: Uuid) => void backAgain.add(refundId),
  }
}

export type MoneyBooks = ReturnType<typeof createMoneyBooks>

const statuses = new Set(['in_review', 'confirmed', 'completed', 'cancelled'])

/** After these an order may cost less, which the books know when its commit is over. */
const cheaper = new Set(['lines_cancelled', 'credited', 'short_picked'])

const newBook = (): MoneyBook => ({
  status: 'pending',
  isShipped: false,
  isCostChanged: false,
  payments: new Map(),
  total: 0,
  creditedUnits: [],
  credited: 0,
})

const newPayment = (status: string, captured: number, amount = captured): PaymentBook => ({
  status,
  amount,
  captured,
  dropped: null,
  authorizedAt: 0,
  asked: null,
  wasGivenUp: false,
  refunds: new Map(),
})

const isSetAside = ({ status, asked }: PaymentBook): boolean => status === 'authorized' && asked !== 'void'

const isPastDeadline = (payment: PaymentBook, { authorizationMs, captureLeadMs }: Terms, now: number): boolean =>
  isSetAside(payment) && now >= payment.authorizedAt + authorizationMs - captureLeadMs

const isOpen = ({ status, asked }: PaymentBook): boolean =>
  status === 'pending' || status === 'requires_action' || (status === 'authorized' && asked === 'capture')

const heldIn = ({ captured, refunds }: PaymentBook): number =>
  captured - [...refunds.values()].reduce((sum, { amount }) => sum + amount, 0)

const heldOf = ({ payments }: MoneyBook): number =>
  [...payments.values()].reduce((sum, payment) => sum + heldIn(payment), 0)

const uuidOf = (id: string): Uuid => parseWireId(id)?.uuid ?? ('' as Uuid)
