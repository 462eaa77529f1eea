// Stripe from end to end: a cell that pays by the stand-in, and takes in its events in any order, twice, late and forged.
import type Stripe from 'stripe'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CellName } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { addMs, instant } from '../../../src/base/time.ts'
import { forgetEvents } from '../../../src/modules/payments/stripe-store.ts'
import { createStripeWebhooks } from '../../../src/modules/payments/stripe-webhooks.ts'
import { eventually } from '../../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'
import type { Thing } from '../../support/stripe-account.ts'
import { type Posting, type StripeStandIn, standInKey, startStripeStandIn } from '../../support/stripe-stand-in.ts'

const secret = 'whsec_of_the_tests'
let cell: HttpCell
let standIn: StripeStandIn
let url: string

beforeAll(async () => {
  standIn = await startStripeStandIn()
  cell = await openHttpCell({ stripe: { secretKey: standInKey, webhookSecret: secret, apiBase: standIn.url } })
  url = `${cell.url}/v1/providers/stripe/webhooks`
  await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  await cell?.stop()
  await standIn?.stop()
})
beforeEach(() => {
  cell.faults.length = 0
})

const post = async (event: Thing, more: Partial<Posting> = {}): Promise<{ status: number; code?: string }> => {
  const answer = await standIn.post(event, { url, secret, ...more })
  const { code } = (await answer.json()) as { code?: string }
  return code === undefined ? { status: answer.status } : { status: answer.status, code }
}

/** An order of 5 EUR that is to be paid by Stripe. */
async function place(method = 'pm_card_visa'): Promise<{ id: string; payment: Thing }> {
  const body = orderBody('A-1', 1, { payment: { provider: 'stripe', method } })
  const { status, json } = await cell.call('POST', '/v1/orders', { body })
  expect(status).toBe(201)
  return json
}

const read = async (id: string): Promise<Thing> => (await cell.call('GET', `/v1/orders/${id}`)).json
const typesOf = async (id: string): Promise<string[]> =>
  (await cell.call('GET', `/v1/orders/${id}/events`)).json.data.map(({ type }: Thing) => type)
const intentOf = (orderId: string): Thing | undefined =>
  standIn.intents().find(({ metadata }) => metadata.holdfast_order === orderId)
const eventsOf = (orderId: string): Thing[] =>
  standIn.events.filter(({ data }) => data.object.metadata?.holdfast_order === orderId)
const eventOf = (orderId: string, type: string): Thing => eventsOf(orderId).find((one) => one.type === type)!

const becomes = (id: string, payment: string) =>
  eventually(async () => (await read(id)).payment.status === payment, 15_000)

/** An order whose payment waits for its buyer. */
async function waitingForBuyer(): Promise<string> {
  const { id } = await place('pm_card_authenticationRequired')
  await becomes(id, 'requires_action')
  return id
}

