// Webhooks from the event to somebody else's server: who is told, in what form, what is tried again, and what is given up.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'
import { isVerified, openReceiver, type Receiver } from '../../support/webhook-receiver.ts'

let cell: HttpCell
const receivers: Receiver[] = []
const made: string[] = []

beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 10_000)
})
afterAll(() => cell.stop())
afterEach(async () => {
  for (const id of made.splice(0)) await cell.call('DELETE', `/v1/webhook-endpoints/${id}`)
  for (const one of receivers.splice(0)) await one.close()
})

async function openEndpoint(types: string[] = ['order.*']) {
  const receiver = await openReceiver()
  receivers.push(receiver)
  const { status, json } = await cell.call('POST', '/v1/webhook-endpoints', {
    body: { url: `${receiver.url}/hook`, types },
  })
  expect(status).toBe(201)
  made.push(json.id)
  return { receiver, id: json.id as string, secret: json.secret as string }
}

async function placeOrder(): Promise<string> {
  const { status, json } = await cell.call('POST', '/v1/orders', {
    body: orderBody('A-1', 1, { payment: { provider: 'none' } }),
  })
  expect(status).toBe(201)
  return json.id
}

const deliveriesOf = async (endpoint: string, more = '') =>
  (await cell.call('GET', `/v1/webhook-deliveries?limit=200&endpoint=${endpoint}${more}`)).json.data

/** All that is to be sent to an endpoint is over: delivered or dead. */
const settled = (endpoint: string, count: number) =>
  eventually(async () => {
    const found = await deliveriesOf(endpoint)
    return found.length === count && found.every((one: { status: string }) => one.status !== 'pending')
  }, 20_000)

const setDeliveries = (endpoint: string, change: string) =>
  cell.database.transaction(async (session) => {
    const delivery = (await deliveriesOf(endpoint))[0]
    await session.run(`update webhooks.deliveries set ${change} where event_id = $1`, [delivery.event_id])
  })

