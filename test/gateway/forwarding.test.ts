// Requests that belong to another cell, over real sockets: whoever asks gets the home's answer from any cell, and nothing of it
// stays on the way. Two cells are ours; a third, `ap1`, is a server that does as a test says.
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, orderBody, receive, visitor } from '../support/http-cell.ts'
import { type HttpCells, openHttpCells } from '../support/http-cells.ts'

type Play = (request: IncomingMessage, response: ServerResponse) => void

let all: HttpCells
let [eu1, us1] = [] as unknown as [HttpCell, HttpCell]
let play: Play
const far = createServer((request, response) => play(request, response))
const farOrder = '/v1/orders/ord_ap1_01m83e52mxemrrda1f1s17zv95'

beforeAll(async () => {
  await new Promise<void>((resolve) => far.listen(0, '127.0.0.1', resolve))
  all = await openHttpCells(['eu1', 'us1'], { ap1: `http://127.0.0.1:${(far.address() as AddressInfo).port}` })
  ;[eu1, us1] = [all.cells.eu1!, all.cells.us1!]
  for (const cell of [eu1, us1]) await receive(cell, 'A-1', 1_000)
})
afterEach(() => {
  all.down.clear()
  all.change({ eu1: { state: 'active' }, us1: { state: 'active' } })
})
afterAll(async () => {
  expect([...eu1.faults, ...us1.faults]).toEqual([])
  far.closeAllConnections()
  far.close()
  await all.stop()
})

const place = (cell: HttpCell, key: string, more: object = {}, quantity = 1) =>
  cell.call('POST', '/v1/orders', { key, body: orderBody('A-1', quantity, more) })
let keys = 0
const newKey = (cell?: string): string => `${cell === undefined ? '' : `${cell}.`}key-${++keys}`
const countAt = async (cell: HttpCell, sql: string): Promise<number> =>
  (await cell.database.query<{ count: number }>(`select count(*)::integer as count from ${sql}`))[0]!.count