describe('an order', () => {
  test('is paid by Stripe and confirmed, and its events change nothing more', async () => {
    const { id } = await place()
    await becomes(id, 'captured')
    expect(await read(id)).toMatchObject({ status: 'confirmed', payment: { provider: 'stripe' } })
    const before = await typesOf(id)
    expect(await post(eventOf(id, 'payment_intent.succeeded'))).toEqual({ status: 200 })
    expect(await typesOf(id)).toEqual(before)
    expect(before.filter((type) => type === 'payment.captured')).toHaveLength(1)
  })

  test('whose card is declined says why', async () => {
    const { id } = await place('pm_card_chargeDeclinedInsufficientFunds')
    await becomes(id, 'failed')
    expect((await read(id)).payment.error.code).toBe('insufficient_funds')
  })

  test('is refused with a method that is none of Stripe’s', async () => {
    const body = orderBody('A-1', 1, { payment: { provider: 'stripe', method: 'tok_ok' } })
    expect(await cell.call('POST', '/v1/orders', { body })).toMatchObject({
      status: 422,
      json: { code: 'payment_method_unknown' },
    })
  })

  test('whose answer was lost after the charge is confirmed, and charged once', async () => {
    standIn.fail({ on: 'POST', does: 'cut', times: 2 })
    const { id } = await place()
    await becomes(id, 'captured')
    expect(standIn.intents().filter(({ metadata }) => metadata.holdfast_order === id)).toHaveLength(1)
  })

  test('that is cancelled gives its money back at Stripe', async () => {
    const { id } = await place()
    await becomes(id, 'captured')
    await cell.call('POST', `/v1/orders/${id}/cancel`, { body: { reason: 'buyer' } })
    await becomes(id, 'refunded')
    expect(standIn.refunds().filter(({ metadata }) => metadata.holdfast_order === id)).toMatchObject([{ amount: 500 }])
  })

  test('of a shop that captures at shipment is authorized, and captured as far as it was shipped', async () => {
    const { json } = await cell.call('GET', '/v1/settings')
    await cell.call('PUT', '/v1/settings', { body: { capture: 'at_shipment' } })
    const payment = { provider: 'stripe', method: 'pm_card_visa' }
    const placed = await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 3, { payment }) })
    await cell.call('PUT', '/v1/settings', { body: { capture: 'now' } })
    const { id } = placed.json
    await becomes(id, 'authorized')
    expect(await read(id)).toMatchObject({ status: 'confirmed' })
    await cell.call('POST', `/v1/orders/${id}/cancel`, {
      body: { reason: 'buyer', lines: [{ sku: 'A-1', quantity: 1 }] },
    })
    expect(await post(eventOf(id, 'payment_intent.amount_capturable_updated'))).toEqual({ status: 200 })
    expect(intentOf(id)).toMatchObject({ status: 'requires_capture', amount_capturable: 1500 })
    const shipment = { lines: [{ sku: 'A-1', quantity: 2 }], carrier: 'dhl', tracking_number: '1' }
    expect((await cell.call('POST', `/v1/orders/${id}/shipments`, { body: shipment })).status).toBe(201)
    await becomes(id, 'captured')
    expect(intentOf(id)).toMatchObject({ status: 'succeeded', amount: 1500, amount_received: 1000 })
    await eventually(async () => (await read(id)).status === 'completed')
    expect(json.capture).toBe('now')
  })

  test('that is cancelled before its buyer has done his part can no longer be paid', async () => {
    const id = await waitingForBuyer()
    await cell.call('POST', `/v1/orders/${id}/cancel`, { body: { reason: 'buyer' } })
    await becomes(id, 'voided')
    expect(intentOf(id)!.status).toBe('canceled')
    expect(await post(eventOf(id, 'payment_intent.canceled'))).toEqual({ status: 200 })
    expect((await read(id)).payment.status).toBe('voided')
  })
})

