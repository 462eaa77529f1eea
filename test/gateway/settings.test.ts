// A shop's settings over HTTP: versions that are only added, and orders that are placed under the newest.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ShopId } from '../../src/base/ids.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import { defaultSettings } from '../../src/modules/shops/settings.ts'
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

const get = () => cell.call('GET', '/v1/settings')
const put = (body: unknown, options = {}) => cell.call('PUT', '/v1/settings', { body, ...options })
const place = (more: object = {}, key?: string) =>
  cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, more), ...(key ? { key } : {}) })

describe('settings', () => {
  it('are the defaults, as version 0, until something is set', async () => {
    const { status, headers, json } = await get()
    expect(status).toBe(200)
    expect(headers.get('etag')).toBe('"0"')
    expect(json).toEqual({ ...defaultSettings, version: 0, changed_at: null, changed_by: null })
    expect((await cell.call('GET', '/v1/settings/history')).json).toEqual({ data: [], next_cursor: null })
  })

  it('are set whole, in versions that stay, and only over the version that was seen', async () => {
    const first = await put({ reservation_seconds: 60 }, { headers: { 'if-match': '"0"' } })
    expect(first.status).toBe(200)
    expect(first.headers.get('etag')).toBe('"1"')
    expect(first.json).toMatchObject({ ...defaultSettings, reservation_seconds: 60, version: 1, changed_by: null })
    expect((await put({}, { headers: { 'if-match': '"0"' } })).json.code).toBe('precondition_failed')
    expect((await put({}, { headers: { 'if-match': 'nonsense' } })).status).toBe(412)
    const second = await put({ capture: 'at_shipment' }, { headers: { 'if-match': '"1"' } })
    expect(second.json).toMatchObject({ capture: 'at_shipment', reservation_seconds: 900, version: 2 })
    expect((await get()).json).toEqual(second.json)
    const page = await cell.call('GET', '/v1/settings/history?limit=1')
    expect(page.json.data).toEqual([second.json])
    const rest = await cell.call('GET', `/v1/settings/history?limit=1&cursor=${page.json.next_cursor}`)
    expect(rest.json).toEqual({ data: [first.json], next_cursor: null })
  })

  it('of two that are set over the same version one stands', async () => {
    const { version } = (await get()).json
    const both = await Promise.all(
      [61, 62].map((reservation_seconds) => put({ reservation_seconds }, { headers: { 'if-match': `"${version}"` } })),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412])
  })

  it.each([
    [{ reservation_seconds: 59 }, 'invalid_body', '/reservation_seconds'],
    [{ reservation_seconds: 86_401 }, 'invalid_body', '/reservation_seconds'],
    [{ reservation_seconds: '900' }, 'invalid_body', '/reservation_seconds'],
    [{ capture: 'later' }, 'invalid_body', '/capture'],
    [{ rounding: 'up' }, 'invalid_body', '/rounding'],
    [{ captures: 'now' }, 'unknown_field', '/captures'],
    [{ version: 7 }, 'unknown_field', '/version'],
    [{ risk: { review: { phones: [] } } }, 'unknown_field', '/risk/review/phones'],
    [{ risk: { review_above: { EUR: -1 } } }, 'invalid_body', '/risk/review_above/EUR'],
    [{ risk: { review_above: { EURO: 1 } } }, 'invalid_body', '/risk/review_above'],
    [{ risk: { review_above: { XXQ: 1 } } }, 'currency_unknown', '/risk/review_above/XXQ'],
    [{ risk: { refuse: { countries: ['AT', 'QQ'] } } }, 'country_unknown', '/risk/refuse/countries/1'],
    [{ risk: { refuse: { emails: ['nobody'] } } }, 'invalid_body', '/risk/refuse/emails/0'],
    [{ risk: { orders_per_hour: { email: 0 } } }, 'invalid_body', undefined],
  ])('%j is refused and changes nothing', async (body, code, pointer) => {
    const before = (await get()).json
    const { json } = await put(body)
    expect(json.code).toBe(code)
    if (pointer) expect(json.errors[0].pointer).toBe(pointer)
    expect((await get()).json).toEqual(before)
  })

  it('need their scopes', async () => {
    const request = { shopId: 1 as ShopId, kind: 'sk', name: 'reader', scopes: ['settings:read'] } as const
    const { key, text } = await issueKey(cell.database, request, writing())
    expect((await cell.call('GET', '/v1/settings', { as: text })).status).toBe(200)
    expect((await put({}, { as: text })).json.code).toBe('forbidden')
    expect((await cell.call('GET', '/v1/settings', { as: 'pk_dev' })).json.code).toBe('forbidden')
    const writer = await issueKey(cell.database, { ...request, scopes: ['settings:write'] }, writing())
    expect((await put({}, { as: writer.text })).json.changed_by).toBe(writer.key.id)
    expect(key.id).not.toBe(writer.key.id)
  })
})

