// What the server does whatever the route: keys, unknown paths, bodies it does not take, broken HTTP, probes, and its end.
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CellName, ShopId } from '../../src/base/ids.ts'
import { drainApp } from '../../src/gateway/app.ts'
import { issueKey, withdrawKey } from '../../src/modules/shops/service.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { writing } from '../support/writing.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const raw = (bytes: string | Buffer): Promise<string> => send(cell.port, bytes)

/** Sends bytes and answers all that comes until the server closes the connection. */
function send(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setTimeout(15_000, () => reject(new Error(`no end after ${JSON.stringify(answer)}`)))
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answer))
  })
}

describe('keys', () => {
  it.each([
    ['none', null],
    ['one nobody issued', 'sk_test_nobody_issued_this'],
    ['nonsense', 'hello'],
    ['a customer’s token', 'eyJhbGciOiJIUzI1NiJ9.e30.x'],
  ])('%s: 401', async (_, as) => {
    const answer = await cell.call('GET', '/v1/orders', { as })
    expect(answer.json).toMatchObject({ status: 401, code: 'unauthorized' })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  })

  it('of the database open what their scopes say, and stop soon after they are revoked', async () => {
    const request = { shopId: 1 as ShopId, kind: 'sk', name: 'reports', scopes: ['orders:read'] } as const
    const { key, text } = await issueKey(cell.database, request, writing())
    expect(text).toMatch(/^sk_test_/)
    expect((await cell.call('GET', '/v1/orders', { as: text })).status).toBe(200)
    expect((await cell.call('GET', '/v1/events', { as: text })).json).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await cell.call('POST', '/v1/orders', { as: text, body: orderBody('A-1') })).status).toBe(403)
    const stored = await cell.database.query<{ row: string }>('select k::text as row from shops.keys k')
    expect(stored.some(({ row }) => row.includes(text))).toBe(false)
    await withdrawKey(cell.database, { shopId: 1 as ShopId, id: key.id }, 'eu1' as CellName)
    await eventually(async () => (await cell.call('GET', '/v1/orders', { as: text })).status === 401, 10_000)
  })

  it('of a scope other than import cannot bring a time or an amount of their own', async () => {
    const request = { shopId: 1 as ShopId, kind: 'sk', name: 'shop', scopes: ['orders:write'] } as const
    const { text } = await issueKey(cell.database, request, writing())
    const place = (body: object) => cell.call('POST', '/v1/orders', { as: text, body })
    expect((await place(orderBody('A-1'))).status).toBe(201)
    expect((await place(orderBody('A-1', 1, { placed_at: '2020-01-01T00:00:00Z' }))).json).toMatchObject({
      status: 403,
      code: 'forbidden',
    })
    const amount = { currency: 'EUR', lines: [{ sku: 'A-1', quantity: 1, amount: { amount: 1, currency: 'EUR' } }] }
    expect((await place(amount)).json).toMatchObject({ status: 403, code: 'forbidden' })
  })
})

