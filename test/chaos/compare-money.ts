// The three records of money: what the client was promised, what our orders and the ledger say, and what the providers took.
// Every payment is the same in ours and in its provider's, once; and what a provider keeps for an order is what it costs as it
// stands, counted anew from the journal's prices, cancellations, returns and refunds.
import type { Audit, Refund } from '../../sdk/src/client.ts'
import { openAccount } from '../support/stripe-account.ts'
import { type Accepted, only, tally } from './accepted.ts'
import { partId, type Snapshot, type StoredOrder } from './snapshot.ts'
import { isDecline } from './workload.ts'

/** What a provider holds under the name of one payment. `refunds`: by the name of the refund, where it keeps one for each. */
type Charge = {
  provider: string
  paymentId: string
  status: string
  amount: number
  captured: number
  refunded: number
  refunds: string[] | null
}

type Given = { accepted: readonly Accepted[]; snapshot: Snapshot; stripeFile: string; audit: Audit }

export function compareMoney({ accepted, snapshot, stripeFile, audit }: Given): string[] {
  const charges = [...testCharges(snapshot), ...stripeCharges(stripeFile)]
  return [...compareCharges(accepted, snapshot, charges), ...books(accepted, snapshot.orders, charges, audit)]
}

/** All but the books, which each cell has of its own. */
export const compareCharges = (
  accepted: readonly Accepted[],
  snapshot: Snapshot,
  charges: readonly Charge[] = testCharges(snapshot),
): string[] => [
  ...snapshot.operations.map((one) => `still under way: ${JSON.stringify(one)}`),
  ...sameRecord(snapshot.orders, charges),
  ...attempts(accepted, snapshot.orders),
  ...keptIsCost(accepted, snapshot.orders, charges),
]

const testCharges = ({ charges }: Snapshot): Charge[] =>
  charges.map((charge) => ({ ...charge, provider: 'test', status: statusOf(charge.status), refunds: null }))

function stripeCharges(file: string): Charge[] {
  const account = openAccount(file)
  const refunds = account.refunds()
  return account.intents().map((intent) => ({
    provider: 'stripe',
    paymentId: intent.metadata.holdfast_payment,
    status: statusOf(intent.status),
    amount: intent.amount,
    captured: intent.amount_received,
    refunded: intent.latest_charge?.amount_refunded ?? 0,
    refunds: refunds
      .filter(({ payment_intent }) => payment_intent === intent.id)
      .map(({ metadata, amount }) => `${metadata.holdfast_refund} ${amount}`),
  }))
}

const words: Record<string, string> = {
  refunded: 'captured',
  succeeded: 'captured',
  requires_capture: 'authorized',
  canceled: 'voided',
  requires_payment_method: 'failed',
}
const statusOf = (word: string): string => words[word] ?? word

/** Each payment of ours is one charge of its provider, in the same state and with the same sums, and there is no other charge. */
function sameRecord(orders: readonly StoredOrder[], charges: readonly Charge[]): string[] {
  const faults: string[] = []
  const left = new Map<string, Charge>()
  for (const charge of charges) {
    if (left.has(charge.paymentId)) faults.push(`${charge.paymentId} was charged twice at ${charge.provider}`)
    left.set(charge.paymentId, charge)
  }
  for (const { id, life } of orders) {
    for (const payment of life?.payments ?? []) {
      const paymentId = partId('pay', payment.id, { id })
      const charge = left.get(paymentId)
      left.delete(paymentId)
      if (payment.provider === 'none' || payment.amount === 0) continue // nobody was asked
      if (!charge && wasNeverDone(payment)) continue
      const refunds = life!.refunds.filter((one) => one.paymentId === payment.id)
      const refunded = refunds.reduce((sum, { status, amount }) => (status === 'refunded' ? sum + amount : sum), 0)
      const ours = `${payment.provider} ${payment.status} ${payment.amount} ${payment.captured} ${refunded}`
      const theirs =
        charge && `${charge.provider} ${charge.status} ${charge.amount} ${charge.captured} ${charge.refunded}`
      if (ours !== theirs) faults.push(`${paymentId} of ${id} is ${ours} here and ${theirs} there`)
      const named = refunds.map((one) => `${partId('rfd', one.id, { id })} ${one.amount}`)
      if (charge?.refunds && charge.refunds.toSorted().join() !== named.toSorted().join())
        faults.push(`${paymentId} of ${id} was refunded ${named} here and ${charge.refunds} there`)
      const failed = payment.status === 'failed'
      if (failed !== isDecline(payment.method)) faults.push(`${paymentId} with ${payment.method} is ${payment.status}`)
      if (payment.asked !== null) faults.push(`${paymentId} of ${id} still waits for its ${payment.asked}`)
    }
    for (const refund of life?.refunds ?? []) {
      if (refund.status !== 'refunded')
        faults.push(`refund ${partId('rfd', refund.id, { id })} of ${id} is ${refund.status}`)
    }
  }
  return [...faults, ...[...left.values()].map((charge) => `nobody asked for ${JSON.stringify(charge)}`)]
}