describe('an event', () => {
  test('before the answer settles the order; the answer then changes nothing', async () => {
    standIn.fail({ on: 'POST', does: 'delay', ms: 1_000 })
    const { id } = await place()
    await eventually(() => eventsOf(id).length > 0)
    expect(await post(eventOf(id, 'payment_intent.succeeded'))).toEqual({ status: 200 })
    expect((await read(id)).payment.status).toBe('captured')
    await eventually(async () => {
      const rows = await cell.database.query('select 1 from payments.operations')
      return rows.length === 0
    })
    expect((await typesOf(id)).filter((type) => type === 'payment.captured')).toHaveLength(1)
  })

  test('twice, one after the other and at the same time, is taken in once', async () => {
    const id = await waitingForBuyer()
    standIn.authenticate(intentOf(id)!.id, true)
    const event = eventOf(id, 'payment_intent.succeeded')
    const answers = await Promise.all([post(event), post(event), post(event)])
    expect(answers).toEqual([{ status: 200 }, { status: 200 }, { status: 200 }])
    expect(await post(event)).toEqual({ status: 200 })
    expect((await typesOf(id)).filter((type) => type === 'payment.captured')).toHaveLength(1)
    const rows = await cell.database.query('select type from payments.stripe_events where id = $1', [event.id])
    expect([...rows]).toEqual([{ type: 'payment_intent.succeeded' }])
  })

  test('that comes after a newer one changes nothing', async () => {
    const id = await waitingForBuyer()
    const intent = intentOf(id)!.id
    standIn.authenticate(intent, false)
    standIn.authenticate(intent, true) // he tried again, with another card
    const newestFirst = eventsOf(id).toReversed()
    expect(newestFirst.map(({ type }) => type)).toEqual([
      'payment_intent.succeeded',
      'payment_intent.payment_failed',
      'payment_intent.requires_action',
    ])
    for (const event of newestFirst) {
      expect(await post(event)).toEqual({ status: 200 })
      expect(await read(id)).toMatchObject({ status: 'confirmed', payment: { status: 'captured' } })
    }
    expect(await typesOf(id)).not.toContain('payment.failed')
  })

  test('tells that the buyer has failed, and that he has succeeded after all', async () => {
    const id = await waitingForBuyer()
    const intent = intentOf(id)!.id
    standIn.authenticate(intent, false)
    await post(eventOf(id, 'payment_intent.payment_failed'))
    expect((await read(id)).payment).toMatchObject({ status: 'failed', error: { code: 'authentication_failed' } })
    standIn.authenticate(intent, true)
    await post(eventOf(id, 'payment_intent.succeeded'))
    expect((await read(id)).payment.status).toBe('captured')
  })

  test('of a refund that took its time settles it', async () => {
    const { id } = await place('pm_card_pendingRefund')
    await becomes(id, 'captured')
    await cell.call('POST', `/v1/orders/${id}/cancel`, { body: { reason: 'buyer' } })
    await eventually(() => standIn.refunds().some(({ metadata }) => metadata.holdfast_order === id))
    const refund = standIn.refunds().find(({ metadata }) => metadata.holdfast_order === id)!
    expect(await post(eventOf(id, 'refund.created'))).toEqual({ status: 200 })
    expect(await typesOf(id)).not.toContain('payment.refunded')
    standIn.endRefund(refund.id, 'succeeded')
    expect(await post(eventOf(id, 'refund.updated'))).toEqual({ status: 200 })
    expect((await read(id)).payment.status).toBe('refunded')
    expect(await post(eventOf(id, 'charge.refunded'))).toEqual({ status: 200 })
    expect((await typesOf(id)).filter((type) => type === 'payment.refunded')).toHaveLength(1)
  })

  test('that is forged is refused, and nothing is remembered', async () => {
    const id = await waitingForBuyer()
    const intent = intentOf(id)!
    const forged = {
      ...eventOf(id, 'payment_intent.requires_action'),
      id: 'evt_forged',
      type: 'payment_intent.succeeded',
      data: { object: { ...intent, status: 'succeeded', amount_received: 500 } },
    }
    expect(await post(forged, { secret: 'whsec_guessed' })).toEqual({ status: 400, code: 'webhook_signature_invalid' })
    for (const signature of ['', 't=1,v1=00', 'nonsense']) {
      const answer = await cell.call('POST', '/v1/providers/stripe/webhooks', {
        body: forged,
        as: null,
        key: null,
        headers: { 'stripe-signature': signature },
      })
      expect(answer).toMatchObject({ status: 400, json: { code: 'webhook_signature_invalid' } })
    }
    const unsigned = await cell.call('POST', '/v1/providers/stripe/webhooks', { body: forged, as: null, key: null })
    expect(unsigned).toMatchObject({ status: 400, json: { code: 'webhook_signature_invalid' } })
    expect((await read(id)).payment.status).toBe('requires_action')
    const rows = await cell.database.query("select 1 from payments.stripe_events where id = 'evt_forged'")
    expect(rows).toHaveLength(0)
  })

  test('that was signed too long ago is refused, and taken in when it is signed anew', async () => {
    const id = await waitingForBuyer()
    standIn.authenticate(intentOf(id)!.id, true)
    const event = eventOf(id, 'payment_intent.succeeded')
    const signedAt = Date.now() - (limits.webhookAgeSecondsMax + 5) * 1000
    expect(await post(event, { signedAt })).toEqual({ status: 400, code: 'webhook_too_old' })
    expect(await post(event, { signedAt, secret: 'whsec_guessed' })).toEqual({
      status: 400,
      code: 'webhook_signature_invalid',
    })
    const remembered = () => cell.database.query('select 1 from payments.stripe_events where id = $1', [event.id])
    expect(await remembered()).toHaveLength(0)
    expect(await post(event)).toEqual({ status: 200 })
    expect(await remembered()).toHaveLength(1)
    expect((await read(id)).payment.status).toBe('captured')
  })

  test.each([
    ['of a type that means nothing here', { type: 'customer.created', data: { object: { object: 'customer' } } }],
    [
      'of a payment that is not ours',
      {
        type: 'payment_intent.succeeded',
        data: { object: { object: 'payment_intent', id: 'pi_x', status: 'succeeded', metadata: {} } },
      },
    ],
    [
      'of another cell',
      {
        type: 'payment_intent.succeeded',
        data: {
          object: {
            object: 'payment_intent',
            id: 'pi_y',
            status: 'succeeded',
            metadata: {
              holdfast_shop: '1',
              holdfast_order: 'ord_us1_01k3bm9cr0fh6s4dn2k7q8v5zw',
              holdfast_payment: 'pay_us1_01k3bm9cr0fh6s4dn2k7q8v5zx',
            },
          },
        },
      },
    ],
  ])('%s is ignored', async (what, event) => {
    expect(await post({ id: `evt_${what.length}`, object: 'event', ...event })).toEqual({ status: 200 })
    expect(cell.faults).toEqual([])
  })

  test('of an order that is not there is answered, told, and not remembered', async () => {
    const { id } = await place()
    await becomes(id, 'captured')
    const event = structuredClone(eventOf(id, 'payment_intent.succeeded'))
    event.id = 'evt_of_another_time'
    event.data.object.metadata.holdfast_order = 'ord_eu1_01k3bm9cr0fh6s4dn2k7q8v5zw'
    expect(await post(event)).toEqual({ status: 200 })
    expect(cell.faults).toMatchObject([{ event: event.id }])
    expect(await cell.database.query('select 1 from payments.stripe_events where id = $1', [event.id])).toHaveLength(0)
  })

  test('that Stripe must be asked about, and Stripe does not answer, is asked for again', async () => {
    const id = await waitingForBuyer()
    standIn.authenticate(intentOf(id)!.id, false)
    const event = eventOf(id, 'payment_intent.payment_failed')
    standIn.fail({ on: 'GET /v1/payment_intents/', does: 'refuse', status: 500, times: 1_000 })
    expect(await post(event)).toEqual({ status: 503, code: 'provider_unavailable' })
    standIn.heal()
    expect(await post(event)).toEqual({ status: 200 })
    expect((await read(id)).payment.status).toBe('failed')
    standIn.fail({ on: 'GET /v1/payment_intents/', does: 'refuse', status: 500, times: 1_000 })
    expect(await post(event)).toEqual({ status: 200 }) // it is known: nobody is asked
    standIn.heal()
  })

  test('that is no event is refused although it is signed', async () => {
    expect(await post({ id: 'evt_2', object: 'v2.core.event' })).toEqual({ status: 400, code: 'invalid_body' })
  })

  test('is forgotten when Stripe will not send it again', async () => {
    const count = async () =>
      (await cell.database.query<{ n: number }>('select count(*)::int as n from payments.stripe_events'))[0]!.n
    expect(await count()).toBeGreaterThan(0)
    await forgetEvents(cell.database, addMs(instant(Date.now()), -limits.stripeEventMsKept))
    expect(await count()).toBeGreaterThan(0)
    await forgetEvents(cell.database, addMs(instant(Date.now()), 60_000))
    expect(await count()).toBe(0)
  })
})

