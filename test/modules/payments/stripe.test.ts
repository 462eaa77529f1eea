// The provider `stripe` against a stand-in that answers as Stripe documents, and goes wrong when it is told to.
import { describe, expect, test } from 'vitest'
import { toWireId } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { addMs } from '../../../src/base/time.ts'
import { OutcomeUnknown, TryAgain } from '../../../src/modules/payments/types.ts'
import { cell, shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  authorize,
  further,
  giveUpOn,
  goAhead,
  intentOf,
  lookUp,
  loseAnswerOf,
  nameOf,
  never,
  newProvider,
  newUuidAt,
  now,
  perform,
  posts,
  provider,
  standIn,
  use,
  useStripe,
  wait,
} from './stripe-given.ts'

useStripe()

describe('a payment', () => {
  test('is taken at once, under the key and the names that it is found by', async () => {
    const operation = authorize()
    expect(await perform(operation)).toEqual({ says: 'captured', reference: intentOf(operation).id, amount: 1999 })
    expect(intentOf(operation)).toMatchObject({
      amount: 1999,
      currency: 'eur',
      capture_method: 'automatic',
      status: 'succeeded',
      metadata: {
        holdfast_shop: '1',
        holdfast_order: toWireId('ord', cell, operation.orderId),
        holdfast_payment: nameOf(operation),
      },
    })
    expect(posts('/v1/payment_intents')).toMatchObject([{ key: operation.id, form: { confirm: 'true' } }])
  })

  test('is set aside until its capture, which may be of a part', async () => {
    const operation = authorize('pm_card_visa', { capture: 'later' })
    expect(await perform(operation)).toMatchObject({ says: 'authorized', amount: 1999 })
    expect(intentOf(operation)).toMatchObject({ status: 'requires_capture', capture_method: 'manual' })
    const capture = further(operation, 'capture', { amount: 1500 as MinorUnits })
    expect(await lookUp({ ...capture, askedAt: addMs(now(), -limits.stripeUnderWayMsMax) })).toBe('never_heard')
    expect(await perform(capture)).toMatchObject({ says: 'captured', amount: 1500 })
    expect(await lookUp(capture)).toMatchObject({ says: 'captured', amount: 1500 })
    expect(intentOf(operation)).toMatchObject({ amount: 1999, amount_received: 1500 })
  })

  test('may be given with a confirmation token', async () => {
    expect(await perform(authorize('ctoken_card_visa'))).toMatchObject({ says: 'captured' })
  })

  test('is voided, and a capture after that says so', async () => {
    const operation = authorize('pm_card_visa', { capture: 'later' })
    await perform(operation)
    const voiding = further(operation, 'void')
    const capture = further(operation, 'capture')
    expect(await perform(voiding)).toMatchObject({ says: 'voided' })
    expect(await lookUp(voiding)).toMatchObject({ says: 'voided' })
    expect(await perform(capture)).toMatchObject({ says: 'voided' })
    expect(await lookUp(capture)).toMatchObject({ says: 'voided' })
  })

  test('that was captured is not voided, and says so', async () => {
    const operation = authorize()
    await perform(operation)
    expect(await perform(further(operation, 'void'))).toMatchObject({ says: 'captured', amount: 1999 })
  })

  test('that needs the buyer hands over what his page needs, and goes on when he has done it', async () => {
    const operation = authorize('pm_card_authenticationRequired')
    const { id, client_secret } = await perform(operation).then(
      () => intentOf(operation) as { id: string; client_secret: string },
    )
    const asked = { says: 'requires_action', reference: id, nextAction: { type: 'use_stripe_sdk', client_secret } }
    expect(await perform(operation)).toEqual(asked)
    expect(await lookUp(operation)).toEqual(asked)
    standIn.authenticate(id, true)
    expect(await lookUp({ ...operation, reference: id })).toMatchObject({ says: 'captured', amount: 1999 })
  })

  test('whose buyer fails to authenticate has failed', async () => {
    const operation = authorize('pm_card_authenticationRequired')
    await perform(operation)
    standIn.authenticate(intentOf(operation).id, false)
    expect(await lookUp(operation)).toEqual({ says: 'failed', error: 'authentication_failed' })
  })

  test.each([
    ['pm_card_chargeDeclined', 'card_declined'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card'],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc'],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error'],
    ['pm_card_chargeDeclinedStolenCard', 'card_declined'], // the buyer is not told why
    ['pm_no_such_method', 'payment_method_unknown'],
  ])('with %s fails as %s, on every try', async (method, error) => {
    const operation = authorize(method)
    expect(await perform(operation)).toEqual({ says: 'failed', error })
    expect(await perform(operation)).toEqual({ says: 'failed', error })
  })

  test('that was declined is found declined', async () => {
    const operation = authorize('pm_card_chargeDeclinedInsufficientFunds')
    await loseAnswerOf(operation)
    expect(await lookUp(operation)).toEqual({ says: 'failed', error: 'insufficient_funds' })
  })

  test.each([
    ['JPY', 500, 500],
    ['ISK', 5, 500],
    ['UGX', 5, 500],
    ['MGA', 500, 5],
    ['KWD', 5120, 5120],
  ])('of %s keeps its amount, whatever unit Stripe counts in', async (currency, amount, theirs) => {
    const operation = authorize('pm_card_visa', { currency: currency as Currency, amount: amount as MinorUnits })
    expect(await perform(operation)).toMatchObject({ says: 'captured', amount })
    expect(intentOf(operation).amount).toBe(theirs)
    expect(await provider.charges({ shopId, orderId: null, after: null, limit: 1 })).toMatchObject([
      { amount, captured: amount, currency },
    ])
  })

  test('of an amount that Stripe cannot say fails without a call', async () => {
    const operation = authorize('pm_card_visa', { currency: 'MGA' as Currency, amount: 501 as MinorUnits })
    expect(await perform(operation)).toEqual({ says: 'failed', error: 'amount_not_supported' })
    expect(standIn.requests).toEqual([])
  })

  test('takes methods of Stripe only', () => {
    expect(['pm_card_visa', 'pm_1Pabc', 'ctoken_1Pabc'].every(provider.accepts)).toBe(true)
    expect(['tok_ok', 'pm_', 'card', 'pm_a b', `pm_${'a'.repeat(300)}`].some(provider.accepts)).toBe(false)
  })
})

