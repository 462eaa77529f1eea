// Events of Stripe become settlements. An event is a hint, not a fact: they come in any order and more than once, so what is
// settled is what Stripe says now, unless the event's own state is one that cannot change any more.
import Stripe from 'stripe'
import { type CellName, parseWireId, type ShopId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Refused, refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import type { StripeConfig } from '../../runtime/config.ts'
import type { Settle, Settlement } from '../orders/types.ts'
import { settlementOfPayment } from './decide.ts'
import { openStripe, ownerOf, until } from './stripe-client.ts'
import { answerOfIntent, answerOfRefund, disputeOf, foundRefundOf, isAskedFor } from './stripe-words.ts'

export type StripeWebhooks = {
  /** The event of a body that Stripe signed; refuses what is forged, and what is too old to be new. */
  read(body: Buffer, signature: string | undefined): Stripe.Event | Refused
  /**
   * Tells `settle` what the event means for orders of this cell: nothing, one thing, or several. One intent's events are taken
   * in one after the other, so that what was read earlier is not settled later. Throws when Stripe does not answer.
   */
  takeIn<T>(event: Stripe.Event, settle: (commands: Settle[]) => Promise<T>): Promise<T>
}

export function createStripeWebhooks(
  config: StripeConfig,
  { cell, now }: { cell: CellName; now(): Instant },
): StripeWebhooks {
  const stripe = openStripe(config)
  const inTurn = createTurns()

  const isSigned = (body: Buffer, signature: string): boolean => {
    try {
      return stripe.webhooks.signature?.verifyHeader(body, signature, config.webhookSecret, 0) === true // 0: at any age
    } catch {
      return false
    }
  }

  return {
    read(body, signature = '') {
      try {
        return stripe.webhooks.constructEvent(
          body,
          signature,
          config.webhookSecret,
          limits.webhookAgeSecondsMax,
          undefined,
          now(),
        )
      } catch (error) {
        if (!isSigned(body, signature)) return refused('webhook_signature_invalid')
        return refused(
          error instanceof Stripe.errors.StripeSignatureVerificationError ? 'webhook_too_old' : 'invalid_body',
        )
      }
    },

    takeIn: (event, settle) =>
      inTurn(intentIdOf(event) ?? event.id, async () => {
        const signal = AbortSignal.timeout(limits.providerCallMsMax)
        return settle(await until(signal, settlesOf(stripe, event, cell)))
      }),
  }
}

function intentIdOf({ data: { object } }: Stripe.Event): string | undefined {
  if (object.object === 'payment_intent') return object.id
  if (object.object !== 'charge' && object.object !== 'refund' && object.object !== 'dispute') return undefined
  return idOf(object.payment_intent)
}

const idOf = (named: string | { id: string } | null | undefined): string | undefined =>
  typeof named === 'string' ? named : named?.id

async function settlesOf(stripe: Stripe, event: Stripe.Event, cell: CellName): Promise<Settle[]> {
  switch (event.type) {
    case 'payment_intent.succeeded':
    case 'payment_intent.amount_capturable_updated':
    case 'payment_intent.payment_failed':
    case 'payment_intent.canceled':
    case 'payment_intent.requires_action': {
      const told = event.data.object
      const owner = ownerOf(told.metadata, cell)
      if (!owner) return []
      const isLast = told.status === 'succeeded' || told.status === 'canceled'
      const intent = isLast ? told : await stripe.paymentIntents.retrieve(told.id)
      const answer = answerOfIntent(intent, 'authorize')
      return typeof answer === 'string' ? [] : [settleOf(owner, settlementOfPayment(owner.paymentId, answer))]
    }
    case 'refund.created':
    case 'refund.updated':
    case 'refund.failed': {
      const told = event.data.object
      const owner = isAskedFor(told) ? ownerOf(told.metadata, cell) : await ownerOfIntent(stripe, told, cell)
      return owner ? refundSettles([await stripe.refunds.retrieve(told.id)], owner, cell) : []
    }
    case 'charge.refunded': {
      const intentId = idOf(event.data.object.payment_intent)
      const owner = ownerOf(event.data.object.metadata, cell)
      if (intentId === undefined || !owner) return []
      return refundSettles((await stripe.refunds.list({ payment_intent: intentId, limit: 100 })).data, owner, cell)
    }
    case 'charge.dispute.created':
    case 'charge.dispute.updated':
    case 'charge.dispute.closed': {
      const owner = await ownerOfIntent(stripe, event.data.object, cell)
      if (!owner) return []
      const dispute = await stripe.disputes.retrieve(event.data.object.id)
      return [settleOf(owner, disputeOf(dispute, owner.paymentId))]
    }
    default:
      return []
  }
}

type Owner = { shopId: ShopId; orderId: Uuid }
type PaymentOwner = Owner & { paymentId: Uuid }
const settleOf = ({ shopId, orderId }: Owner, settlement: Settlement): Settle => ({
  kind: 'settle',
  shopId,
  orderId,
  settlement,
})

/** What was made at Stripe itself has none of our names, but its payment has. */
async function ownerOfIntent(
  stripe: Stripe,
  { payment_intent }: Pick<Stripe.Refund | Stripe.Dispute, 'payment_intent'>,
  cell: CellName,
): Promise<PaymentOwner | null> {
  const id = idOf(payment_intent)
  return id === undefined ? null : ownerOf((await stripe.paymentIntents.retrieve(id)).metadata, cell)
}

function refundSettles(refunds: readonly Stripe.Refund[], payment: PaymentOwner, cell: CellName): Settle[] {
  return refunds.flatMap((refund) => {
    if (!isAskedFor(refund)) {
      const found = foundRefundOf(refund, payment.paymentId)
      return found ? [settleOf(payment, found)] : []
    }
    const owner = ownerOf(refund.metadata, cell)
    const id = parseWireId(refund.metadata?.holdfast_refund ?? '')?.uuid
    const answer = answerOfRefund(refund)
    if (!owner || !id || answer === 'in_progress') return []
    if (answer.says === 'refunded') return [settleOf(owner, { of: 'refund', id, says: 'refunded' })]
    return answer.says === 'failed' ? [settleOf(owner, { of: 'refund', id, says: 'failed', error: answer.error })] : []
  })
}

/** Runs what has the same name one after the other, in the order it came. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>()
  return async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const before = last.get(name)
    const mine = before ? before.then(work, work) : work()
    last.set(name, mine)
    try {
      return await mine
    } finally {
      if (last.get(name) === mine) last.delete(name)
    }
  }
}
