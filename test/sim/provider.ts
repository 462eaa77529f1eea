// A payment provider with its own record, apart from our databases: it remembers keys for a day, declines, asks the buyer, takes
// its time, says failed of what it did, and sends webhooks before or after its answers. Its record is the witness of P4.
import type { ShopId, Uuid } from '../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../src/base/money.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { Heard } from '../../src/modules/payments/decide.ts'
import type { Answer, Charge, Operation } from '../../src/modules/payments/types.ts'
import type { ProviderOdds } from './plan.ts'
import type { Scheduler } from './scheduler.ts'

export type ModelCharge = {
  shopId: ShopId
  orderId: Uuid
  paymentId: Uuid
  amount: number
  capture: 'now' | 'later'
  status: 'requires_action' | 'authorized' | 'captured' | 'failed' | 'voided'
  captured: number
  /** By the key it was asked under. */
  refunds: Map<Uuid, number>
}
/** What has become of a refund that was made, weeks ago. */
export type TakenBack = { shopId: ShopId; orderId: Uuid; refundId: Uuid }

export type ProviderEvents = {
  /** Money is about to be set aside or taken. */
  charging(charge: ModelCharge, others: readonly ModelCharge[]): void
  webhook(charge: Charge & { shopId: ShopId }): void
}

export function createProvider(scheduler: Scheduler, random: Prng, odds: ProviderOdds, events: ProviderEvents) {
  const charges: ModelCharge[] = []
  /** What was answered under a key; forgotten after a day. */
  const answers = new Map<Uuid, Answer>()
  const answeredAt = new Map<Uuid, number>()
  const underWay = new Set<Uuid>()
  const refundsMade: { charge: ModelCharge; key: Uuid; refundId: Uuid; at: number }[] = []

  const chargeOf = (paymentId: Uuid) => charges.findLast((charge) => charge.paymentId === paymentId)

  /** Does what it is asked, at once or after a while, and answers when it has. */
  function perform(operation: Operation, answer: (heard: Heard) => void): void {
    const known = answerBefore(operation)
    if (known) {
      answer(known)
      return
    }
    underWay.add(operation.id)
    scheduler.after(random.chance(odds.slow) ? random.next() * 3_000 : 0, () => {
      underWay.delete(operation.id)
      const done = operation.kind === 'authorize' ? authorize(operation) : change(operation)
      answers.set(operation.id, done)
      answeredAt.set(operation.id, scheduler.now())
      const charge = chargeOf(operation.paymentId)
      if (charge) tell(charge)
      const isMoney = done.says === 'authorized' || done.says === 'captured'
      const isHidden = isMoney && random.chance(odds.lies)
      answer(isHidden ? { says: 'failed', error: 'processing_error' } : done)
    })
  }

  /** Without doing anything: what was done under the key, or that it will not be done now. */
  function answerBefore(operation: Operation): Heard | undefined {
    const earlier = answers.get(operation.id)
    if (earlier) return operation.kind === 'authorize' ? standing(operation, earlier) : earlier
    if (underWay.has(operation.id)) return 'unknown'
    return random.chance(odds.tryAgain) ? 'try_again' : undefined
  }

  function lookUp(operation: Operation): Heard {
    if (underWay.has(operation.id)) return 'in_progress'
    if (operation.kind === 'authorize') return standing(operation, answers.get(operation.id) ?? 'never_heard')
    const refunded = chargeOf(operation.paymentId)?.refunds.get(operation.id)
    return refunded === undefined ? (answers.get(operation.id) ?? 'never_heard') : said('refunded', refunded)
  }

  /** The charge as it stands now, whatever was said of it before. */
  function standing({ paymentId }: Operation, otherwise: Heard): Heard {
    const charge = chargeOf(paymentId)
    return charge ? answerOf(charge) : otherwise
  }

  function authorize({ shopId, orderId, paymentId, amount, capture }: Operation): Answer {
    const refunds = new Map<Uuid, number>()
    const charge: ModelCharge = { shopId, orderId, paymentId, amount, capture, status: 'failed', captured: 0, refunds }
    charges.push(charge)
    if (random.chance(odds.declines)) return answerOf(charge)
    charge.status = 'requires_action'
    if (random.chance(odds.acts)) scheduler.after(random.next() * 4_000, () => act(charge))
    else settle(charge)
    return answerOf(charge)
  }

  function settle(charge: ModelCharge): void {
    events.charging(
      charge,
      charges.filter((one) => one !== charge && one.orderId === charge.orderId),
    )
    const isTaken = charge.capture === 'now' && random.chance(0.8) // else it is taken when it is asked for again
    charge.status = isTaken ? 'captured' : 'authorized'
    if (isTaken) charge.captured = charge.amount
  }

  /** The buyer does what was asked, or walks away. */
  function act(charge: ModelCharge): void {
    if (charge.status !== 'requires_action' || random.chance(0.3)) return
    if (random.chance(odds.declines)) charge.status = 'failed'
    else settle(charge)
    tell(charge)
  }

  function change({ kind, id, paymentId, amount, refundId }: Operation): Answer {
    const charge = chargeOf(paymentId)
    if (!charge) return { says: 'failed', error: 'charge_not_found' }
    if (kind === 'refund') {
      const back = [...charge.refunds.values()].reduce((sum, one) => sum + one, 0)
      if (charge.captured - back < amount || random.chance(odds.declines))
        return { says: 'failed', error: 'refund_failed' }
      charge.refunds.set(id, amount)
      refundsMade.push({ charge, key: id, refundId: refundId ?? id, at: scheduler.now() })
      return said('refunded', amount)
    }
    if (charge.status === 'captured') return said('captured', charge.captured)
    if (kind === 'void') {
      if (charge.status !== 'failed') charge.status = 'voided'
      return said('voided', 0)
    }
    if (charge.status !== 'authorized') return { says: 'failed', error: `charge_${charge.status}` }
    charge.status = random.chance(odds.declines) ? 'failed' : 'captured'
    if (charge.status === 'captured') charge.captured = amount
    return answerOf(charge)
  }

  /** A webhook, now or after a while; its content is of now. */
  function tell(charge: ModelCharge): void {
    if (charge.status === 'requires_action' || random.chance(odds.silent)) return
    const content = recordOf(charge)
    scheduler.after(random.chance(0.5) ? 0 : random.next() * 2_000, () =>
      events.webhook({ ...content, shopId: charge.shopId }),
    )
  }

  /** What is set aside runs out. */
  function lapse(odds: number): void {
    for (const charge of charges) {
      if (charge.status !== 'authorized' || !random.chance(odds)) continue
      charge.status = 'voided'
      tell(charge)
    }
  }

  /** Refunds that were made a while ago, so that nobody hears old news of them, come back: to the buyer's bank they are unknown. */
  function takeBack(odds: number): TakenBack[] {
    return refundsMade.flatMap(({ charge, key, refundId, at }) => {
      if (at > scheduler.now() - oldNewsMsMax || !charge.refunds.has(key) || !random.chance(odds)) return []
      charge.refunds.delete(key)
      answers.set(key, { says: 'failed', error: 'closed_account' })
      return [{ shopId: charge.shopId, orderId: charge.orderId, refundId }]
    })
  }

  return {
    charges,
    perform,
    lapse,
    takeBack,
    lookUp,
    isBusy: () => underWay.size > 0,
    /** Buyers who have not acted by now will not. */
    stopWaiting() {
      for (const charge of charges) if (charge.status === 'requires_action') charge.status = 'failed'
    },
    /** A day is over, but for messages that were on their way. */
    forgetKeys() {
      for (const [id, at] of answeredAt) if (at < scheduler.now() - flightMsMax) answers.delete(id)
    },
    /** What it lists; a charge that waits for the buyer is none yet. */
    list: () =>
      charges
        .filter(({ status }) => status !== 'requires_action')
        .map((one) => ({ ...recordOf(one), shopId: one.shopId })),
  }
}