describe('a call without an answer', () => {
  test('that was charged is found, and charged once however often it is sent', async () => {
    const operation = authorize()
    await loseAnswerOf(operation)
    expect(await lookUp(operation)).toMatchObject({ says: 'captured', amount: 1999 })
    expect(await newProvider().lookUp(operation, never)).toMatchObject({ says: 'captured', amount: 1999 })
    expect(await perform(operation)).toMatchObject({ says: 'captured', reference: intentOf(operation).id })
    expect(standIn.intents()).toHaveLength(1)
  })

  test('whose connection closed is repeated under the same key by the package, once', async () => {
    const operation = authorize()
    standIn.fail({ on: 'POST', does: 'cut' })
    expect(await perform(operation)).toMatchObject({ says: 'captured' })
    expect(posts('/v1/payment_intents').map(({ key }) => key)).toEqual([operation.id, operation.id])
    expect(standIn.intents()).toHaveLength(1)
  })

  test('whose connection closed twice is unknown, and found', async () => {
    const operation = authorize()
    standIn.fail({ on: 'POST', does: 'cut', times: 2 })
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
    expect(await lookUp(operation)).toMatchObject({ says: 'captured' })
  })

  test('that never arrived is in progress for as long as it may be under way, then never heard', async () => {
    const operation = authorize()
    standIn.fail({ does: 'vanish' })
    await giveUpOn(operation)
    expect(await lookUp(operation)).toBe('in_progress')
    wait()
    expect(await lookUp(operation)).toBe('never_heard')
    expect(standIn.intents()).toEqual([])
    expect(posts('/v1/payment_intents')).toHaveLength(1) // asking does not charge
  })

  test('that was sent again late is in progress from then', async () => {
    const operation = authorize()
    goAhead(limits.stripeUnderWayMsMax * 3)
    expect(await lookUp(operation)).toBe('never_heard')
    standIn.fail({ does: 'vanish' })
    await giveUpOn(operation)
    expect(await lookUp(operation)).toBe('in_progress')
    wait()
    expect(await lookUp(operation)).toBe('never_heard')
  })

  test('is not sent once its key may be forgotten, and then never heard only when the last sending has ended', async () => {
    const operation = authorize()
    goAhead(limits.providerKeyMsMax)
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
    expect(standIn.requests).toEqual([])
    expect(await newProvider().lookUp(operation, never)).toBe('in_progress')
    wait()
    expect(await newProvider().lookUp(operation, never)).toBe('never_heard')
  })

  test('whose record cannot be read is unknown, not never heard', async () => {
    const operation = authorize()
    wait()
    for (const status of [429, 500, 503]) {
      standIn.fail({ on: 'GET', does: 'refuse', status })
      await expect(lookUp(operation)).rejects.toThrow(OutcomeUnknown)
    }
    await standIn.stop()
    await expect(lookUp(operation)).rejects.toThrow(OutcomeUnknown)
  })

  test('is found behind more payments than one page holds', async () => {
    const operation = authorize()
    await loseAnswerOf(operation)
    for (let made = 0; made < 101; made++) await perform(authorize())
    expect(await lookUp(operation)).toMatchObject({ says: 'captured', reference: intentOf(operation).id })
  })

  test('that was sent long after its payment began is found as well', async () => {
    const beganAt = addMs(now(), -limits.authorizeMsMax * 2)
    const id = newUuidAt(beganAt)
    const operation = authorize('pm_card_visa', { id, paymentId: id, askedAt: beganAt })
    await loseAnswerOf(operation)
    expect(await lookUp(operation)).toMatchObject({ says: 'captured' })
  })

  test('that was sent when it was tried again by hand, days after its payment began, is found as well', async () => {
    const paymentId = newUuidAt(addMs(now(), -5 * limits.stripeIntentMsMax))
    const operation = authorize('pm_card_visa', { id: paymentId, paymentId })
    await loseAnswerOf(operation)
    expect(await lookUp(operation)).toMatchObject({ says: 'captured', reference: intentOf(operation).id })
    goAhead(5 * limits.stripeIntentMsMax)
    const again = { ...operation, askedAt: now() } // by hand a second time
    expect(await lookUp(again)).toMatchObject({ says: 'captured', reference: intentOf(operation).id })
    wait()
    const never = newUuidAt(addMs(again.askedAt, -5 * limits.stripeIntentMsMax))
    expect(await lookUp({ ...again, id: never, paymentId: never })).toBe('never_heard')
  })

  test('of a capture is found by the payment, whose name need not be known', async () => {
    const operation = authorize('pm_card_visa', { capture: 'later' })
    await perform(operation)
    const capture = further(operation, 'capture')
    await loseAnswerOf(capture)
    expect(await lookUp(capture)).toMatchObject({ says: 'captured', amount: 1999 })
    expect(await lookUp({ ...capture, reference: null })).toMatchObject({ says: 'captured', amount: 1999 })
  })

  test('about a payment that Stripe does not show is unknown', async () => {
    const lost = authorize()
    await expect(perform({ ...further(lost, 'capture') })).rejects.toThrow(OutcomeUnknown)
    await expect(perform({ ...further(lost, 'capture'), reference: 'pi_none' })).rejects.toThrow(OutcomeUnknown)
    wait()
    await expect(lookUp({ ...further(lost, 'void') })).rejects.toThrow(OutcomeUnknown)
  })
})