describe('an order', () => {
  it('is read and changed from any cell, and its home answers', async () => {
    const placed = await place(us1, newKey())
    expect(placed.json.id).toMatch(/^ord_us1_/)
    const path = `/v1/orders/${placed.json.id}`
    const [near, there] = [await eu1.call('GET', path), await us1.call('GET', path)]
    expect(near.json).toEqual(there.json)
    expect(near.headers.get('etag')).toBe(there.headers.get('etag'))
    expect([near.headers.get('holdfast-cell'), near.headers.get('holdfast-via')]).toEqual(['us1', 'eu1'])
    expect((await eu1.call('HEAD', path)).status).toBe(200)
    const stale = await eu1.call('PATCH', path, { body: { note: 'x' }, headers: { 'if-match': '"99"' } })
    expect(stale.json).toMatchObject({ code: 'precondition_failed' })
    const cancelled = await eu1.call('POST', `${path}/cancel`, { body: { reason: 'buyer' } })
    expect(cancelled.json).toMatchObject({ id: placed.json.id, status: 'cancelled' })
    expect((await eu1.call('GET', `${path}/events`)).json.data).toHaveLength(2)
  })

  it('is told to the other cells by its key unless that names the cell, and to nobody by a cell that is alone', async () => {
    const keyed = () => countAt(eu1, `runtime.events where type = 'order.keyed'`)
    const before = await keyed()
    for (const key of [newKey(), newKey('eu1'), newKey('eu9')]) expect((await place(eu1, key)).status).toBe(201)
    all.change({ us1: { state: 'removed' }, ap1: { state: 'removed' } })
    expect((await place(eu1, newKey())).status).toBe(201)
    all.change({ us1: { state: 'active' }, ap1: { state: 'active' } })
    expect(await keyed()).toBe(before + 2)
  })

  it('is placed where its key says, and a retry is answered from everywhere', async () => {
    const key = newKey('us1')
    const placed = await place(eu1, key)
    expect(placed.status).toBe(201)
    expect(placed.json.id).toMatch(/^ord_us1_/)
    expect(placed.headers.get('location')).toBe(`/v1/orders/${placed.json.id}`)
    for (const cell of [eu1, us1]) {
      const again = await place(cell, key)
      expect([again.status, again.json.id, again.headers.get('idempotent-replayed')]).toEqual([
        201,
        placed.json.id,
        'true',
      ])
      expect((await place(cell, key, {}, 2)).json).toMatchObject({ code: 'idempotency_key_reused' })
    }
  })

  it('is placed here when its key names no cell', async () => {
    expect((await place(eu1, newKey())).json.cell).toBe('eu1')
    expect((await place(us1, newKey('eu9'))).json.cell).toBe('us1')
  })

  it('runs with its hold, wherever it comes in', async () => {
    const body = { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 }
    const hold = async () => (await us1.call('POST', '/v1/holds', { body })).json.id as string
    for (const key of [newKey(), newKey('us1')]) {
      const placed = await place(eu1, key, { hold_id: await hold() })
      expect(placed.json).toMatchObject({ cell: 'us1' })
      expect((await place(eu1, key, { hold_id: placed.json.hold_id })).headers.get('idempotent-replayed')).toBe('true')
    }
    const other = await place(us1, newKey('eu1'), { hold_id: await hold() })
    expect(other.json).toMatchObject({ status: 422, code: 'key_names_another_cell' })
    const released = await eu1.call('DELETE', `/v1/holds/${await hold()}`)
    expect([released.status, released.text]).toEqual([204, ''])
  })

  it('is refused by the home as it would be there', async () => {
    expect((await eu1.call('GET', '/v1/orders/ord_us1_01m83e52mxemrrda1f1s17zv95')).json).toMatchObject({
      code: 'not_found',
    })
    const path = '/v1/orders'
    const headers = { 'idempotency-key': newKey('us1') }
    expect((await eu1.call('POST', path, { body: '{', key: null, headers })).json).toMatchObject({
      code: 'invalid_json',
    })
    expect((await eu1.call('POST', path, { as: 'sk_test_nobody', key: newKey('us1') })).status).toBe(401)
    const storefront = await eu1.call('POST', '/v1/holds', {
      as: 'pk_dev',
      key: newKey('us1'),
      body: { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 },
      headers: { 'holdfast-visitor': visitor },
    })
    expect(storefront.json.id).toMatch(/^hld_us1_/)
  })

  it('leaves nothing of itself in the cell that forwarded it', async () => {
    const marker = 'marker-of-a-buyer'
    const before = await countAt(eu1, 'orders.orders')
    const placed = await place(eu1, newKey('us1'), { customer: { email: `${marker}@example.com` }, note: marker })
    expect(placed.status).toBe(201)
    expect(await countAt(eu1, 'orders.orders')).toBe(before)
    all.down.add('us1')
    expect((await place(eu1, newKey('us1'), { note: marker })).status).toBe(503)
    expect(JSON.stringify(eu1.faults)).not.toContain(marker)
  })
})

describe('lines of a bulk request', () => {
  it('run where their keys and holds say, and are answered in their order', async () => {
    const body = { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 }
    const hold = (await us1.call('POST', '/v1/holds', { body })).json.id as string
    const names = [undefined, 'us1', 'eu1', 'ap1', 'us1', undefined]
    const lines = names.map((name) => ({ ...orderBody('A-1'), idempotency_key: newKey(name) }))
    Object.assign(lines[5]!, { hold_id: hold })
    lines.push({ ...orderBody('A-1'), idempotency_key: newKey('eu1'), ...{ hold_id: hold } })
    all.down.add('ap1')
    const send = async () => {
      const text = lines.map((line) => JSON.stringify(line)).join('\n')
      const headers = { 'content-type': 'application/x-ndjson' }
      const answer = await eu1.call('POST', '/v1/orders/bulk', { body: text, key: null, headers })
      return answer.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    }
    const first = await send()
    expect(first.map(({ order, problem }) => order?.cell ?? problem.code)).toEqual([
      'eu1',
      'us1',
      'eu1',
      'cell_unreachable',
      'us1',
      'us1',
      'key_names_another_cell',
    ])
    expect(first[3]).toMatchObject({ status: 503, problem: { may_have_happened: false } })
    const again = await send()
    expect(again.map(({ order }) => order?.id)).toEqual(first.map(({ order }) => order?.id))
    expect(again.filter(({ replayed }) => replayed)).toHaveLength(5)
  })
})