describe('what an event settles', () => {
  const webhooks = () =>
    createStripeWebhooks(
      { secretKey: standInKey, webhookSecret: secret, apiBase: standIn.url },
      { cell: 'eu1' as CellName, now: () => instant(Date.now()) },
    )
  const settlementsOf = (event: Thing) =>
    webhooks().takeIn(event as Stripe.Event, async (commands) => commands.map(({ settlement }) => settlement.says))

  test('is what Stripe says now: an old failure is none of a payment that was authorized since', async () => {
    const id = await waitingForBuyer()
    const intent = intentOf(id)!.id
    standIn.authenticate(intent, false)
    expect(await settlementsOf(eventOf(id, 'payment_intent.payment_failed'))).toEqual(['failed'])
    standIn.authenticate(intent, true)
    expect(await settlementsOf(eventOf(id, 'payment_intent.payment_failed'))).toEqual(['captured'])
    expect(await settlementsOf(eventOf(id, 'payment_intent.requires_action'))).toEqual(['captured'])
  })

  test('is not asked for when it cannot change any more', async () => {
    const { id } = await place()
    await becomes(id, 'captured')
    standIn.fail({ does: 'refuse', status: 500, times: 1_000 })
    expect(await settlementsOf(eventOf(id, 'payment_intent.succeeded'))).toEqual(['captured'])
    standIn.heal()
  })

  test('is settled before a later event of the same payment is looked at', async () => {
    const id = await waitingForBuyer()
    const intent = intentOf(id)!.id
    standIn.authenticate(intent, false)
    const { takeIn } = webhooks()
    const settled: string[] = []
    const { promise: isRead, resolve: hasRead } = Promise.withResolvers<void>()
    const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
    const first = takeIn(eventOf(id, 'payment_intent.payment_failed') as Stripe.Event, async ([command]) => {
      hasRead()
      await mayGoOn
      settled.push(command!.settlement.says)
    })
    await isRead
    standIn.authenticate(intent, true)
    const second = takeIn(eventOf(id, 'payment_intent.succeeded') as Stripe.Event, async ([command]) => {
      settled.push(command!.settlement.says)
    })
    await settlementsOf(eventOf(id, 'payment_intent.requires_action')) // time enough to overtake
    goOn()
    await Promise.all([first, second])
    expect(settled).toEqual(['failed', 'captured'])
  })
})

test('without Stripe there is no such address', async () => {
  const without = await openHttpCell()
  try {
    const answer = await without.call('POST', '/v1/providers/stripe/webhooks', { body: {}, as: null, key: null })
    expect(answer).toMatchObject({ status: 404, json: { code: 'not_found' } })
    await receive(without, 'A-1', 1)
    const body = orderBody('A-1', 1, { payment: { provider: 'stripe', method: 'pm_card_visa' } })
    expect(await without.call('POST', '/v1/orders', { body })).toMatchObject({ json: { code: 'provider_unknown' } })
  } finally {
    await without.stop()
  }
})