/** The second copy of a message comes within this time of the first. */
const flightMsMax = 1_000
/** By then whoever was told that a refund was made has told its order. */
const oldNewsMsMax = 10_000

export type Provider = ReturnType<typeof createProvider>

export const takenOf = ({ captured, refunds }: ModelCharge): number =>
  captured - [...refunds.values()].reduce((sum, one) => sum + one, 0)

const said = (says: 'authorized' | 'captured' | 'voided' | 'refunded', amount: number): Answer => ({
  says,
  reference: 'ch',
  amount: amount as MinorUnits,
})

function answerOf({ status, amount, captured }: ModelCharge): Answer {
  switch (status) {
    case 'failed':
      return { says: 'failed', error: 'card_declined' }
    case 'requires_action':
      return { says: 'requires_action', reference: 'ch', nextAction: {} }
    case 'captured':
      return said('captured', captured)
    default:
      return said(status, amount)
  }
}

const recordOf = (charge: ModelCharge): Charge => ({
  id: `ch_${charge.paymentId}`,
  orderId: charge.orderId,
  paymentId: charge.paymentId,
  amount: charge.amount as MinorUnits,
  currency: 'EUR' as Currency,
  captured: charge.captured as MinorUnits,
  refunded: (charge.captured - takenOf(charge)) as MinorUnits,
  status: charge.status === 'requires_action' ? 'authorized' : charge.status,
})
