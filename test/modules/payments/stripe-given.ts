// What the tests of Stripe share: a stand-in, a provider whose clock can be put ahead, and operations to ask it for.
import { afterEach, beforeEach, expect } from 'vitest'
import { toWireId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { addMs, type Instant, instant } from '../../../src/base/time.ts'
import { createStripeProvider } from '../../../src/modules/payments/stripe.ts'
import { type Answer, type Operation, OutcomeUnknown, type Provider } from '../../../src/modules/payments/types.ts'
import { cell, newUuid, shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { type StripeStandIn, standInKey, startStripeStandIn } from '../../support/stripe-stand-in.ts'

export let standIn: StripeStandIn
export let provider: Provider
/** How far the provider's clock is ahead of the machine's. */
let aheadMs = 0
export const now = (): Instant => addMs(instant(Date.now()), aheadMs)

/** A stand-in and a provider for each test of the file. */
export function useStripe(): void {
  beforeEach(async () => {
    aheadMs = 0
    standIn = await startStripeStandIn()
    provider = newProvider()
  })
  afterEach(() => standIn.stop())
}

/** From here on that one is asked. */
export function use(other: Provider): void {
  provider = other
}

export function goAhead(ms: number): void {
  aheadMs += ms
}

/** As after a restart: it remembers nothing. */
export const newProvider = (apiBase = standIn.url, secretKey = standInKey): Provider =>
  createStripeProvider({ secretKey, webhookSecret: 'whsec_test', apiBase }, { cell, now })

export const never = new AbortController().signal
export const perform = (operation: Operation, signal = never): Promise<Answer | 'in_progress'> =>
  provider.perform(operation, signal)
export const lookUp = (operation: Operation) => provider.lookUp(operation, never)
/** Long enough after for a call that is not recorded to be none. */
export const wait = (): void => goAhead(limits.stripeUnderWayMsMax)

export function authorize(method = 'pm_card_visa', more: Partial<Operation> = {}): Operation {
  const id = newUuid()
  return {
    shopId,
    id,
    kind: 'authorize',
    provider: 'stripe',
    orderId: newUuid(),
    paymentId: id,
    amount: 1999 as MinorUnits,
    currency: 'EUR' as Currency,
    method,
    capture: 'now',
    reference: null,
    askedAt: now(),
    ...more,
  }
}

/** Something further with a payment that was authorized before. */
export const further = (first: Operation, kind: Operation['kind'], more: Partial<Operation> = {}): Operation => ({
  ...first,
  kind,
  id: newUuid(),
  reference: standIn.intents().find((one) => one.metadata.holdfast_payment === nameOf(first))?.id ?? null,
  askedAt: now(),
  ...more,
})

export const newUuidAt = (at: Instant): Uuid => uuidV7(at, crypto.getRandomValues(new Uint8Array(10)))

export const nameOf = ({ paymentId }: Operation): string => toWireId('pay', cell, paymentId)
export const posts = (what: string) => standIn.requests.filter(({ target }) => target === `POST ${what}`)
export const intentOf = (operation: Operation) =>
  standIn.intents().find((one) => one.metadata.holdfast_payment === nameOf(operation))!

/** What a timeout does, without its time: given up as soon as Stripe has the request. */
export async function giveUpOn(operation: Operation): Promise<void> {
  const giveUp = new AbortController()
  const before = standIn.requests.length
  const call = perform(operation, giveUp.signal)
  const told = expect(call).rejects.toThrow(OutcomeUnknown)
  await eventually(() => standIn.requests.length > before)
  giveUp.abort()
  await told
}

/** Done, but nobody hears it. */
export async function loseAnswerOf(operation: Operation): Promise<void> {
  standIn.fail({ on: 'POST', does: 'lose' })
  await giveUpOn(operation)
}