describe('a delivery', () => {
  it('is found by its order, in any state, and no other is', async () => {
    const { receiver, id } = await openEndpoint()
    const [order, other] = [await placeOrder(), await placeOrder()]
    await eventually(() => receiver.received.length >= 4)
    const subjectsOf = async (more: string) =>
      (await deliveriesOf(id, more)).map((one: { subject: string }) => one.subject)
    expect(new Set(await subjectsOf(''))).toEqual(new Set([order, other]))
    expect(await subjectsOf(`&order=${order}`)).toEqual([order, order])
    await settled(id, 4)
    expect(await subjectsOf(`&order=${order}&status=delivered`)).toEqual([order, order])
    expect(await subjectsOf(`&order=${order}&status=dead`)).toEqual([])
    const { json } = await cell.call('GET', `/v1/webhook-deliveries?order=${order}&limit=1`)
    const rest = await cell.call('GET', `/v1/webhook-deliveries?order=${order}&cursor=${json.next_cursor}`)
    expect(rest.json.data.map((one: { subject: string }) => one.subject)).not.toContain(other)
    for (const odd of ['nothing', 'shp_eu1_01m85wzng3f95tt4cmryqzr3qv', order.replace('eu1', 'us1'), '%00'])
      expect(await subjectsOf(`&order=${odd}`)).toEqual([])
  })

  it('is the event as GET /v1/events gives it, signed so that the standard package verifies it', async () => {
    const { receiver, id, secret } = await openEndpoint()
    const order = await placeOrder()
    await eventually(() => receiver.received.length >= 2)
    const { json } = await cell.call('GET', `/v1/orders/${order}/events`)
    const sent = receiver.received.filter(({ event }) => event.subject === order)
    expect(sent.map(({ event }) => event)).toEqual(
      json.data.filter(({ type }: { type: string }) => type.startsWith('order.')),
    )
    for (const one of sent) {
      expect(one.path).toBe('/hook')
      expect(one.headers['content-type']).toBe('application/json')
      expect(isVerified(secret, one)).toBe(true)
      expect(isVerified(secret, { ...one, body: one.body.replace('order', 'ordeR') })).toBe(false)
    }
    await settled(id, sent.length)
    const [newest] = await deliveriesOf(id)
    const { json: shown } = await cell.call('GET', `/v1/webhook-deliveries/${newest.id}`)
    expect(shown).toMatchObject({ id: sent.at(-1)!.id, status: 'delivered', attempt_count: 1, body: sent.at(-1)!.body })
    expect(shown.attempts).toEqual([
      { at: expect.any(String), ms: expect.any(Number), status: 200, answer: 'thank you', error: null },
    ])
  })

  it('goes only to endpoints that want the type, and once to each', async () => {
    const all = await openEndpoint(['*'])
    const confirmed = await openEndpoint(['order.confirmed', 'stock.*'])
    const none = await openEndpoint(['hold.expired'])
    const order = await placeOrder()
    await receive(cell, 'A-2', 5)
    await eventually(() => confirmed.receiver.received.length === 2 && all.receiver.received.length >= 3)
    expect(confirmed.receiver.received.map(({ event }) => event.type).toSorted()).toEqual([
      'order.confirmed',
      'stock.adjusted',
    ])
    expect(all.receiver.received.filter(({ event }) => event.subject === order).length).toBeGreaterThanOrEqual(2)
    expect(none.receiver.received).toEqual([])
    const ids = [...all.receiver.received, ...confirmed.receiver.received].map((one) => one.id)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('keeps the order of a subject, and sends subjects side by side', async () => {
    const { receiver, id } = await openEndpoint()
    receiver.answer(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return { status: 200 }
    })
    const orders = await Promise.all(Array.from({ length: 60 }, placeOrder))
    await eventually(() =>
      orders.every((order) => receiver.received.filter(({ event }) => event.subject === order).length >= 2),
    )
    for (const order of orders) {
      const versions = receiver.received
        .filter(({ event }) => event.subject === order)
        .map(({ event }) => event.subjectversion)
      expect(versions).toEqual(versions.toSorted((a: number, b: number) => a - b))
    }
    expect(receiver.openMax).toBeGreaterThan(1)
    await settled(id, receiver.received.length)
  })

  it('that fails is tried again after 5 s under the same id with a new signature, and holds up no other', {
    timeout: 30_000,
  }, async () => {
    const { receiver, id, secret } = await openEndpoint(['order.placed'])
    let refusedId = ''
    receiver.answer((one) => {
      refusedId ||= one.id
      const isFirst = receiver.received.filter(({ id: same }) => same === refusedId).length === 1
      return one.id === refusedId && isFirst
        ? { status: 500, body: `no\0${'x'.repeat(10_000)}` }
        : { status: 204, body: '' }
    })
    await placeOrder()
    await eventually(() => refusedId !== '')
    await placeOrder()
    await eventually(() => receiver.received.length === 2)
    await eventually(async () => (await deliveriesOf(id, '&status=delivered')).length === 1)
    expect(await deliveriesOf(id, '&status=pending')).toMatchObject([{ id: refusedId, attempt_count: 1 }])
    await settled(id, 2)
    const tries = receiver.received.filter((one) => one.id === refusedId)
    expect(tries.length).toBe(2)
    const pause = tries[1]!.at - tries[0]!.at
    expect(pause).toBeGreaterThanOrEqual(4_900)
    expect(pause).toBeLessThan(12_000)
    expect(tries.every((one) => isVerified(secret, one))).toBe(true)
    expect(tries[0]!.headers['webhook-signature']).not.toBe(tries[1]!.headers['webhook-signature'])
    const { json } = await cell.call('GET', `/v1/webhook-deliveries/${refusedId}`)
    expect(json.attempts.map((one: { status: number }) => one.status)).toEqual([500, 204])
    expect(json.attempts[0].answer).toBe(`no\ufffd${'x'.repeat(4_093)}`)
  })

  it('whose tries are used up is dead with its reason, and goes out again when asked for', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    receiver.answer(() => ({ status: 503 }))
    await placeOrder()
    await eventually(async () => (await deliveriesOf(id))[0]?.attempt_count === 1)
    await setDeliveries(id, `state = 'ready', next_at = null, tries = 9, attempts = 9`)
    await settled(id, 1)
    const [dead] = await deliveriesOf(id, '&status=dead')
    expect(dead).toMatchObject({
      status: 'dead',
      reason: 'attempts_exhausted',
      attempt_count: 10,
      next_attempt_at: null,
    })
    const toldDead = async () =>
      /^holdfast_webhook_dead_deliveries\S* (\d+)$/m.exec((await cell.call('GET', '/metrics')).text)
    await eventually(async () => Number((await toldDead())?.[1]) > 0, 20_000)

    receiver.answer(() => ({ status: 200 }))
    const key = crypto.randomUUID()
    const again = await cell.call('POST', `/v1/webhook-deliveries/${dead.id}/redeliver`, { key })
    expect(again).toMatchObject({ status: 200, json: { id: dead.id } })
    await settled(id, 1)
    const replayed = await cell.call('POST', `/v1/webhook-deliveries/${dead.id}/redeliver`, { key })
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(replayed.json).toMatchObject({ status: 'delivered', attempt_count: 11 })
    expect(new Set(receiver.received.map((one) => one.id))).toEqual(new Set([dead.id]))
    expect(receiver.received.length).toBe(3)
  })

  it('is not followed to where it is redirected', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    receiver.answer(() => ({ status: 302, headers: { location: `${receiver.url}/elsewhere` } }))
    await placeOrder()
    await eventually(async () => (await deliveriesOf(id))[0]?.attempt_count === 1)
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook'])
    expect((await deliveriesOf(id))[0]).toMatchObject({ status: 'pending' })
  })

  it('to a slow endpoint does not delay another', async () => {
    const slow = await openEndpoint(['order.placed'])
    const quick = await openEndpoint(['order.placed'])
    const { promise: patience, resolve: letGo } = Promise.withResolvers<void>()
    slow.receiver.answer(async () => {
      await patience
      return { status: 200 }
    })
    await Promise.all(Array.from({ length: 50 }, placeOrder))
    await eventually(() => quick.receiver.received.length === 50)
    await settled(quick.id, 50)
    expect((await deliveriesOf(slow.id, '&status=delivered')).length).toBe(0)
    letGo()
    await settled(slow.id, 50)
    expect(slow.receiver.received.length).toBe(50)
  })

  it('is not made again when the consumer is rewound to the start', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    await placeOrder()
    await settled(id, 1)
    const rewind = (inbox: boolean) =>
      cell.database.transaction(async (session) => {
        await session.run(`update runtime.consumers set seq = 0 where name = 'webhooks'`)
        await session.run(`delete from runtime.inbox_subjects where consumer = 'webhooks'`)
        // Even without its memory of what it has applied, the unique key holds.
        if (!inbox) await session.run(`delete from runtime.inbox where consumer = 'webhooks'`)
      })
    for (const inbox of [true, false]) {
      await rewind(inbox)
      await placeOrder()
      const expected = receiver.received.length + 1
      await eventually(() => receiver.received.length === expected)
    }
    expect(new Set(receiver.received.map((one) => one.id)).size).toBe(3)
    await settled(id, 3)
  })

  it('that was dropped by hand stays dropped after a rewind, is still seen, and goes out when it is asked for', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    receiver.answer(() => ({ status: 500 }))
    await placeOrder()
    await eventually(async () => (await deliveriesOf(id))[0]?.attempt_count === 1)
    const [{ id: delivery }] = await deliveriesOf(id)
    await cell.database.transaction((session) =>
      session.run(
        `update webhooks.deliveries set state = 'dead', reason = 'attempts_exhausted', next_at = null
         where endpoint_id = (select id from webhooks.endpoints order by created_at desc limit 1)`,
      ),
    )
    expect((await cell.call('DELETE', `/v1/dead-letters/${delivery}?reason=read+by+hand`)).status).toBe(204)
    expect((await cell.call('GET', `/v1/dead-letters/${delivery}`)).status).toBe(404)
    receiver.answer(() => ({ status: 200 }))
    await cell.call('POST', '/v1/consumers/webhooks/rewind', { body: { to: 'start' } })
    await placeOrder()
    await eventually(() => receiver.received.length === 2) // the new one; the log was read up to it again
    expect(receiver.received[1]!.id).not.toBe(delivery)
    expect(await deliveriesOf(id, '&status=dropped')).toMatchObject([
      { id: delivery, status: 'dropped', reason: null, attempt_count: 1 },
    ])
    expect(await deliveriesOf(id, '&status=dead')).toEqual([])
    expect((await cell.call('POST', `/v1/webhook-deliveries/${delivery}/redeliver`)).status).toBe(200)
    await eventually(() => receiver.received.length === 3)
    expect(receiver.received[2]!.id).toBe(delivery)
  })
})

