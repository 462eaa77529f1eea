// What Stripe holds of ours, for reconciliation. Young orders are found in the list, which is never behind: all that are asked for
// at the same time share one reading of it. Older ones are found by search, which would be behind for younger ones, and then read.
import type Stripe from 'stripe'
import { type CellName, type ShopId, timeOfUuid, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Currency } from '../../base/money.ts'
import { addMs, type Instant, instant } from '../../base/time.ts'
import { gather } from '../../runtime/gather.ts'
import { ownerOf, paged, secondsOf, until } from './stripe-client.ts'
import { chargeStatusOf, foundRefundOf, fromStripeAmount, isAskedFor } from './stripe-words.ts'
import type { Charge, Provider } from './types.ts'

const shown = { expand: ['data.latest_charge.refunds'] }
const shownOne = { expand: ['latest_charge.refunds'] }

type Asked = { orderId: Uuid; signal: AbortSignal | undefined }
const never = new AbortController().signal

export function stripeCharges(stripe: Stripe, { cell, now }: { cell: CellName; now(): Instant }): Provider['charges'] {
  /**
   * From the oldest of these orders on; begun after they were asked for, so that it shows what was done before. Who asks at the
   * same time is stopped at the same time.
   */
  const intentsOf = gather<Asked, Stripe.PaymentIntent[]>(limits.stripeChargesGatheredMax, async (asked) => {
    const orderIds = asked.map(({ orderId }) => orderId)
    const [{ signal }] = asked as [Asked]
    const oldest = instant(Math.min(...orderIds.map(timeOfUuid)))
    const created = { gte: secondsOf(addMs(oldest, -limits.clockSkewMsMax)) }
    const byOrder = new Map<string, Stripe.PaymentIntent[]>()
    for await (const intent of paged((page) => stripe.paymentIntents.list({ created, ...shown, ...page }), {
      signal,
    })) {
      const order = intent.metadata.holdfast_order
      if (order !== undefined) byOrder.set(order, [...(byOrder.get(order) ?? []), intent])
    }
    return orderIds.map((id) => byOrder.get(toWireId('ord', cell, id)) ?? [])
  })

  /** One at a time: Stripe answers 20 searches a second. */
  const searched = gather<Asked, Stripe.PaymentIntent[]>(1, async ([asked]) => {
    const { orderId, signal = never } = asked!
    const query = `metadata['holdfast_order']:'${toWireId('ord', cell, orderId)}'`
    const { data } = await until(signal, stripe.paymentIntents.search({ query, limit: 100 }))
    const read: Stripe.PaymentIntent[] = []
    for (const { id } of data) read.push(await until(signal, stripe.paymentIntents.retrieve(id, shownOne)))
    return [read]
  })

  return async ({ shopId, orderId, after, limit, signal }) => {
    const charges: Charge[] = []
    const isOld = orderId !== null && now() - timeOfUuid(orderId) > limits.stripeListedMs
    const intents =
      orderId === null
        ? paged((page) => stripe.paymentIntents.list({ ...shown, ...page }), { after, signal })
        : await (isOld ? searched : intentsOf)({ orderId, signal })
    for await (const intent of intents) {
      if (charges.length === limit) break
      const charge = chargeOf(intent, shopId, cell)
      if (charge && (orderId === null || charge.orderId === orderId)) charges.push(charge)
    }
    return charges
  }
}

/** Null for what is not of this shop and cell, or never held money. */
function chargeOf(intent: Stripe.PaymentIntent, shopId: ShopId, cell: CellName): Charge | null {
  const ours = ownerOf(intent.metadata, cell)
  const latest = intent.latest_charge
  const refunds = latest && typeof latest === 'object' ? (latest.refunds?.data ?? []) : []
  const refunded = fromStripeAmount(latest && typeof latest === 'object' ? latest.amount_refunded : 0, intent.currency)
  const status = chargeStatusOf(intent, intent.status === 'succeeded' ? refunded : fromStripeAmount(0, intent.currency))
  if (!ours || ours.shopId !== shopId || status === null) return null
  return {
    id: intent.id,
    orderId: ours.orderId,
    paymentId: ours.paymentId,
    amount: fromStripeAmount(intent.amount, intent.currency),
    currency: intent.currency.toUpperCase() as Currency,
    captured: fromStripeAmount(intent.amount_received, intent.currency),
    refunded,
    status,
    foundRefunds: refunds.flatMap((refund) => {
      const found = isAskedFor(refund) ? null : foundRefundOf(refund, ours.paymentId)
      return found?.says === 'refunded' ? [{ id: found.id, reference: found.reference, amount: found.amount }] : []
    }),
  }
}
