// Our orders against the provider's own record, both ways. What the provider says counts: the order is told, and what follows is
// the order's own rule. What cannot be put right by telling is named, for somebody to look at.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Order, Settlement } from '../orders/types.ts'
import { authorizationOf, settlementOfCharge } from './decide.ts'
import type { Providers, SubmitSettle } from './executor.ts'
import { insertOperations, paymentsUnderWay } from './store.ts'
import type { Charge, ChargesQuery, OrderPayment, Provider } from './types.ts'

/**
 * - `order_unknown`, `payment_unknown`: the provider holds money for what we do not have.
 * - `charge_missing`: we believe to have money that the provider does not know of.
 * - `state_differs`, `amount_differs`, `refund_differs`: both know it, and telling does not make them agree.
 */
export type DifferenceKind =
  | 'order_unknown'
  | 'payment_unknown'
  | 'charge_missing'
  | 'state_differs'
  | 'amount_differs'
  | 'refund_differs'

export type Difference = {
  kind: DifferenceKind
  provider: string
  orderId: Uuid
  paymentId: Uuid
  ours: string | null
  theirs: string | null
}

export type Verdict =
  | { is: 'equal' }
  /** The order is to be told. */
  | { is: 'told'; settlements: Settlement[] }
  /** Nobody is at it: it is to be asked after. */
  | { is: 'asked' }
  | { is: 'different'; kind: DifferenceKind }

/** What to make of a payment and of what the provider holds for it. Pure. */
export function verdictOf(order: Order, payment: OrderPayment, charge: Charge | undefined): Verdict {
  const isOpen = payment.status === 'pending' || payment.status === 'requires_action'
  if (!charge) {
    if (isOpen) return { is: 'asked' }
    if (payment.status === 'captured' && payment.captured === 0) return { is: 'equal' } // of nothing, nobody was asked
    return payment.status === 'captured' || payment.status === 'authorized'
      ? different('charge_missing')
      : { is: 'equal' }
  }
  const isTaken = charge.status === 'captured' || charge.status === 'refunded'
  if (isTaken && payment.status === 'captured') {
    return charge.captured === payment.captured ? refundsOf(order, payment, charge) : different('amount_differs')
  }
  if (charge.status === payment.status) return { is: 'equal' }
  if (charge.status === 'failed') {
    // News from before a declined capture may have come after it [seen by the simulator: an order believed its money set aside].
    if (payment.status === 'authorized')
      return { is: 'told', settlements: [{ of: 'payment', id: payment.id, says: 'failed', error: 'charge_failed' }] }
    if (!isOpen) return payment.status === 'voided' ? { is: 'equal' } : different('state_differs')
    return { is: 'asked' } // its answer says why it failed
  }
  if (payment.status === 'captured') return different('state_differs')
  // The order hears of a charge it had given up; not of one that was voided twice over.
  if (charge.status === 'authorized' && payment.status === 'voided') return different('state_differs')
  if (charge.status === 'voided' && payment.status === 'failed') return { is: 'equal' }
  const settlement = settlementOfCharge(charge)
  return settlement ? { is: 'told', settlements: [settlement] } : { is: 'equal' }
}

function refundsOf(order: Order, payment: OrderPayment, charge: Charge): Verdict {
  // A dispute takes money, but is no refund to its provider.
  const refunds = order.life?.refunds.filter((one) => one.paymentId === payment.id && !one.isDispute) ?? []
  const missing = charge.refunded - sumOf(refunds.filter(({ status }) => status === 'refunded'))
  if (missing === 0) return { is: 'equal' }
  const found = (charge.foundRefunds ?? []).filter(
    ({ reference }) => !refunds.some((one) => one.reference === reference && one.status === 'refunded'),
  )
  const pending = refunds.filter(({ status }) => status === 'pending')
  const foundSettlements = found.map(
    (one): Settlement => ({ of: 'found_refund', paymentId: payment.id, says: 'refunded', ...one }),
  )
  if (missing === sumOf(found)) return { is: 'told', settlements: foundSettlements }
  if (missing !== sumOf(pending) + sumOf(found)) return different('refund_differs')
  const settlements = pending.map(({ id }): Settlement => ({ of: 'refund', id, says: 'refunded' }))
  return { is: 'told', settlements: [...settlements, ...foundSettlements] }
}

const sumOf = (some: readonly { amount: number }[]): number => some.reduce((sum, { amount }) => sum + amount, 0)

const different = (kind: DifferenceKind): Verdict => ({ is: 'different', kind })

export type ReconcileParts = {
  database: Database
  providers: Providers
  submit: SubmitSettle
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  /** Orders of the shop made within the span, newest first, from below `before` on. */
  readOrders: (shopId: ShopId, span: Span, page: { before: Uuid | null; limit: number }) => Promise<Order[]>
  /** Ends it early: the report tells what was compared until then. */
  stopping?: AbortSignal
}

/** Both exclusive; null means without an end. */
export type Span = { after: Instant | null; before: Instant | null }

export type ReconcileReport = {
  orders: number
  payments: number
  charges: number
  /** Payments whose order was told what the provider says. */
  told: number
  /** Payments that are asked after from now on. */
  asked: number
  differenceCount: number
  /** The first of them. */
  differences: Difference[]
}

export const emptyReport = (): ReconcileReport => ({
  orders: 0,
  payments: 0,
  charges: 0,
  told: 0,
  asked: 0,
  differenceCount: 0,
  differences: [],
})