describe('an endpoint', () => {
  it('that answers 410 is disabled, and what was still to be sent to it is dead', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    receiver.answer(() => ({ status: 410 }))
    await placeOrder()
    await eventually(async () => !(await cell.call('GET', `/v1/webhook-endpoints/${id}`)).json.enabled)
    const { json } = await cell.call('GET', `/v1/webhook-endpoints/${id}`)
    expect(json).toMatchObject({ enabled: false, disabled_reason: 'gone' })
    expect((await deliveriesOf(id))[0]).toMatchObject({ status: 'dead', reason: 'endpoint_gone' })
    await placeOrder()
    const test = await cell.call('POST', `/v1/webhook-endpoints/${id}/test`)
    expect(test).toMatchObject({ status: 409, json: { code: 'webhook_endpoint_disabled' } })

    receiver.answer(() => ({ status: 200 }))
    const enabled = await cell.call('PATCH', `/v1/webhook-endpoints/${id}`, { body: { enabled: true } })
    expect(enabled.json).toMatchObject({ enabled: true, disabled_reason: null, failing_since: null })
    const order = await placeOrder()
    await eventually(() => receiver.received.length === 2)
    expect(receiver.received[1]!.event.subject).toBe(order)
  })

  it('that has failed for five days is disabled; a success in between forgets the failures', async () => {
    const { receiver, id } = await openEndpoint(['order.placed'])
    receiver.answer(() => ({ status: 500 }))
    const failingSince = (days: number) =>
      cell.database.transaction((session) =>
        session.run(
          `update webhooks.endpoints set failing_since = now() - $1 * interval '1 day'
           where id = (select endpoint_id from webhooks.deliveries where event_id = $2)`,
          [days, eventId],
        ),
      )
    await placeOrder()
    await eventually(async () => (await deliveriesOf(id))[0]?.attempt_count === 1)
    const eventId = (await deliveriesOf(id))[0].event_id
    expect((await cell.call('GET', `/v1/webhook-endpoints/${id}`)).json.failing_since).not.toBeNull()

    await failingSince(4.9)
    receiver.answer(() => ({ status: 200 }))
    await placeOrder()
    await eventually(async () => (await cell.call('GET', `/v1/webhook-endpoints/${id}`)).json.failing_since === null)

    await failingSince(5.1)
    receiver.answer(() => ({ status: 500 }))
    await placeOrder()
    await eventually(async () => !(await cell.call('GET', `/v1/webhook-endpoints/${id}`)).json.enabled)
    expect((await cell.call('GET', `/v1/webhook-endpoints/${id}`)).json.disabled_reason).toBe('failing')
    await settled(id, 3)
    expect((await deliveriesOf(id, '&status=dead')).map((one: { reason: string }) => one.reason)).toContain(
      'endpoint_disabled',
    )
  })

  it('has two secrets for a day after its secret was changed', async () => {
    const { receiver, id, secret } = await openEndpoint(['order.placed'])
    const key = crypto.randomUUID()
    const rotated = await cell.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, { key })
    expect(rotated.status).toBe(200)
    const fresh = rotated.json.secret
    expect(fresh).not.toBe(secret)
    const again = await cell.call('POST', `/v1/webhook-endpoints/${id}/rotate-secret`, { key })
    expect(again.json.secret).toBe(fresh)
    await placeOrder()
    await eventually(() => receiver.received.length === 1)
    expect([isVerified(secret, receiver.received[0]!), isVerified(fresh, receiver.received[0]!)]).toEqual([true, true])

    await cell.database.transaction((session) =>
      session.run(`update webhooks.endpoints set old_secret_until = now() where old_secret = $1`, [secret]),
    )
    await placeOrder()
    await eventually(() => receiver.received.length === 2)
    expect([isVerified(secret, receiver.received[1]!), isVerified(fresh, receiver.received[1]!)]).toEqual([false, true])
  })

  it('can be tested: an event of its own kind, once for a key', async () => {
    const { receiver, id, secret } = await openEndpoint(['hold.expired'])
    const key = crypto.randomUUID()
    const first = await cell.call('POST', `/v1/webhook-endpoints/${id}/test`, { key })
    expect(first).toMatchObject({ status: 202, json: { type: 'webhook.test', endpoint_id: id } })
    const again = await cell.call('POST', `/v1/webhook-endpoints/${id}/test`, { key })
    expect(again.json.id).toBe(first.json.id)
    await settled(id, 1)
    expect(receiver.received.length).toBe(1)
    expect(receiver.received[0]).toMatchObject({
      id: first.json.id,
      event: { type: 'webhook.test', specversion: '1.0' },
    })
    expect(isVerified(secret, receiver.received[0]!)).toBe(true)
  })
})
