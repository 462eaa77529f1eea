// What happens at Stripe itself, and nobody here asked for: refunds made in its dashboard, and disputes. Orders, ledger and
// Stripe agree afterwards, whichever way it was heard, and however often.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createOrderReader, readOrdersOfSpan } from '../../../src/modules/orders/reads.ts'
import { emptyReport, reconcileOrders } from '../../../src/modules/payments/reconcile.ts'
import { createStripeProvider } from '../../../src/modules/payments/stripe.ts'
import { cell as cellName, openEngine, shopId, submission } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'
import type { Thing } from '../../support/stripe-account.ts'
import { type StripeStandIn, standInKey, startStripeStandIn } from '../../support/stripe-stand-in.ts'

const secret = 'whsec_of_the_tests'
let cell: HttpCell
let standIn: StripeStandIn

beforeAll(async () => {
  standIn = await startStripeStandIn()
  cell = await openHttpCell({ stripe: { secretKey: standInKey, webhookSecret: secret, apiBase: standIn.url } })
  await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
  await standIn.stop()
})
/** Whatever it was: what is booked is what the orders say, and nobody is owed anything in silence. */
afterEach(async () => {
  await eventually(
    async () => (await cell.call('GET', '/v1/consumers')).json.data.every((one: Thing) => one.lag_events === 0),
    10_000,
  )
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({
    consistent: true,
    money: { differences: [] },
  })
})

const read = async (id: string): Promise<Thing> => (await cell.call('GET', `/v1/orders/${id}`)).json
const eventsOf = async (id: string): Promise<Thing[]> => (await cell.call('GET', `/v1/orders/${id}/events`)).json.data
const typesOf = async (id: string) => (await eventsOf(id)).map(({ type }) => type)
const intentOf = (order: string) => standIn.intents().find(({ metadata }) => metadata.holdfast_order === order)!.id

/** Two units of 500 each, paid by Stripe. */
async function paid(method = 'pm_card_visa'): Promise<string> {
  const body = orderBody('A-1', 2, { payment: { provider: 'stripe', method } })
  const { json } = await cell.call('POST', '/v1/orders', { body })
  await eventually(async () => (await read(json.id)).status === 'confirmed', 15_000)
  return json.id
}

/** Posts what Stripe has told of an intent since, the newest first and twice. */
async function hear(order: string): Promise<void> {
  const intent = intentOf(order)
  const told = standIn.events.filter(({ data }) => data.object.payment_intent === intent).toReversed()
  const url = `${cell.url}/v1/providers/stripe/webhooks`
  for (const event of [...told, ...told]) {
    const again = { ...event, id: `${event.id}_${Math.random()}` } // so that it is not the remembered id that makes it once
    expect((await standIn.post(again, { url, secret })).status).toBe(200)
  }
}

/** As `holdfast reconcile` does, all that is there. */
async function reconcile() {
  const engine = openEngine(cell.database)
  const provider = createStripeProvider(
    { secretKey: standInKey, webhookSecret: secret, apiBase: standIn.url },
    { cell: cellName, now: () => Date.now() as never },
  )
  const report = emptyReport()
  const parts = {
    database: cell.database,
    providers: new Map([['stripe', provider]]),
    submit: async (command: Parameters<typeof submission>[0]) => (await engine.run(submission(command, null)))[0]!,
    readOrder: createOrderReader(cell.database),
    readOrders: readOrdersOfSpan(cell.database),
  }
  await reconcileOrders(parts, shopId, { span: { after: null, before: null }, ordersMax: 1_000 }, report)
  await engine.close()
  return report
}

test('a refund made at Stripe is one of the order, which costs that much less', async () => {
  const order = await paid()
  const reference = standIn.refundByHand(intentOf(order), 300)
  await hear(order)
  expect(await read(order)).toMatchObject({
    status: 'confirmed',
    payment: { status: 'partially_refunded' },
    refunds: [{ status: 'refunded', amount: { amount: 300 }, by: 'provider', reference }],
  })
  const events = await eventsOf(order)
  expect(events.slice(-2)).toMatchObject([
    { type: 'order.credited', data: { amount: 300, reason: 'refunded_at_provider' } },
    { type: 'payment.refunded', data: { amount: 300, by: 'provider' } },
  ])
  await cell.call('POST', `/v1/orders/${order}/cancel`, { body: { reason: 'buyer' } })
  await eventually(async () => (await read(order)).payment.status === 'refunded', 10_000)
  expect(standIn.refunds().filter(({ payment_intent }) => payment_intent === intentOf(order))).toMatchObject([
    { amount: 300 },
    { amount: 700 }, // what is left, and no more
  ])
  expect(await reconcile()).toMatchObject({ told: 0, differenceCount: 0 })
})

