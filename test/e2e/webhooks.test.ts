// Webhooks of a real server: its whole API by bare requests, and that nothing is lost when the process that sends is killed.
import { afterAll, describe, expect, it } from 'vitest'
import { lineOf, newKey, paidOrder, type Reply, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { cellProcess, postmasterPid } from '../support/holdfast.ts'
import { isVerified, openReceiver, type Receiver } from '../support/webhook-receiver.ts'

const server = useServer()
const receivers: Receiver[] = []
afterAll(() => Promise.all(receivers.map((one) => one.close())))

async function receiver(): Promise<Receiver> {
  const opened = await openReceiver()
  receivers.push(opened)
  return opened
}

const make = (body: object, options: object = {}): Promise<Reply> =>
  server.ask('POST /v1/webhook-endpoints', { body, ...options })

describe('endpoints', () => {
  it('are made, read, changed and deleted; the secret is shown when they are made', async () => {
    const { url } = await receiver()
    const key = newKey()
    const made = await make({ url, types: ['order.*'] }, { idempotencyKey: key })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/v1/webhook-endpoints/${made.body.id}`)
    expect(made.body).toEqual({
      id: expect.stringMatching(/^whe_eu1_[0-9a-hjkmnp-tv-z]{26}$/),
      url: `${url}/`,
      types: ['order.*'],
      enabled: true,
      disabled_reason: null,
      failing_since: null,
      created_at: expect.any(String),
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    })
    const again = await make({ url, types: ['order.*'] }, { idempotencyKey: key })
    expect([again.status, again.headers.get('idempotent-replayed'), again.body]).toEqual([201, 'true', made.body])
    expect((await make({ url, types: ['*'] }, { idempotencyKey: key })).body.code).toBe('idempotency_key_reused')

    const { secret: _, ...shown } = made.body
    const path = `/v1/webhook-endpoints/${made.body.id}`
    expect((await server.ask(`GET ${path}`)).body).toEqual(shown)
    expect((await server.ask('GET /v1/webhook-endpoints')).body).toEqual({ data: [shown], next_cursor: null })
    const changed = await server.ask(`PATCH ${path}`, { body: { types: ['*', 'stock.low'], enabled: false } })
    expect(changed.body).toEqual({ ...shown, types: ['*', 'stock.low'], enabled: false, disabled_reason: 'asked' })
    expect((await server.ask(`PATCH ${path}`, { body: { enabled: true } })).body).toMatchObject({
      enabled: true,
      disabled_reason: null,
    })
    const rotated = await server.ask(`POST ${path}/rotate-secret`)
    expect(rotated.status).toBe(200)
    expect(rotated.body.secret).not.toBe(made.body.secret)
    const tested = await server.ask(`POST ${path}/test`)
    expect(tested).toMatchObject({ status: 202, body: { type: 'webhook.test', status: 'pending' } })

    expect((await server.ask(`DELETE ${path}`)).status).toBe(204)
    expect((await server.ask(`DELETE ${path}`)).body.code).toBe('not_found')
    expect((await server.ask(`GET ${path}`)).body.code).toBe('not_found')
    expect((await server.ask(`PATCH ${path}`, { body: {} })).body.code).toBe('not_found')
    expect((await server.ask(`POST ${path}/rotate-secret`)).body.code).toBe('not_found')
    expect((await server.ask(`POST ${path}/test`)).body.code).toBe('not_found')
    expect((await server.ask('GET /v1/webhook-endpoints')).body.data).toEqual([])
  })

  it.each([
    [{ types: ['*'] }, 400, 'invalid_body', '/url'],
    [{ url: 'http://127.0.0.1/' }, 400, 'invalid_body', '/types'],
    [{ url: 'http://127.0.0.1/', types: [] }, 400, 'invalid_body', '/types'],
    [{ url: 'http://127.0.0.1/', types: ['*', '*'] }, 400, 'invalid_body', '/types'],
    [{ url: 'http://127.0.0.1/', types: [1] }, 400, 'invalid_body', '/types/0'],
    [{ url: 'http://127.0.0.1/', types: ['*'], secret: 'mine' }, 400, 'unknown_field', '/secret'],
    [{ url: 'http://127.0.0.1/', types: ['*', 'order'] }, 422, 'event_type_unknown', '/types/1'],
    [{ url: 'nowhere', types: ['*'] }, 422, 'url_not_allowed', '/url'],
    [{ url: 'http://a:b@127.0.0.1/', types: ['*'] }, 422, 'url_not_allowed', '/url'],
    [{ url: 'ftp://127.0.0.1/', types: ['*'] }, 422, 'url_not_allowed', '/url'],
  ])('%j is refused: %i %s at %s', async (body, status, code, pointer) => {
    const refused = await make(body)
    expect(refused).toMatchObject({ status, body: { code } })
    expect(refused.body.errors[0].pointer).toBe(pointer)
  })

  it('need a key of the request, and a key with their scopes', async () => {
    const body = { url: 'http://127.0.0.1/', types: ['*'] }
    expect((await make(body, { idempotencyKey: null })).body.code).toBe('idempotency_key_required')
    expect(
      (await make(body, { key: 'pk_dev', headers: { 'holdfast-visitor': 'visitor-of-the-tests' } })).body.code,
    ).toBe('forbidden')
    expect((await server.ask('GET /v1/webhook-endpoints', { key: 'pk_dev' })).body.code).toBe('forbidden')
    expect((await server.ask('GET /v1/webhook-deliveries', { key: null })).body.code).toBe('unauthorized')
  })
})

describe('deliveries', () => {
  it('are listed newest first in pages, by endpoint, status and event, and read one by one', async () => {
    const hook = await receiver()
    const { body: endpoint } = await make({ url: `${hook.url}/a?b=c`, types: ['order.placed'] })
    const sku = await stocked(server.sk, 10)
    for (let n = 0; n < 5; n++) await server.sk.orders.place(paidOrder(lineOf(sku)))
    await eventually(() => hook.received.length === 5)
    const list = async (query: string) => (await server.ask(`GET /v1/webhook-deliveries?${query}`)).body
    const path = `endpoint=${endpoint.id}&status=delivered`
    await eventually(async () => (await list(path)).data.length === 5)
    const first = await list(`${path}&limit=3`)
    const second = await list(`${path}&limit=3&cursor=${first.next_cursor}`)
    const all = [...first.data, ...second.data]
    expect([first.data.length, second.data.length, second.next_cursor]).toEqual([3, 2, null])
    expect(all.map(({ id }) => id)).toEqual(hook.received.map(({ id }) => id).toReversed())
    expect((await list(`event=${all[2].event_id}`)).data.map(({ id }: { id: string }) => id)).toContain(all[2].id)
    expect((await list(`endpoint=${endpoint.id}&status=dead`)).data).toEqual([])
    expect((await list('endpoint=whe_eu1_nobody')).data).toEqual([])
    expect(await list('cursor=x')).toMatchObject({ code: 'cursor_invalid' })
    expect(await list('status=lost')).toMatchObject({ code: 'invalid_parameter' })

    const one = (await server.ask(`GET /v1/webhook-deliveries/${all[0].id}`)).body
    expect(one).toMatchObject({ ...all[0], body: hook.received.at(-1)!.body, attempts: [{ status: 200 }] })
    expect(hook.received.at(-1)!.path).toBe('/a?b=c')
    expect(isVerified(endpoint.secret, hook.received.at(-1)!)).toBe(true)
    for (const id of ['whd_eu1_x', all[0].id.slice(0, -1), `${all[0].id.slice(0, -26)}${'0'.repeat(26)}`, 'x']) {
      expect((await server.ask(`GET /v1/webhook-deliveries/${id}`)).body.code).toBe('not_found')
      expect((await server.ask(`POST /v1/webhook-deliveries/${id}/redeliver`)).body.code).toBe('not_found')
    }
    expect((await server.ask(`POST /v1/webhook-deliveries/${all[0].id}/redeliver`)).status).toBe(200)
    await eventually(() => hook.received.length === 6)
    expect(hook.received.at(-1)!.id).toBe(all[0].id)
    await server.ask(`DELETE /v1/webhook-endpoints/${endpoint.id}`)
    expect((await server.ask(`POST /v1/webhook-deliveries/${all[0].id}/redeliver`)).body.code).toBe(
      'webhook_endpoint_disabled',
    )
  })

  it('are all made although the process is killed in the middle, and what comes twice has the same id', {
    timeout: 120_000,
  }, async () => {
    const hook = await receiver()
    hook.answer(async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return { status: 200 }
    })
    await make({ url: hook.url, types: ['order.placed'] })
    const sku = await stocked(server.sk, 1_000)
    const place = (count: number) =>
      Promise.all(Array.from({ length: count }, () => server.sk.orders.place(paidOrder(lineOf(sku)))))
    const placed: string[] = []
    for (let round = 1; round <= 3; round++) {
      placed.push(...(await place(200)).map(({ id }) => id))
      await eventually(() => hook.received.length > placed.length - 190, 30_000)
      const killed = cellProcess(server.data)!
      process.kill(killed, 'SIGKILL')
      const answers = async () => (await fetch(`${server.url}/readyz`).catch(() => undefined))?.status === 200
      await eventually(async () => cellProcess(server.data) !== killed && (await answers()), 30_000)
    }
    const told = () => new Set(hook.received.map(({ event }) => event.subject))
    await eventually(() => placed.every((id) => told().has(id)), 60_000)
    const idsOf = Map.groupBy(hook.received, ({ event }) => event.id)
    for (const [, sent] of idsOf) expect(new Set(sent.map(({ id }) => id)).size).toBe(1)
    expect(idsOf.size).toBe(placed.length)
    await eventually(
      async () => (await server.ask('GET /v1/webhook-deliveries?status=pending')).body.data.length === 0,
      30_000,
    )
  })

  it('go on after PostgreSQL was killed', { timeout: 120_000 }, async () => {
    const hook = await receiver()
    await make({ url: hook.url, types: ['order.placed'] })
    const sku = await stocked(server.sk, 100)
    const first = await server.sk.orders.place(paidOrder(lineOf(sku)))
    await eventually(() => hook.received.length === 1, 20_000)
    process.kill((await postmasterPid(server.data))!, 'SIGKILL')
    await eventually(async () => (await fetch(`${server.url}/readyz`)).status === 200, 60_000)
    const placed: string[] = [first.id]
    for (let n = 0; n < 20; n++) placed.push((await server.sk.orders.place(paidOrder(lineOf(sku)))).id)
    const told = () => new Set(hook.received.map(({ event }) => event.subject))
    await eventually(() => placed.every((id) => told().has(id)), 60_000)

    // Its jobs work again too: what fails now is tried again after 5 s.
    const isFirst = (id: string) => hook.received.filter((one) => one.id === id).length === 1
    hook.answer(({ id, event }) => ({ status: !placed.includes(event.subject) && isFirst(id) ? 500 : 200 }))
    const last = await server.sk.orders.place(paidOrder(lineOf(sku)))
    await eventually(() => hook.received.filter(({ event }) => event.subject === last.id).length === 2, 30_000)
  })
})
