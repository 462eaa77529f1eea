// API.md, Events: pages and streams of the log on a real server. Nothing is skipped, a subject's versions have no gap, and a
// position resumes exactly where it was.
import { describe, expect, test } from 'vitest'
import type { HoldfastEvent } from '../../sdk/src/client.ts'
import { lineOf, newSku, paidOrder, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

const server = useServer()

/** Everything from a position to the present end. */
async function everything(query: { after?: string; types?: string; limit?: number } = {}) {
  const events: HoldfastEvent[] = []
  let position = query.after ?? ''
  for (;;) {
    const page = await server.sk.events.page({ limit: 200, ...query, after: position })
    events.push(...page.data)
    if (page.next_position === position || page.data.length === 0) return { events, position: page.next_position }
    position = page.next_position
  }
}

/** Where the log ends once everything so far has appeared, which takes a moment. */
async function endOfLog(): Promise<string> {
  const sku = await stocked(server.sk, 1)
  let position = ''
  await eventually(async () => {
    const { events, position: end } = await everything({ after: position, types: 'stock.adjusted' })
    position = end
    return events.some(({ subject }) => subject.endsWith(`:${sku}`))
  })
  return position
}

const typesOf = (events: readonly HoldfastEvent[]) => events.map(({ type }) => type)

describe('a page', () => {
  test('tells what happened as CloudEvents, oldest first, with contiguous versions of each subject', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 10)
    const hold = await server.sk.holds.place({ lines: [{ sku, quantity: 2 }], ttl_seconds: 60 })
    const order = await server.sk.orders.place({ ...paidOrder(lineOf(sku, 2)), hold_id: hold.id })
    const released = await server.sk.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 60 })
    await server.sk.holds.extend(released.id, { ttl_seconds: 30 })
    await server.sk.holds.release(released.id)
    await server.sk.orders.cancel(order.id, { reason: 'buyer' })
    await endOfLog()
    const { events } = await everything({ after: from })
    const ours = events.filter(({ subject }) => [`stock:main:${sku}`, hold.id, order.id, released.id].includes(subject))
    expect(ours.map(({ type, subject, subjectversion }) => [type, subject, subjectversion])).toEqual([
      ['stock.adjusted', `stock:main:${sku}`, 1],
      ['hold.created', hold.id, 1],
      ['hold.consumed', hold.id, 2],
      ['order.placed', order.id, 1],
      ['order.confirmed', order.id, 2],
      ['hold.created', released.id, 1],
      ['hold.extended', released.id, 2],
      ['hold.released', released.id, 3],
      ['order.cancelled', order.id, 3],
      ['payment.refunded', order.id, 4],
    ])
    for (const event of ours) {
      expect(event).toMatchObject({ specversion: '1.0', source: '/cells/eu1', datacontenttype: 'application/json' })
      expect(Math.abs(Date.parse(event.time) - Date.now())).toBeLessThan(30_000)
    }
    expect(new Set(ours.map(({ id }) => id)).size).toBe(ours.length)
    expect(JSON.stringify(ours)).not.toMatch(/example\.com|Storgatan/)
  })

  test('has at most `limit` events, and the next one goes on where it ended', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 100)
    for (let n = 0; n < 10; n++) await server.sk.orders.place(paidOrder(lineOf(sku)))
    const until = await endOfLog()
    const whole = await everything({ after: from })
    const small: HoldfastEvent[] = []
    for (let position = from; position !== until; ) {
      const page = await server.sk.events.page({ after: position, limit: 3 })
      expect(page.data.length).toBeLessThanOrEqual(3)
      small.push(...page.data)
      position = page.next_position
      if (page.data.length === 0) break
    }
    expect(small.map(({ id }) => id)).toEqual(whole.events.map(({ id }) => id))
    expect(typesOf(small).filter((type) => type === 'order.placed')).toHaveLength(10)
  })

  test('of some types moves on past the others', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 10)
    await server.sk.orders.place(paidOrder(lineOf(sku)))
    await server.sk.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 60 })
    await endOfLog()
    const types = async (wanted: string) => typesOf((await everything({ after: from, types: wanted })).events)
    expect(await types('order.*')).toEqual(['order.placed', 'order.confirmed'])
    expect(await types('order.confirmed,hold.created')).toEqual(['order.confirmed', 'hold.created'])
    const nothing = await server.sk.events.page({ after: from, types: 'shipment.created' })
    expect(nothing.data).toEqual([])
    expect(nothing.next_position).not.toBe(from)
    expect(
      (await everything({ after: nothing.next_position })).events.filter(({ type }) => /order/.test(type)),
    ).toEqual([])
  })

  test('without a position, or with an empty one, begins at the oldest', async () => {
    await endOfLog()
    const [absent, empty] = [
      await server.ask('GET /v1/events?limit=5'),
      await server.ask('GET /v1/events?limit=5&after='),
    ]
    expect(absent.body.data).toHaveLength(5)
    expect(absent.body.data[0]).toMatchObject({ type: 'stock.adjusted', subjectversion: 1 })
    expect(empty.body).toEqual(absent.body)
  })

  test('a new event appears soon', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 1)
    await eventually(async () => {
      const { events } = await everything({ after: from })
      return events.some(({ subject }) => subject === `stock:main:${sku}`)
    })
  })

  test.each([
    ['after=nonsense', 400, 'cursor_invalid'],
    ['types=%21', 400, 'invalid_parameter'],
    ['limit=0', 400, 'invalid_parameter'],
    ['cell=us1', 422, 'cell_not_found'],
  ])('is refused for ?%s', async (query, status, code) => {
    expect(await server.ask(`GET /v1/events?${query}`)).toMatchObject({ status, body: { code } })
  })

  test('stock.short names the orders that cannot be served', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 5)
    await server.sk.orders.place(paidOrder(lineOf(sku, 3)))
    const last = await server.sk.orders.place(paidOrder(lineOf(sku, 2)))
    await server.sk.stock.adjust([{ sku, delta: -1, reason: 'damaged' }])
    await endOfLog()
    const { events } = await everything({ after: from, types: 'stock.short' })
    expect(events).toMatchObject([{ data: { sku, location: 'main', short: 1, orders: [last.id] } }])
  })

  test('a hold that runs out says so', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 1)
    const { id } = await server.sk.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 1 })
    await eventually(async () => {
      const { events } = await everything({ after: from, types: 'hold.expired' })
      return events.some(({ subject, subjectversion }) => subject === id && subjectversion === 2)
    })
  })
})

