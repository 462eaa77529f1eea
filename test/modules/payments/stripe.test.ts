// The provider `stripe` against a stand-in that answers as Stripe documents, and goes wrong when it is told to.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CellName, toWireId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { addMs, type Instant, instant } from '../../../src/base/time.ts'
import { createStripeProvider } from '../../../src/modules/payments/stripe.ts'
import {
  type Answer,
  type Operation,
  OutcomeUnknown,
  type Provider,
  TryAgain,
} from '../../../src/modules/payments/types.ts'
import { cell, newUuid, shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { makeDataFolder, repository } from '../../support/holdfast.ts'
import { type StripeStandIn, standInKey, startStripeStandIn } from '../../support/stripe-stand-in.ts'

let standIn: StripeStandIn
let provider: Provider
/** How far the provider's clock is ahead of the machine's. */
let aheadMs: number
const now = (): Instant => addMs(instant(Date.now()), aheadMs)

beforeEach(async () => {
  aheadMs = 0
  standIn = await startStripeStandIn()
  provider = newProvider()
})
afterEach(() => standIn.stop())

/** As after a restart: it remembers nothing. */
const newProvider = (apiBase = standIn.url, secretKey = standInKey): Provider =>
  createStripeProvider({ secretKey, webhookSecret: 'whsec_test', apiBase }, { cell, now })

const never = new AbortController().signal
const perform = (operation: Operation, signal = never): Promise<Answer> => provider.perform(operation, signal)
const lookUp = (operation: Operation) => provider.lookUp(operation, never)
/** Long enough after for a call that is not recorded to be none. */
const wait = (): void => {
  aheadMs += limits.stripeUnderWayMsMax
}

function authorize(method = 'pm_card_visa', more: Partial<Operation> = {}): Operation {
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
const further = (first: Operation, kind: Operation['kind'], more: Partial<Operation> = {}): Operation => ({
  ...first,
  kind,
  id: newUuid(),
  reference: standIn.intents().find((one) => one.metadata.holdfast_payment === nameOf(first))?.id ?? null,
  askedAt: now(),
  ...more,
})

const newUuidAt = (at: Instant): Uuid => uuidV7(at, crypto.getRandomValues(new Uint8Array(10)))

const nameOf = ({ paymentId }: Operation): string => toWireId('pay', cell, paymentId)
const posts = (what: string) => standIn.requests.filter(({ target }) => target === `POST ${what}`)
const intentOf = (operation: Operation) =>
  standIn.intents().find((one) => one.metadata.holdfast_payment === nameOf(operation))!

/** What a timeout does, without its time: given up as soon as Stripe has the request. */
async function giveUpOn(operation: Operation): Promise<void> {
  const giveUp = new AbortController()
  const before = standIn.requests.length
  const call = perform(operation, giveUp.signal)
  const told = expect(call).rejects.toThrow(OutcomeUnknown)
  await eventually(() => standIn.requests.length > before)
  giveUp.abort()
  await told
}

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

/** Done, but nobody hears it. */
async function loseAnswerOf(operation: Operation): Promise<void> {
  standIn.fail({ on: 'POST', does: 'lose' })
  await giveUpOn(operation)
}

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
    aheadMs += limits.stripeUnderWayMsMax * 3
    expect(await lookUp(operation)).toBe('never_heard')
    standIn.fail({ does: 'vanish' })
    await giveUpOn(operation)
    expect(await lookUp(operation)).toBe('in_progress')
    wait()
    expect(await lookUp(operation)).toBe('never_heard')
  })

  test('is not sent once its key may be forgotten, and then never heard only when the last sending has ended', async () => {
    const operation = authorize()
    aheadMs += limits.providerKeyMsMax
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
    provider = newProvider(standIn.url, 'sk_test_wrong')
    await expect(perform(authorize())).rejects.toThrow(TryAgain)
  })
})