/** The provider had put it off, and by then the order was cancelled. */
const wasNeverDone = ({ status, error }: { status: string; error: string | null }): boolean =>
  status === 'failed' && error === 'order_cancelled'

/** As many attempts to pay as were acknowledged. */
function attempts(accepted: readonly Accepted[], orders: readonly StoredOrder[]): string[] {
  const placed = only(accepted, 'order').filter(({ intent }) => isAsked(intent.body.payment?.provider))
  const withOrder = new Set(placed.map(({ intent }) => intent.key))
  const later = tally(only(accepted, 'pay').map(({ intent }) => intent.orderId))
  return orders.flatMap(({ id, key, life }) => {
    const made = life?.payments.filter(({ provider }) => isAsked(provider)).length ?? 0
    const wanted = (withOrder.has(String(key)) ? 1 : 0) + (later[id] ?? 0)
    return made === wanted ? [] : [`${id} has ${made} attempts to pay and ${wanted} were acknowledged`]
  })
}

const isAsked = (provider: string | undefined): boolean => provider !== undefined && provider !== 'none'

/** What is kept for an order, wherever it was paid, is what it costs as it stands; nothing is for one that does not stand. */
function keptIsCost(accepted: readonly Accepted[], orders: readonly StoredOrder[], charges: readonly Charge[]) {
  const chargeOf = new Map(charges.map((charge) => [charge.paymentId, charge]))
  const goodwill = goodwillOf(accepted)
  return orders.flatMap((order) => {
    const { id, status, life, provider } = order
    if (life === null && provider === 'none') return [] // paid elsewhere; nothing but its status tells
    const cost = costOf(order, goodwill.get(id) ?? 0)
    const ofOrder = (life?.payments ?? []).map((payment) => chargeOf.get(partId('pay', payment.id, order)))
    const here = ofOrder.reduce((sum, charge) => sum + (charge ? charge.captured - charge.refunded : 0), 0)
    const kept = here + keptElsewhere(order)
    const setAside = ofOrder.reduce((sum, charge) => sum + (charge?.status === 'authorized' ? charge.amount : 0), 0)
    const stands = status === 'confirmed' || status === 'completed'
    const isDue = life?.captureRule === 'now' || (life?.shipments.length ?? 0) > 0
    if (stands && !isDue && kept === 0)
      return setAside >= cost ? [] : [`${id} costs ${cost} and only ${setAside} is set aside for it`]
    return [
      ...(kept === cost ? [] : [`${id} is ${status} and costs ${cost}, and ${kept} is kept for it`]),
      ...(setAside === 0 ? [] : [`${id} is ${status} and paid, and ${setAside} is still set aside for it`]),
    ]
  })
}

const keptElsewhere = ({ life }: StoredOrder): number =>
  (life?.payments ?? []).reduce((sum, { id, provider, captured }) => {
    if (isAsked(provider)) return sum
    const back = life!.refunds.filter(({ paymentId }) => paymentId === id)
    return sum + captured - back.reduce((total, { amount }) => total + amount, 0)
  }, 0)

/** What was given back for nothing in particular, by order, as acknowledged. */
function goodwillOf(accepted: readonly Accepted[]): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { intent, contents } of only(accepted, 'refund')) {
    sums.set(intent.orderId, (sums.get(intent.orderId) ?? 0) + (contents[0] as Refund).amount.amount)
  }
  return sums
}

function costOf({ status, total, lines }: StoredOrder, goodwill: number): number {
  if (status !== 'confirmed' && status !== 'completed') return 0
  const gone = lines.reduce((sum, { price, cancelled, returned }) => sum + price * (cancelled + returned), 0)
  return Math.max(0, total - gone - goodwill)
}

/** The ledger has read all there is, its sales are what standing orders cost, and it has of each provider what that one has. */
function books(
  accepted: readonly Accepted[],
  orders: readonly StoredOrder[],
  charges: readonly Charge[],
  { money, consistent, differences }: Audit,
): string[] {
  const goodwill = goodwillOf(accepted)
  const sales = orders.reduce((sum, order) => sum + costOf(order, goodwill.get(order.id) ?? 0), 0)
  const [eur] = money.sums
  const kept = (name: string) =>
    charges.reduce((sum, { provider, captured, refunded }) => (provider === name ? sum + captured - refunded : sum), 0)
  const found = [
    ['places of the log that the ledger has not read', money.behind, 0],
    ['dead events of the ledger', money.dead, 0],
    ['currencies', money.sums.length, 1],
    ['sales', eur?.sales, sales],
    ['test provider by our books', eur?.providers.test?.ours, kept('test')],
    ['test provider by the audit', eur?.providers.test?.theirs, kept('test')],
    ['Stripe by our books', eur?.providers.stripe?.ours, kept('stripe')],
  ] as const
  return [
    ...(consistent ? [] : [`the audit found ${JSON.stringify({ differences, money: money.differences })}`]),
    ...found.flatMap(([what, is, shouldBe]) => (is === shouldBe ? [] : [`${what}: ${is} and should be ${shouldBe}`])),
  ]
}