describe('what travels', () => {
  it('is who asks, for what, and the trace; never what belongs to a connection, nor what nobody asked for', async () => {
    let seen: IncomingMessage | undefined
    play = (request, response) => {
      seen = request
      response.writeHead(207, {
        'x-own': 'a',
        'holdfast-cell': 'ap1',
        connection: 'close',
        'set-cookie': ['a=1', 'b=2'],
      })
      response.end('{}')
    }
    const sent = {
      'idempotency-key': 'k',
      'if-match': '"3"',
      prefer: 'wait=1',
      'holdfast-client-secret': 's',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
      'x-request-id': 'r-7',
    }
    const answer = await eu1.call('POST', `${farOrder}/cancel?x=1`, {
      as: 'pk_dev',
      body: { reason: 'buyer' },
      headers: { ...sent, cookie: 'c=1', 'holdfast-placed-here': 'true', 'x-forwarded-for': '1.2.3.4' },
    })
    expect([answer.status, answer.headers.get('x-own'), answer.headers.getSetCookie()]).toEqual([
      207,
      'a',
      ['a=1', 'b=2'],
    ])
    expect(answer.headers.get('connection')).not.toBe('close')
    expect(seen!.url).toBe(`${farOrder}/cancel?x=1`)
    expect(seen!.headers).toMatchObject({
      ...sent,
      authorization: 'Bearer pk_dev',
      'holdfast-visitor': visitor,
      'holdfast-hops': '1',
      'holdfast-from': 'eu1',
      'holdfast-to': 'ap1',
    })
    for (const name of ['cookie', 'x-forwarded-for', 'holdfast-placed-here'])
      expect(seen!.headers).not.toHaveProperty(name)
  })

  it('leaves when its body is whole, and comes back as it is answered', async () => {
    const goOn = Promise.withResolvers<void>()
    let isAsked = false
    play = (request, response) => {
      isAsked = true
      response.writeHead(200)
      request.on('data', (chunk) => response.write(`got ${chunk};`))
      request.on('end', () => void goOn.promise.then(() => response.end('end')))
    }
    const request = httpRequest(`${eu1.url}${farOrder}/cancel`, { method: 'POST', headers: { 'idempotency-key': 'k' } })
    const answer = new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
    let text = ''
    request.write('one')
    expect((await eu1.call('GET', '/v1/orders')).status).toBe(200)
    expect(isAsked).toBe(false)
    request.end('two')
    ;(await answer).on('data', (chunk) => (text += chunk))
    await eventually(async () => text === 'got onetwo;')
    goOn.resolve()
    await eventually(async () => text === 'got onetwo;end')
  })

  it('is nothing when the caller leaves in the middle of its body', async () => {
    let isAsked = false
    play = (_, response) => {
      isAsked = true
      response.end()
    }
    const request = httpRequest(`${eu1.url}${farOrder}/cancel`, { method: 'POST', headers: { 'idempotency-key': 'k' } })
    request.on('error', () => {})
    request.write('one')
    expect((await eu1.call('GET', '/v1/orders')).status).toBe(200)
    request.destroy()
    expect((await eu1.call('GET', '/v1/orders')).status).toBe(200)
    expect(isAsked).toBe(false)
  })

  it('is held back where nobody reads it: a large answer is not kept on the way', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let [written, writtenAt] = [0, 0]
    play = (_, response) => {
      const write = (): void => {
        while (written < 400 * 1024 * 1024 && !response.destroyed) {
          written += chunk.length
          writtenAt = performance.now()
          if (!response.write(chunk)) return void response.once('drain', write)
        }
        response.end()
      }
      write()
    }
    const socket = connect(eu1.port, '127.0.0.1')
    socket.write(`GET ${farOrder} HTTP/1.1\r\nhost: x\r\n\r\n`)
    socket.pause()
    await eventually(() => written > 0 && performance.now() - writtenAt > 200)
    expect(written).toBeLessThan(64 * 1024 * 1024)
    socket.destroy()
  })

  it('arrives whole', async () => {
    let bytes = 0
    play = (request, response) => {
      request.on('data', (chunk) => (bytes += chunk.length))
      request.on('end', () => response.end(Buffer.alloc(5_000_000, 'y')))
    }
    const answer = await eu1.call('PATCH', farOrder, { body: 'z'.repeat(262_144) })
    expect([bytes, answer.text.length]).toEqual([262_144, 5_000_000])
  })

  it('is an answer even if it comes before the body was read, and the connection can be used again', async () => {
    play = (request, response) => {
      if (request.method === 'GET') return void response.end('next')
      response.writeHead(413, { connection: 'close' })
      response.end('too much')
    }
    const body = 'z'.repeat(200_000)
    expect(await eu1.call('PATCH', farOrder, { body })).toMatchObject({ status: 413, text: 'too much' })
    expect((await eu1.call('GET', farOrder)).text).toBe('next')
  })

  it('is no body beyond what a cell would take, whether or not its length was told', async () => {
    play = (request, response) => request.on('end', () => response.end()).resume()
    const body = 'z'.repeat(300_000)
    expect((await eu1.call('PATCH', farOrder, { body })).json).toMatchObject({ status: 413, code: 'body_too_large' })
    const stream = ReadableStream.from([Buffer.alloc(200_000, 'z'), Buffer.alloc(200_000, 'z')])
    const headers = { authorization: 'Bearer sk_dev' }
    const init = { method: 'PATCH', headers, body: stream, duplex: 'half' } as RequestInit
    expect((await fetch(`${eu1.url}${farOrder}`, init)).status).toBe(413)
  })

  it('ends for the home when the caller leaves', async () => {
    for (const method of ['GET', 'POST']) {
      let [isAsked, hasLeft] = [false, false]
      play = (request, response) => {
        isAsked = true
        request.resume()
        response.on('close', () => {
          hasLeft = true
        })
      }
      const leaving = new AbortController()
      const headers = { authorization: 'Bearer sk_dev', 'idempotency-key': newKey() }
      const asked = fetch(`${eu1.url}${farOrder}`, { method, headers, signal: leaving.signal })
      await eventually(async () => isAsked)
      leaving.abort()
      await expect(asked).rejects.toThrow()
      await eventually(async () => hasLeft)
    }
  })
})