describe('an order', () => {
  beforeEach(() => put({}))

  it('is placed under the settings of its moment, of development keys and of stored ones', async () => {
    const request = { shopId: 1 as ShopId, kind: 'sk', name: 'shop', scopes: ['orders:write'] } as const
    const { text } = await issueKey(cell.database, request, writing())
    const reserved = async (as: string) => {
      const { json } = await cell.call('POST', '/v1/orders', { body: orderBody('A-1'), as })
      return Math.round((Date.parse(json.expires_at) - Date.parse(json.created_at)) / 1000)
    }
    expect(await reserved('sk_dev')).toBe(900)
    expect(await reserved(text)).toBe(900)
    await put({ reservation_seconds: 120 })
    expect(await reserved('sk_dev')).toBe(120)
    expect(await reserved(text)).toBe(120)
  })

  it('is not captured before shipment when the shop says so', async () => {
    await put({ capture: 'at_shipment' })
    const paid = await place({ payment: { provider: 'test', method: 'tok_ok' } })
    const status = async () => (await cell.call('GET', `/v1/orders/${paid.json.id}`)).json
    await eventually(async () => (await status()).status === 'confirmed')
    expect((await status()).payment.status).toBe('authorized')
  })

  it('that the rules refuse leaves nothing behind, not even its key; one that was placed before is answered', async () => {
    const reference = 'risky-1'
    const early = await place({ customer: { email: 'x@blocked.example' } }, 'early')
    expect(early.status).toBe(201)
    await put({ risk: { refuse: { email_domains: ['blocked.example'] } } })
    const refused = await place({ reference, customer: { email: 'a@mail.blocked.example' } }, 'again')
    expect(refused.status).toBe(422)
    expect(refused.json).toMatchObject({
      code: 'order_refused',
      detail: expect.stringContaining('email_domain_refused'),
    })
    expect((await cell.call('GET', `/v1/orders?reference=${reference}`)).json.data).toEqual([])
    const replayed = await place({ customer: { email: 'x@blocked.example' } }, 'early')
    expect(replayed.json.id).toBe(early.json.id)
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    await put({})
    expect((await place({ reference, customer: { email: 'a@mail.blocked.example' } }, 'again')).status).toBe(201)
  })

  it('that the rules want looked at waits in review once it is paid, in bulk too', async () => {
    await put({ risk: { review_above: { EUR: 499 } } })
    const { json } = await place({ payment: { provider: 'none' } })
    expect(json).toMatchObject({
      status: 'in_review',
      risk: { review: 'open', reasons: ['amount_above_review'] },
    })
    const line = { ...orderBody('A-1'), payment: { provider: 'none' }, idempotency_key: 'bulk-review' }
    const bulk = await cell.call('POST', '/v1/orders/bulk', {
      body: `${JSON.stringify(line)}\n`,
      headers: { 'content-type': 'application/x-ndjson' },
      key: null,
    })
    expect(JSON.parse(bulk.text.trim())).toMatchObject({ status: 201, order: { status: 'in_review' } })
  })

  it('counts with those of its address and customer in the last hour, whatever the case; a retry counts once', async () => {
    await put({ risk: { orders_per_hour: { email: 2, customer: 3 } } })
    const by = (email: string, external_id: string, key?: string) => place({ customer: { email, external_id } }, key)
    expect((await by('v@example.com', 'v1')).json.risk).toBeNull()
    expect((await by('V@example.com', 'v1', 'second')).json.risk).toBeNull()
    expect((await by('V@example.com', 'v1', 'second')).json.risk).toBeNull()
    expect((await by('v@EXAMPLE.com', 'v2')).json.risk.reasons).toEqual(['email_orders_per_hour'])
    expect((await by('other@example.com', 'v1')).json.risk).toBeNull()
    expect((await by('another@example.com', 'v1')).json.risk.reasons).toEqual(['customer_orders_per_hour'])
    expect((await cell.call('GET', '/metrics', { as: null })).text).toMatch(
      /holdfast_risk_assessments_total\{decision="review",cell="eu1"\} [1-9]/,
    )
  })
})