test('a refund made at Stripe of which no event came is found by reconciliation, once', async () => {
  const order = await paid()
  standIn.refundByHand(intentOf(order), 1_000)
  expect(await reconcile()).toMatchObject({ told: 1, differenceCount: 0 })
  expect(await read(order)).toMatchObject({ payment: { status: 'refunded' }, refunds: [{ by: 'provider' }] })
  await hear(order)
  expect((await read(order)).refunds).toHaveLength(1)
  expect(await reconcile()).toMatchObject({ told: 0, differenceCount: 0 })
})

test('a refund of ours that failed, and was made at Stripe by hand, is that refund', async () => {
  const order = await paid('pm_card_pendingRefund')
  await cell.call('POST', `/v1/orders/${order}/refunds`, {
    body: { amount: { amount: 400, currency: 'EUR' }, reason: 'late' },
  })
  const ours = () => standIn.refunds().find(({ metadata }) => metadata.holdfast_order === order)
  await eventually(() => ours() !== undefined)
  standIn.endRefund(ours()!.id, 'failed')
  await hear(order)
  expect((await read(order)).refunds).toMatchObject([{ status: 'failed' }])
  const byHand = standIn.refundByHand(intentOf(order), 400)
  await hear(order)
  expect((await read(order)).refunds).toMatchObject([{ status: 'failed' }]) // that one is under way at its bank too
  standIn.endRefund(byHand, 'succeeded')
  await hear(order)
  const { refunds, payment } = await read(order)
  expect(refunds).toMatchObject([{ status: 'refunded', amount: { amount: 400 }, by: 'provider', reference: byHand }])
  expect(payment.status).toBe('partially_refunded')
  expect((await typesOf(order)).filter((type) => type === 'order.credited')).toHaveLength(1)
  await eventually(async () => {
    const letters = (await cell.call('GET', '/v1/dead-letters?kind=payment_operation')).json.data as Thing[]
    for (const { id } of letters) await cell.call('DELETE', `/v1/dead-letters/${id}?reason=made+by+hand`)
    const left = await cell.database.query('select 1 from payments.operations')
    return left.length === 0
  }, 20_000)
})

test('a dispute is told while it is open, and takes nothing when it is won', async () => {
  const order = await paid()
  const reference = standIn.dispute(intentOf(order))
  await hear(order)
  const [payment] = (await cell.call('GET', `/v1/orders/${order}/payments`)).json.data
  const reason = 'product_not_received'
  expect(payment.dispute).toEqual({ status: 'open', reason, reference, amount: { amount: 1_000, currency: 'EUR' } })
  standIn.endDispute(reference, 'won')
  await hear(order)
  expect((await typesOf(order)).slice(-2)).toEqual(['payment.disputed', 'payment.dispute_won'])
  expect(await read(order)).toMatchObject({ status: 'confirmed', payment: { status: 'captured' }, refunds: [] })
  expect(await reconcile()).toMatchObject({ told: 0, differenceCount: 0 })
})

test('a dispute that is lost has taken the money, once, and is booked as given back', async () => {
  const order = await paid()
  standIn.refundByHand(intentOf(order), 100)
  await hear(order)
  const reference = standIn.dispute(intentOf(order))
  standIn.endDispute(reference, 'lost')
  await hear(order) // the last word first: that it had been opened is old by then
  expect((await typesOf(order)).slice(-3)).toEqual(['payment.dispute_lost', 'order.credited', 'payment.refunded'])
  expect((await read(order)).refunds).toMatchObject([
    { amount: { amount: 100 } },
    { status: 'refunded', amount: { amount: 900 }, by: 'provider', reference },
  ])
  expect(await reconcile()).toMatchObject({ told: 0, differenceCount: 0 })
})