describe('events of another cell', () => {
  it('come as pages and as a stream, which resumes', async () => {
    const placed = await place(us1, newKey())
    await eventually(async () => {
      const { json } = await eu1.call('GET', '/v1/events?cell=us1&types=order.placed&limit=200')
      return json.data.some(
        ({ subject, source }: Record<string, string>) => subject === placed.json.id && source === '/cells/us1',
      )
    })
    expect((await eu1.call('GET', '/v1/events?cell=eu1')).json.data[0].source).toBe('/cells/eu1')
    expect((await eu1.call('GET', '/v1/events?cell=xx1')).json).toMatchObject({ status: 422, code: 'cell_not_found' })
    const leaving = new AbortController()
    const headers = { authorization: 'Bearer sk_dev', accept: 'text/event-stream' }
    const stream = await fetch(`${eu1.url}/v1/events?cell=us1&types=order.placed`, { headers, signal: leaving.signal })
    expect(stream.headers.get('content-type')).toBe('text/event-stream')
    let text = ''
    const reading = (async () => {
      for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) text += chunk
    })().catch(() => undefined)
    await eventually(async () => text.includes(placed.json.id))
    const later = await place(us1, newKey())
    await eventually(async () => text.includes(later.json.id))
    leaving.abort()
    await reading
  })
})