describe('a refund', () => {
  test('gives back a part, then the rest, and nothing beyond', async () => {
    const operation = authorize()
    await perform(operation)
    const part = further(operation, 'refund', { amount: 500 as MinorUnits })
    expect(await perform(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await perform(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await lookUp(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await perform(further(operation, 'refund', { amount: 1500 as MinorUnits }))).toMatchObject({
      says: 'failed',
    })
    expect(await perform(further(operation, 'refund', { amount: 1499 as MinorUnits }))).toMatchObject({
      says: 'refunded',
    })
    expect(await perform(further(operation, 'refund', { amount: 1 as MinorUnits }))).toEqual({
      says: 'failed',
      error: 'charge_already_refunded',
    })
    expect(standIn.refunds().map(({ amount }) => amount)).toEqual([500, 1499])
    expect(standIn.refunds()[0]!.metadata).toMatchObject({ holdfast_refund: toWireId('rfd', cell, part.id) })
  })

  test('without an answer is found, and given once', async () => {
    const operation = authorize()
    await perform(operation)
    const refund = further(operation, 'refund')
    await loseAnswerOf(refund)
    expect(await newProvider().lookUp(refund, never)).toMatchObject({ says: 'refunded', amount: 1999 })
    expect(await perform(refund)).toMatchObject({ says: 'refunded' })
    expect(standIn.refunds()).toHaveLength(1)
  })

  test('that was never heard of is told apart from another of the same payment', async () => {
    const operation = authorize()
    await perform(operation)
    await perform(further(operation, 'refund', { amount: 500 as MinorUnits }))
    const other = further(operation, 'refund', { amount: 700 as MinorUnits })
    expect(await lookUp(other)).toBe('in_progress')
    wait()
    expect(await lookUp(other)).toBe('never_heard')
  })

  test('that takes its bank days is in progress, then ends either way', async () => {
    for (const [end, said] of [
      ['succeeded', { says: 'refunded', amount: 1999 }],
      ['failed', { says: 'failed', error: 'refund_expired_or_canceled_card' }],
    ] as const) {
      const operation = authorize('pm_card_pendingRefund')
      await perform(operation)
      const refund = further(operation, 'refund')
      await expect(perform(refund)).rejects.toThrow(OutcomeUnknown)
      expect(await lookUp(refund)).toBe('in_progress')
      wait()
      expect(await lookUp(refund)).toBe('in_progress')
      standIn.endRefund(standIn.refunds().at(-1)!.id, end)
      expect(await lookUp(refund)).toMatchObject(said)
    }
  })

  test('that was tried again by hand has a key of its own', async () => {
    const operation = authorize('pm_card_pendingRefund')
    await perform(operation)
    const first = further(operation, 'refund')
    await perform(first).catch(() => undefined)
    standIn.endRefund(standIn.refunds()[0]!.id, 'failed')
    const second = further(operation, 'refund', { refundId: first.id })
    wait()
    expect(await lookUp({ ...second, askedAt: first.askedAt })).toBe('never_heard')
    await perform(second).catch(() => undefined)
    standIn.endRefund(standIn.refunds()[1]!.id, 'succeeded')
    expect(await lookUp(first)).toMatchObject({ says: 'failed' })
    expect(await lookUp(second)).toMatchObject({ says: 'refunded' })
    expect(standIn.refunds()[1]!.metadata.holdfast_refund).toBe(toWireId('rfd', cell, first.id))
  })
})

describe('the list of charges', () => {
  test('shows what Stripe holds for us, a page at a time, and nobody else’s', async () => {
    const taken = authorize()
    const setAside = authorize('pm_card_visa', { capture: 'later' })
    const given = authorize()
    const declined = authorize('pm_card_chargeDeclined')
    const foreign = authorize('pm_card_visa', { shopId: 2 as typeof shopId })
    for (const one of [taken, setAside, given, declined, foreign]) await perform(one)
    await perform(further(given, 'refund'))
    await perform(further(taken, 'refund', { amount: 999 as MinorUnits }))
    const elsewhere = createStripeProvider(
      { secretKey: standInKey, webhookSecret: 'whsec_test', apiBase: standIn.url },
      { cell: 'us1' as CellName, now },
    )
    await elsewhere.perform(authorize(), never)

    const first = await provider.charges({ shopId, orderId: null, after: null, limit: 3 })
    const rest = await provider.charges({ shopId, orderId: null, after: first.at(-1)!.id, limit: 3 })
    const told = (of: Operation) => [...first, ...rest].find(({ paymentId }) => paymentId === of.paymentId)
    expect([first.length, rest.length]).toEqual([3, 1])
    expect(told(taken)).toEqual({
      id: intentOf(taken).id,
      orderId: taken.orderId,
      paymentId: taken.paymentId,
      amount: 1999,
      currency: 'EUR',
      captured: 1999,
      refunded: 999,
      status: 'captured',
    })
    expect(told(setAside)).toMatchObject({ captured: 0, refunded: 0, status: 'authorized' })
    expect(told(given)).toMatchObject({ captured: 1999, refunded: 1999, status: 'refunded' })
    expect(told(declined)).toMatchObject({ captured: 0, status: 'failed' })
    expect(await provider.charges({ shopId, orderId: given.orderId, after: null, limit: 9 })).toMatchObject([
      { paymentId: given.paymentId },
    ])
  })

  test('of orders asked for together is read once, and an old order is searched for', async () => {
    const [one, other, none] = [authorize(), authorize('pm_card_visa', { capture: 'later' }), authorize()]
    await perform(one)
    await perform(other)
    await perform(further(one, 'refund'))
    const expected = [[{ paymentId: one.paymentId, refunded: 1999 }], [{ status: 'authorized' }], []]
    const read = () =>
      Promise.all([one, other, none].map(({ orderId }) => provider.charges({ shopId, orderId, after: null, limit: 9 })))
    const targets = () => standIn.requests.splice(0).map(({ target }) => target)
    targets()
    expect(await read()).toMatchObject(expected)
    expect(targets()).toEqual(['GET /v1/payment_intents'])
    aheadMs += limits.stripeListedMs + 1
    expect(await read()).toMatchObject(expected)
    expect(targets().filter((target) => target.endsWith('/search'))).toHaveLength(3)
  })
})

describe('the stand-in', () => {
  test('keeps what it has done over a restart, keys and all', async () => {
    const { data, remove } = await makeDataFolder()
    try {
      const file = `${data}/stripe.jsonl`
      const kept = await startStripeStandIn({ file })
      provider = newProvider(kept.url)
      const operation = authorize()
      const answer = await perform(operation)
      const events = kept.events.length
      await kept.stop()
      await appendFile(file, '\n{"intents":[{"id":"pi_torn"') // killed within a write
      const again = await startStripeStandIn({ file })
      provider = newProvider(again.url)
      expect(await perform(operation)).toEqual(answer)
      expect(await perform(authorize())).toMatchObject({ says: 'captured' })
      await again.stop()
      const third = await startStripeStandIn({ file })
      expect(third.intents()).toHaveLength(2)
      expect(third.events).toHaveLength(events + 1)
      await third.stop()
    } finally {
      await remove()
    }
  })

  test('killed as a program after a charge that nobody heard of, still knows of it', async () => {
    const { data, remove } = await makeDataFolder()
    const start = async () => {
      const child = spawn(process.execPath, ['test/support/stripe-stand-in.ts', '0', `${data}/stripe.jsonl`], {
        cwd: repository,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [address] = (await once(child.stdout, 'data')) as [Buffer]
      provider = newProvider(String(address).trim())
      return async () => {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    try {
      const operation = authorize()
      const kill = await start()
      await perform(operation)
      await kill()
      const killAgain = await start()
      expect(await lookUp(operation)).toMatchObject({ says: 'captured', amount: 1999 })
      expect(await perform(operation)).toMatchObject({ says: 'captured' })
      expect(await provider.charges({ shopId, orderId: null, after: null, limit: 9 })).toHaveLength(1)
      await killAgain()
    } finally {
      await remove()
    }
  })
})