describe('paths', () => {
  const order = '/v1/orders/ord_eu1_01m83e52mxemrrda1f1s17zv95'
  it.each([
    ['GET', '/nothing'],
    ['GET', '/v1'],
    ['GET', '/v1/carts'],
    ['POST', `${order}/capture`],
    ['GET', `/v1/${'x'.repeat(4_000)}`],
  ])('%s %s: 404', async (method, path) => {
    expect((await cell.call(method, path)).json).toMatchObject({ status: 404, code: 'not_found' })
  })

  it.each([
    ['DELETE', '/v1/orders', 'GET, HEAD, POST'],
    ['PUT', '/v1/orders/bulk', 'GET, HEAD, PATCH, POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['OPTIONS', '/v1/holds', 'POST'],
  ])('%s %s: 405 with what is allowed', async (method, path, allow) => {
    const answer = await cell.call(method, path)
    expect(answer.json).toMatchObject({ status: 405, code: 'method_not_allowed' })
    expect(answer.headers.get('allow')).toBe(allow)
  })

  it('with a broken escape are 400', async () => {
    expect(await raw('GET /v1/orders/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 [\s\S]*"code":"malformed_request"/,
    )
  })

  it('answer HEAD as GET without a body', async () => {
    const answer = await cell.call('HEAD', '/v1/orders')
    expect([answer.status, answer.text]).toEqual([200, ''])
  })
})

describe('bodies', () => {
  const post = (body: string | undefined, headers = {}) => cell.call('POST', '/v1/orders', { body, headers })
  const good = JSON.stringify(orderBody('A-1'))

  it.each([
    ['not JSON', '{"currency":', 400, 'invalid_json'],
    ['empty', '', 400, 'invalid_json'],
    ['two values', `${good}${good}`, 400, 'invalid_json'],
    ['a member twice', good.replace('{', '{"currency":"EUR",'), 400, 'invalid_json'],
    ['a member twice, once escaped', good.replace('{', '{"c\\u0075rrency":"EUR",'), 400, 'invalid_json'],
    ['an array', '[]', 400, 'invalid_body'],
    ['null', 'null', 400, 'invalid_body'],
    ['a prototype', good.replace('{', '{"__proto__":{"x":1},'), 400, 'unknown_field'],
    ['nested deep', `{"note":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 400, 'invalid_json'],
    ['NUL as an escape', good.replace('A-1', 'A\\u0000'), 400, 'invalid_body'],
    ['half a surrogate pair', good.replace('A-1', 'A\\ud83d'), 400, 'invalid_body'],
    ['an endless number', good.replace(':1,', ':1e999,'), 400, 'invalid_body'],
    ['a number beyond exactness', good.replace(':1,', ':9007199254740993,'), 400, 'invalid_body'],
    ['too large', good.replace('}', `,"note":"${'x'.repeat(300_000)}"}`), 413, 'body_too_large'],
  ])('%s: refused', async (_, body, status, code) => {
    expect((await post(body)).json).toMatchObject({ status, code })
  })

  it.each([
    ['text', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['lines', { 'content-type': 'application/x-ndjson' }],
    ['another charset', { 'content-type': 'application/json; charset=iso-8859-1' }],
    ['compressed', { 'content-encoding': 'gzip' }],
  ])('%s: 415', async (_, headers) => {
    expect((await post(good, headers)).json).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })

  it('with the charset said are taken', async () => {
    expect((await post(good, { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(201)
  })

  it('that are not UTF-8 are refused', async () => {
    const head =
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk_dev\r\nidempotency-key: k\r\nconnection: close\r\n'
    const lengths = 'content-type: application/json\r\ncontent-length: 3\r\n\r\n'
    const answer = await raw(Buffer.concat([Buffer.from(head + lengths), Buffer.from([0x22, 0xff, 0x22])]))
    expect(answer).toMatch(/^HTTP\/1.1 400 [\s\S]*"code":"invalid_json"/)
  })
})

describe('broken HTTP', () => {
  it.each([
    ['nonsense', 'hello\r\n\r\n', '400', 'malformed_request'],
    ['a method nobody knows', 'BREW /v1/orders HTTP/1.1\r\nhost: x\r\n\r\n', '400', 'malformed_request'],
    [
      'two lengths',
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd',
      '400',
      'malformed_request',
    ],
    [
      'length and chunks',
      'POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      '400',
      'malformed_request',
    ],
    [
      'headers without end',
      `GET /v1/orders HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
      '431',
      'headers_too_large',
    ],
  ])('%s: a problem, and the connection ends', async (_, bytes, status, code) => {
    const answer = await raw(bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain('content-type: application/problem+json')
    expect(answer).toContain(`"code":"${code}"`)
  })

  it('does not disturb the neighbours', async () => {
    expect((await cell.call('GET', '/healthz')).status).toBe(200)
  })
})

describe('probes and pages', () => {
  it('need no key', async () => {
    const open = (path: string) => cell.call('GET', path, { as: null })
    expect((await open('/healthz')).json).toEqual({ status: 'ok' })
    expect((await open('/readyz')).json).toEqual({ status: 'ready', reasons: [] })
    const metrics = await open('/metrics')
    expect(metrics.text).toMatch(
      /^holdfast_http_answers_total\{method="POST",route="\/v1\/stock\/adjustments",status="200",cell="eu1"\} \d+$/m,
    )
    expect(metrics.text).toMatch(/^holdfast_commands_total\{cell="eu1"\} \d+$/m)
    expect((await open('/openapi.json')).json.openapi).toBe('3.1.0')
  })

  it('the page for people loads nothing from elsewhere, and has a place for every code', async () => {
    const { text, headers } = await cell.call('GET', '/docs', { as: null })
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'/)
    expect(text.replaceAll('http://127.0.0.1:8080', '')).not.toMatch(/https?:\/\//)
    expect(text).toContain('<tr id="insufficient_stock">')
  })

  it('GET /v1/audit recomputes on demand', async () => {
    const { json } = await cell.call('GET', '/v1/audit?fresh=true')
    expect(json).toMatchObject({ consistent: true, differences: [], sums: { received: 1_000, in_flight: 0 } })
    expect((await cell.call('GET', '/v1/audit')).json.checked_at).toBe(json.checked_at)
    expect((await cell.call('GET', '/v1/audit?fresh=maybe')).json).toMatchObject({
      status: 400,
      code: 'invalid_parameter',
    })
  })
})

describe('requests that do not arrive', () => {
  it('are answered 408 and cut, while a stream of lines may take its time', async () => {
    const slow = await openHttpCell()
    slow.app.server.requestTimeout = 500
    slow.app.server.headersTimeout = 500
    const head = (path: string, type: string) =>
      `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk_dev\r\ncontent-type: ${type}\r\n`
    const body = send(slow.port, `${head('/v1/orders', 'application/json')}content-length: 100\r\n\r\n{`)
    const headers = send(slow.port, 'GET /v1/orders HTTP/1.1\r\nhost: x\r\n')
    const lines = connect(slow.port, '127.0.0.1')
    lines.write(`${head('/v1/stock/bulk', 'application/x-ndjson')}transfer-encoding: chunked\r\n\r\n`)
    for (const answer of await Promise.all([body, headers])) {
      expect(answer).toMatch(/^HTTP\/1.1 408 [\s\S]*"code":"request_timeout"/)
    }
    const answered = new Promise<string>((resolve) =>
      lines.on('data', (chunk) => /"status"/.test(String(chunk)) && resolve(String(chunk))),
    )
    const line = `${JSON.stringify({ idempotency_key: 'late', sku: 'late', delta: 1, reason: 'received' })}\n`
    lines.write(`${line.length.toString(16)}\r\n${line}\r\n`)
    expect(await answered).toContain('"status":200')
    lines.destroy()
    await slow.stop()
  })
})

describe('the end of a server', () => {
  it('answers what is in flight, refuses what comes after, and is gone', async () => {
    const ending = await openHttpCell()
    await receive(ending, 'A-1', 100)
    const other = await ending.database.openSession('other')
    await other.run('begin read write')
    await other.run('lock table stock.rows in exclusive mode')
    const inFlight = ending.call('POST', '/v1/orders', { body: orderBody('A-1') })
    const waiting = `select 1 from pg_locks where relation = 'stock.rows'::regclass and not granted`
    await eventually(async () => (await ending.database.query(waiting)).length > 0)
    ending.app.beginDrain()
    const late = await ending.call('GET', '/v1/orders')
    expect(late.json).toMatchObject({ status: 503, code: 'draining' })
    expect(late.headers.get('connection')).toBe('close')
    expect((await ending.call('GET', '/readyz')).json).toEqual({ status: 'unready', reasons: ['draining'] })
    const drained = drainApp(ending.app)
    await other.run('rollback')
    const answer = await inFlight
    expect(answer.status).toBe(201)
    expect(answer.headers.get('connection')).toBe('close')
    await drained
    await other.close()
    await expect(ending.call('GET', '/healthz')).rejects.toThrow()
    await ending.stop()
  })
})