describe('events of all cells', () => {
  const read = async (query: string) => (await eu1.call('GET', `/v1/events?cell=*&types=order.placed&${query}`)).json
  const subjects = (data: { subject: string }[]) => data.map(({ subject }) => subject)

  it('come once each, by a vector; a cell out of reach is named, and read when it is back', async () => {
    all.down.add('ap1')
    let after = ''
    const seen: string[] = []
    const readOn = async (limit: number) => {
      const page = await read(`limit=${limit}&after=${after}`)
      after = page.next_position
      seen.push(...subjects(page.data))
      return page
    }
    while ((await readOn(7)).data.length > 0);
    const placed = [(await place(eu1, newKey())).json.id, (await place(us1, newKey())).json.id]
    await eventually(async () => {
      await readOn(1)
      return placed.every((id) => seen.includes(id))
    })
    expect(new Set(seen).size).toBe(seen.length)

    all.down.add('us1')
    const later = [(await place(us1, newKey())).json.id, (await place(eu1, newKey())).json.id]
    await eventually(async () => {
      expect((await readOn(10)).missing_cells).toEqual(['us1', 'ap1'])
      return seen.includes(later[1])
    })
    expect(seen).not.toContain(later[0])
    all.down.delete('us1')
    await eventually(async () => {
      expect((await readOn(10)).missing_cells).toEqual(['ap1'])
      return seen.includes(later[0])
    })
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('are not for keys that may not read them, nor from a place that is no vector', async () => {
    expect((await eu1.call('GET', '/v1/events?cell=*', { as: 'pk_dev' })).status).toBe(403)
    const { next_position } = await read('limit=1')
    const cut = next_position.slice(0, -4)
    expect(await read(`after=${cut}`)).toMatchObject({ status: 400, code: 'cursor_invalid' })
  })
})

describe('a home that does not answer', () => {
  const unreachable = { status: 503, code: 'cell_unreachable' }

  it('is not tried when it is known to be down', async () => {
    all.down.add('us1')
    const answer = await place(eu1, newKey('us1'))
    expect(answer.json).toMatchObject({ ...unreachable, may_have_happened: false })
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.headers.get('holdfast-cell')).toBe('eu1')
    expect((await eu1.call('GET', '/v1/orders')).status).toBe(200)
  })

  it('has done nothing when there was no connection', async () => {
    const { url } = all.topology().cells.find(({ name }) => name === 'ap1')!
    all.change({ ap1: { url: 'http://127.0.0.1:9' } })
    expect((await place(eu1, newKey('ap1'))).json).toMatchObject({ ...unreachable, may_have_happened: false })
    expect((await eu1.call('GET', farOrder)).json).toMatchObject({ ...unreachable, may_have_happened: false })
    all.change({ ap1: { url } })
  })

  it('may have done it when the connection broke after; a read never did', async () => {
    play = (request) => request.socket.destroy()
    expect((await place(eu1, newKey('ap1'))).json).toMatchObject({ ...unreachable, may_have_happened: true })
    expect((await eu1.call('GET', farOrder)).json).toMatchObject({ ...unreachable, may_have_happened: false })
  })

  it('is given up in time', async () => {
    play = () => undefined
    expect((await eu1.call('GET', farOrder)).json).toMatchObject({ ...unreachable, may_have_happened: false })
  }, 20_000)

  it('breaks the answer off when it dies in the middle of it', async () => {
    play = (request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('half', () => request.socket.destroy())
    }
    await expect(eu1.call('GET', farOrder)).rejects.toThrow()
  })

  it('says itself why not, when it does', async () => {
    play = (_, response) => {
      response.writeHead(503, {
        'retry-after': '7',
        'content-type': 'application/problem+json',
        'holdfast-cell': 'ap1',
      })
      response.end('{"code":"overloaded"}')
    }
    const answer = await place(eu1, newKey('ap1'))
    expect([answer.status, answer.headers.get('retry-after'), answer.json.code]).toEqual([503, '7', 'overloaded'])
  })
})

describe('a cell that drains', () => {
  it('passes new orders on, answers for its own, and refuses nothing', async () => {
    const [old, named] = [newKey(), newKey('eu1')]
    const [first, second] = [await place(eu1, old), await place(eu1, named)]
    all.change({ eu1: { state: 'draining' } })
    all.down.add('ap1')
    expect((await place(eu1, old)).json.id).toBe(first.json.id)
    for (const cell of [eu1, us1]) expect((await place(cell, named)).json.id).toBe(second.json.id)
    expect((await place(eu1, newKey())).json.cell).toBe('us1')
    const [key, body] = [newKey('eu1'), { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 }]
    for (const cell of [eu1, us1]) expect((await place(cell, key)).json.cell).toBe('us1')
    expect((await eu1.call('POST', '/v1/holds', { body })).json.id).toMatch(/^hld_us1_/)
    expect((await eu1.call('GET', `/v1/orders/${first.json.id}`)).status).toBe(200)
    expect((await eu1.call('POST', '/v1/orders', { as: 'sk_test_nobody', body: orderBody('A-1') })).status).toBe(401)
    expect((await eu1.call('POST', '/v1/orders', { as: null, body: orderBody('A-1') })).status).toBe(401)
  })

  it('and has left: what it held is gone with it', async () => {
    all.change({ ap1: { state: 'removed' } })
    expect((await eu1.call('GET', farOrder)).json).toMatchObject({ status: 410, code: 'cell_removed' })
    expect((await place(eu1, newKey('ap1'))).json).toMatchObject({ status: 410, code: 'cell_removed' })
    all.change({ ap1: { state: 'active' } })
  })
})