describe('a stream', () => {
  /** Reads until `enough` says so; what came and where it ended. */
  async function read(options: { after?: string; types?: string }, enough: (events: HoldfastEvent[]) => boolean) {
    const stop = new AbortController()
    const events: HoldfastEvent[] = []
    let position = options.after
    for await (const one of server.sk.events.stream({ ...options, signal: stop.signal })) {
      events.push(one.event)
      position = one.position
      if (enough(events)) stop.abort()
    }
    return { events, position }
  }

  test('tells what is there and what comes, in the order of the pages', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 100)
    await server.sk.orders.place(paidOrder(lineOf(sku)))
    const reading = read({ after: from, types: 'order.*' }, (events) => events.length === 42)
    for (let n = 0; n < 20; n++) await server.sk.orders.place(paidOrder(lineOf(sku)))
    const { events } = await reading
    const paged = await everything({ after: from, types: 'order.*' })
    expect(events.map(({ id }) => id)).toEqual(paged.events.map(({ id }) => id))
  })

  test('resumes after the last event, wherever the connection broke', async () => {
    const from = await endOfLog()
    const sku = await stocked(server.sk, 100)
    for (let n = 0; n < 10; n++) await server.sk.orders.place(paidOrder(lineOf(sku)))
    const seen: HoldfastEvent[] = []
    let after: string | undefined = from
    while (seen.length < 20) {
      const part = await read(
        { after, types: 'order.*' },
        (events) => events.length === 3 || seen.length + events.length === 20,
      )
      seen.push(...part.events)
      after = part.position
    }
    const paged = await everything({ after: from, types: 'order.*' })
    expect(seen.map(({ id }) => id)).toEqual(paged.events.map(({ id }) => id))
  })

  test('speaks as browsers expect, and heeds Last-Event-ID', async () => {
    const from = await endOfLog()
    const sku = newSku()
    await stocked(server.sk, 7, sku)
    const stop = new AbortController()
    const answer = await fetch(`${server.url}/v1/events`, {
      headers: { authorization: 'Bearer sk_dev', accept: 'text/event-stream', 'last-event-id': from },
      signal: stop.signal,
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of answer.body!) {
      text += decoder.decode(chunk, { stream: true })
      if (text.includes(sku)) break
    }
    stop.abort()
    const first = /^id: (\S+)\ndata: (.*)\n\n/m.exec(text)!
    expect(JSON.parse(first[2]!)).toMatchObject({ type: 'stock.adjusted', data: { sku, delta: 7 } })
    expect((await everything({ after: first[1]! })).events.map(({ subject }) => subject)).not.toContain(
      `stock:main:${sku}`,
    )
  })
})