describe('a key', () => {
  test('in use is unknown, in progress, and answered when its first request has ended', async () => {
    const operation = authorize()
    standIn.fail({ on: 'POST', does: 'hold' })
    const first = perform(operation)
    await eventually(() => standIn.held() === 1)
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
    expect(await lookUp(operation)).toBe('in_progress')
    standIn.release()
    expect(await first).toMatchObject({ says: 'captured' })
    expect(await perform(operation)).toEqual(await first)
    expect(standIn.intents()).toHaveLength(1)
  })

  test('that was used with other parameters is unknown: what it did is looked up', async () => {
    const operation = authorize()
    await perform(operation)
    await expect(perform({ ...operation, amount: 1 as MinorUnits })).rejects.toThrow(OutcomeUnknown)
    expect(standIn.intents()).toHaveLength(1)
  })
})

describe('a refusal', () => {
  test.each([
    [429, { type: 'invalid_request_error', code: 'rate_limit' }],
    [429, { type: 'invalid_request_error', code: 'lock_timeout' }],
    [401, { type: 'invalid_request_error' }],
    [403, { type: 'invalid_request_error' }],
  ])('with %i did nothing, and may be tried again', async (status, error) => {
    const operation = authorize()
    standIn.fail({ does: 'refuse', status, error, headers: { 'stripe-should-retry': 'true' } })
    await expect(perform(operation)).rejects.toThrow(TryAgain)
    expect(await perform(operation)).toMatchObject({ says: 'captured' })
    expect(posts('/v1/payment_intents')).toHaveLength(2) // the package does not try by itself
  })

  test.each([500, 502, 503])('with %i says nothing about what was done', async (status) => {
    const operation = authorize()
    standIn.fail({ does: 'refuse', status, headers: { 'stripe-should-retry': 'true' } })
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
    expect(posts('/v1/payment_intents')).toHaveLength(1)
  })

  test('that a key keeps is unknown on every try', async () => {
    const operation = authorize()
    standIn.fail({ does: 'break', status: 500 })
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
    await expect(perform(operation)).rejects.toThrow(OutcomeUnknown)
  })

  test('of the connection did nothing', async () => {
    await standIn.stop()
    await expect(perform(authorize())).rejects.toThrow(TryAgain)
  })

  test('for a wrong key of ours did nothing', async () => {
    use(newProvider(standIn.url, 'sk_test_wrong'))
    await expect(perform(authorize())).rejects.toThrow(TryAgain)
  })
})
