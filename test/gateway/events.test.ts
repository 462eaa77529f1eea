// GET /v1/events as pages and as a stream.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 100)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const place = (more = {}) => cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, more) })
const events = async (query = '') => (await cell.call('GET', `/v1/events?${query}`)).json

/** Everything of an order, once the log has settled over it. */
const eventsOf = async (id: string): Promise<{ type: string; subjectversion: number }[]> =>
  (await events('types=order.*&limit=200')).data.filter(({ subject }: { subject: string }) => subject === id)

describe('pages', () => {
  it('tell what happened, oldest first, as CloudEvents', async () => {
    const { json: order } = await place({ payment: { provider: 'none' } })
    await eventually(async () => (await eventsOf(order.id)).length === 2)
    expect(await eventsOf(order.id)).toMatchObject([
      {
        specversion: '1.0',
        id: expect.any(String),
        source: '/cells/eu1',
        type: 'order.placed',
        subjectversion: 1,
        data: { order_id: order.id, total: 500 },
      },
      { type: 'order.confirmed', subjectversion: 2 },
    ])
    const [first] = (await events('limit=1')).data
    expect(first).toMatchObject({ type: 'stock.adjusted', subject: 'stock:main:A-1', data: { sku: 'A-1', delta: 100 } })
  })

  it('go on where the last one ended, none twice and none left out', async () => {
    for (let nth = 0; nth < 5; nth++) await place()
    const whole = async () => (await events('limit=200')).data.map(({ id }: { id: string }) => id)
    await eventually(async () => (await whole()).length === 8) // one of stock, two of the order above, five placed
    const expected = await whole()
    const seen: string[] = []
    let after = ''
    while (seen.length < expected.length) {
      const { data, next_position } = await events(`limit=2&after=${after}`)
      seen.push(...data.map(({ id }: { id: string }) => id))
      after = next_position
    }
    expect(seen).toEqual(expected)
    const end = await events(`after=${after}`)
    expect(end).toEqual({ data: [], next_position: after })
  })

  it.each([
    ['after=nonsense', 400, 'cursor_invalid'],
    ['types=Order', 400, 'invalid_parameter'],
    ['types=order.*;drop', 400, 'invalid_parameter'],
    ['cell=us1', 422, 'cell_not_found'],
    ['cell=*&after=nonsense', 400, 'cursor_invalid'],
    ['cell=*&after=v1.eu1.nonsense', 400, 'cursor_invalid'],
    ['cell=*&after=v1.eu1', 400, 'cursor_invalid'],
    ['limit=1000', 400, 'invalid_parameter'],
  ])('refuse ?%s', async (query, status, code) => {
    expect(await events(query)).toMatchObject({ status, code })
  })

  it('of all cells, in a lone cell, are its own by a vector', async () => {
    const [own, all] = [await events('cell=eu1'), await events('cell=*')]
    expect(all.data).toEqual(own.data)
    expect(all).toMatchObject({ missing_cells: [], next_position: `v1.eu1.${own.next_position}` })
    expect((await events(`cell=*&after=${all.next_position}`)).data).toEqual([])
    expect(await events(`after=${all.next_position}`)).toMatchObject({ code: 'cursor_invalid' })
  })

  it('are not for storefronts', async () => {
    expect((await cell.call('GET', '/v1/events', { as: 'pk_dev' })).json).toMatchObject({
      status: 403,
      code: 'forbidden',
    })
  })
})

describe('streams', () => {
  /** Collects messages until it is closed. */
  async function open(query: string, headers: Record<string, string> = {}) {
    const leaving = new AbortController()
    const answer = await fetch(`${cell.url}/v1/events?${query}`, {
      headers: { authorization: 'Bearer sk_dev', accept: 'text/event-stream', ...headers },
      signal: leaving.signal,
    })
    const messages: { id: string; event: { type: string; subject: string } }[] = []
    const reading = (async () => {
      let rest = ''
      for await (const chunk of answer.body!) {
        rest += new TextDecoder().decode(chunk)
        const parts = rest.split('\n\n')
        rest = parts.pop()!
        for (const part of parts) {
          const match = /^id: (\S+)\ndata: (.+)$/.exec(part)
          if (match) messages.push({ id: match[1]!, event: JSON.parse(match[2]!) })
        }
      }
    })().catch(() => {})
    return {
      answer,
      messages,
      async close() {
        leaving.abort()
        await reading
      },
    }
  }

  it('bring what there was, then what happens, and resume after the last id', async () => {
    const stream = await open('types=order.placed')
    expect(stream.answer.headers.get('content-type')).toBe('text/event-stream')
    const { json: order } = await place()
    await eventually(() => stream.messages.some(({ event }) => event.subject === order.id))
    expect(new Set(stream.messages.map(({ event }) => event.type))).toEqual(new Set(['order.placed']))
    await stream.close()

    const last = stream.messages.at(-1)!
    const next = await open('types=order.placed', { 'last-event-id': last.id })
    const { json: later } = await place()
    await eventually(() => next.messages.length > 0)
    expect(next.messages.map(({ event }) => event.subject)).toEqual([later.id])
    await next.close()
  })

  it('refuse before they begin what pages refuse', async () => {
    const stream = await open('', { 'last-event-id': 'nonsense' })
    expect(stream.answer.status).toBe(400)
    expect(stream.answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    await stream.close()
  })

  it('end when the server does', async () => {
    const ending = await openHttpCell()
    const answer = await fetch(`${ending.url}/v1/events`, {
      headers: { authorization: 'Bearer sk_dev', accept: 'text/event-stream' },
    })
    const ended = answer.text()
    await ending.stop()
    expect(await ended).toContain(': live')
  })
})