/** Ours against theirs: every payment of the shop's orders of a span, newest first, at most `ordersMax` orders. */
export async function reconcileOrders(
  parts: ReconcileParts,
  shopId: ShopId,
  { span, ordersMax }: { span: Span; ordersMax: number },
  report: ReconcileReport,
): Promise<void> {
  let before: Uuid | null = null
  for (let left = ordersMax; left > 0 && !parts.stopping?.aborted; ) {
    const orders: Order[] = await parts.readOrders(shopId, span, {
      before,
      limit: Math.min(left, limits.reconcilePageMax),
    })
    if (orders.length === 0) return
    report.orders += orders.length
    left -= orders.length
    before = orders.at(-1)!.id
    const paid = orders.filter((order) => order.life?.payments.some(({ provider }) => parts.providers.has(provider)))
    const underWay = await paymentsUnderWay(parts.database, paid)
    for (let at = 0; at < paid.length && !parts.stopping?.aborted; at += limits.reconcileAtOnceMax) {
      await Promise.all(
        paid.slice(at, at + limits.reconcileAtOnceMax).map((order) => reconcileOrder(parts, order, underWay, report)),
      )
    }
  }
}

async function reconcileOrder(
  parts: ReconcileParts,
  order: Order,
  underWay: ReadonlySet<Uuid>,
  report: ReconcileReport,
): Promise<void> {
  const payments = order.life?.payments ?? []
  for (const name of new Set(payments.map(({ provider }) => provider))) {
    const provider = parts.providers.get(name)
    if (!provider) continue
    const query = { shopId: order.shopId, orderId: order.id, after: null, limit: limits.reconcilePageMax }
    const charges = await chargesOf(parts, provider, query)
    if (charges === 'stopped') return
    for (const payment of payments) {
      if (payment.provider !== name) continue
      report.payments++
      if (underWay.has(payment.id)) continue
      const charge = charges.find(({ paymentId }) => paymentId === payment.id)
      await act(parts, order, payment, charge, report)
    }
  }
}

/** A list that was cut short tells nothing of what is missing from it. */
async function chargesOf(
  { stopping }: ReconcileParts,
  provider: Provider,
  query: ChargesQuery,
): Promise<Charge[] | 'stopped'> {
  try {
    return await provider.charges({ ...query, signal: stopping })
  } catch (error) {
    if (stopping?.aborted) return 'stopped'
    throw error
  }
}

/** Theirs against ours: every charge that the providers hold for the shop. */
export async function reconcileCharges(
  parts: ReconcileParts,
  shopId: ShopId,
  madeBefore: Instant,
  report: ReconcileReport,
): Promise<void> {
  for (const provider of parts.providers.values()) {
    let after: string | null = null
    for (;;) {
      const query = { shopId, orderId: null, after, limit: limits.reconcilePageMax }
      const charges = await chargesOf(parts, provider, query)
      if (charges === 'stopped') return
      await reconcilePage(parts, { shopId, provider: provider.name, madeBefore }, charges, report)
      if (charges.length < limits.reconcilePageMax) break
      after = charges.at(-1)!.id
    }
  }
}

async function reconcilePage(
  parts: ReconcileParts,
  { shopId, provider, madeBefore }: { shopId: ShopId; provider: string; madeBefore: Instant },
  charges: readonly Charge[],
  report: ReconcileReport,
): Promise<void> {
  report.charges += charges.length
  const orders = await Promise.all(charges.map(({ orderId }) => parts.readOrder(shopId, orderId)))
  const underWay = await paymentsUnderWay(
    parts.database,
    charges.map(({ orderId }) => ({ shopId, id: orderId })),
  )
  for (const [index, charge] of charges.entries()) {
    const order = orders[index]
    const payment = order?.life?.payments.find(({ id }) => id === charge.paymentId)
    if (!order || !payment) {
      if (charge.status === 'failed' || charge.status === 'voided') continue
      const { orderId, paymentId } = charge
      const kind = order ? 'payment_unknown' : 'order_unknown'
      name(report, { kind, provider, orderId, paymentId, ours: null, theirs: wordOf(charge) })
    } else if (!underWay.has(payment.id) && payment.openedAt < madeBefore) {
      await act(parts, order, payment, charge, report)
    }
  }
}

async function act(
  { database, submit }: ReconcileParts,
  order: Order,
  payment: OrderPayment,
  charge: Charge | undefined,
  report: ReconcileReport,
): Promise<void> {
  const verdict = verdictOf(order, payment, charge)
  const { shopId, id: orderId } = order
  switch (verdict.is) {
    case 'told':
      for (const settlement of verdict.settlements) await submit({ kind: 'settle', shopId, orderId, settlement })
      report.told++
      return
    case 'asked': {
      const operation = {
        ...authorizationOf(order, payment),
        state: 'unknown' as const,
        tries: 0,
        nextAt: payment.openedAt,
      }
      const inserted = await database.transaction((session) => insertOperations(session, [operation], payment.openedAt))
      report.asked += inserted.size
      return
    }
    case 'different': {
      const ours = `${payment.status} ${payment.captured}`
      const theirs = charge ? wordOf(charge) : null
      const difference = {
        kind: verdict.kind,
        provider: payment.provider,
        orderId,
        paymentId: payment.id,
        ours,
        theirs,
      }
      name(report, difference)
      return
    }
  }
}

const wordOf = (charge: Charge): string => `${charge.status} ${charge.captured - charge.refunded}`

/** Both ways may find the same one. */
function name(report: ReconcileReport, difference: Difference): void {
  if (report.differences.some(({ paymentId, kind }) => paymentId === difference.paymentId && kind === difference.kind))
    return
  report.differenceCount++
  if (report.differences.length < limits.auditDifferencesMax) report.differences.push(difference)
}
