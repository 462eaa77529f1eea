// The topology over HTTP: seen by operators, changed over the version that was seen, and left only by a cell with nothing in
// flight.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CellName, ShopId } from '../../src/base/ids.ts'
import { checkTopology, topologyJson } from '../../src/base/topology.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import type { Scope } from '../../src/modules/shops/types.ts'
import { cellOf, keyOf } from '../base/topology-given.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { writing } from '../support/writing.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const get = () => cell.call('GET', '/v1/cells')

/** Puts what `change` makes of what is there now. */
async function put(change: (topology: Spoilt) => void, options: object = {}): Promise<Answer> {
  const seen = await get()
  const { zones, cells } = structuredClone(seen.json.topology)
  const body = { zones, cells }
  change(body)
  return cell.call('PUT', '/v1/topology', { body, headers: { 'if-match': seen.headers.get('etag')! }, ...options })
}

// biome-ignore lint/suspicious/noExplicitAny: a topology to be changed, rightly or not
type Spoilt = any
const wire = (name: string, n: number, more: object = {}) => ({
  ...topologyJson({ version: 1, by: 'eu1' as CellName, zones: [], cells: [cellOf(name, n)] }).cells[0]!,
  ...more,
})
const us1 = wire('us1', 2)

async function withScopes(...scopes: Scope[]): Promise<string> {
  const request = { shopId: 1 as ShopId, kind: 'sk', name: 'operator', scopes } as const
  return (await issueKey(cell.database, request, writing())).text
}

describe('a cell that runs alone', () => {
  it('has a topology of one, made by itself', async () => {
    const { status, headers, json } = await get()
    expect(status).toBe(200)
    expect(headers.get('etag')).toBe('"1"')
    expect(Array.isArray(checkTopology(json.topology))).toBe(false)
    expect(json.topology).toMatchObject({ version: 1, by: 'eu1', zones: [{ name: 'world', regions: ['eu'] }] })
    expect(json.data).toEqual([
      {
        name: 'eu1',
        region: 'eu',
        zone: 'world',
        state: 'active',
        url: json.topology.cells[0].url,
        reachable: true,
        last_heard_at: expect.stringMatching(/^2\d{3}-.*Z$/),
        round_trip_ms: 0,
        data_as_of: expect.stringMatching(/^2\d{3}-.*Z$/),
        emptied: false,
      },
    ])
    expect(json.next_cursor).toBeNull()
  })
})

describe('a topology', () => {
  it('is changed whole, over the version that was seen', async () => {
    const seen = await get()
    const added = await put(({ zones, cells }) => {
      zones[0].regions.push('us')
      cells.push(us1)
    })
    expect(added.status).toBe(200)
    expect(added.headers.get('etag')).toBe('"2"')
    expect(added.json).toMatchObject({ version: 2, by: 'eu1' })
    const { json } = await get()
    expect(json.topology).toEqual(added.json)
    expect(json.data[1]).toEqual({
      name: 'us1',
      region: 'us',
      zone: 'world',
      state: 'active',
      url: us1.url,
      reachable: false,
      last_heard_at: null,
      round_trip_ms: null,
      data_as_of: null,
      emptied: null,
    })
    const { version, by, ...body } = seen.json.topology
    const late = await cell.call('PUT', '/v1/topology', { body, headers: { 'if-match': '"1"' } })
    expect([late.status, late.json.code]).toEqual([412, 'precondition_failed'])
    const unseen = await cell.call('PUT', '/v1/topology', { body })
    expect([unseen.status, unseen.json.code]).toEqual([428, 'precondition_required'])
    const strange = await cell.call('PUT', '/v1/topology', { body, headers: { 'if-match': '"one"' } })
    expect(strange.status).toBe(412)
    expect([version, by]).toEqual([1, 'eu1'])
  })

  it('of several that are put at once over one version, one stands', async () => {
    const { json } = await get()
    const answers = await Promise.all(
      ['sell', 'stop', 'sell', 'stop'].map((word) => put(({ cells }) => (cells[1].on_isolation = word))),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412])
    expect((await get()).json.topology.version).toBe(json.topology.version + 1)
  })

  it.each<[string, (topology: Spoilt) => void, string, string]>([
    ['an unknown field', ({ cells }) => (cells[1].port = 1), 'unknown_field', '/cells/1/port'],
    ['a version', (body) => (body.version = 9), 'unknown_field', '/version'],
    ['no zones', (body) => (body.zones = []), 'invalid_body', '/zones'],
    ['a name that is none', ({ cells }) => (cells[1].name = 'US1'), 'invalid_body', '/cells/1/name'],
    ['a short key', ({ cells }) => (cells[1].public_key = 'x'), 'invalid_body', '/cells/1/public_key'],
    ['a standby without a region', ({ cells }) => (cells[1].standby = {}), 'invalid_body', '/cells/1/standby/region'],
    [
      'a duplicate name',
      ({ cells }) => cells.push({ ...us1, public_key: keyOf(3), url: 'https://x.example' }),
      'topology_invalid',
      '/cells/2/name',
    ],
    ['an unknown region', ({ zones }) => zones[0].regions.pop(), 'topology_invalid', '/cells/1/name'],
    [
      'a standby outside the zone',
      ({ zones, cells }) => {
        zones.push({ name: 'asia', regions: ['ap'] })
        cells[1].standby = { region: 'ap' }
      },
      'topology_invalid',
      '/cells/1/standby/region',
    ],
    ['geo without a standby', ({ cells }) => (cells[1].durability = 'geo'), 'topology_invalid', '/cells/1/standby'],
    [
      'plain http over the network',
      ({ cells }) => (cells[1].url = 'http://us1.example.com'),
      'topology_invalid',
      '/cells/1/url',
    ],
    ['a cell left out', ({ cells }) => cells.pop(), 'topology_invalid', '/cells'],
    ['an active cell removed', ({ cells }) => (cells[0].state = 'removed'), 'topology_invalid', '/cells/0/state'],
  ])('with %s is refused and changes nothing', async (_, change, code, pointer) => {
    const before = (await get()).json.topology
    const { status, json } = await put(change)
    expect([status, json.code]).toEqual([code === 'topology_invalid' ? 422 : 400, code])
    expect(json.errors[0].pointer).toBe(pointer)
    if (code === 'topology_invalid') expect(json.detail).toBe(json.errors[0].detail)
    expect((await get()).json.topology).toEqual(before)
  })

  it('needs its scopes', async () => {
    const [reader, writer, other] = [
      await withScopes('cells:read'),
      await withScopes('cells:write'),
      await withScopes('settings:write'),
    ]
    expect((await cell.call('GET', '/v1/cells', { as: reader })).status).toBe(200)
    expect((await put(() => {}, { as: reader })).json.code).toBe('forbidden')
    expect((await put(() => {}, { as: writer })).status).toBe(200)
    for (const as of [other, 'pk_dev'])
      expect((await cell.call('GET', '/v1/cells', { as })).json.code).toBe('forbidden')
    expect((await put(() => {}, { as: other })).json.code).toBe('forbidden')
  })
})

describe('a cell leaves', () => {
  const state = (at: number, word: string) => put(({ cells }) => (cells[at].state = word))
  const isEmptied = async () => (await get()).json.data[0].emptied
  const place = async (more: object = {}) =>
    (await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, more) })).json.id

  it('only by a request to itself', async () => {
    expect((await state(1, 'draining')).status).toBe(200)
    const elsewhere = await state(1, 'removed')
    expect([elsewhere.status, elsewhere.json.code]).toEqual([409, 'cell_not_here'])
    expect(elsewhere.json.detail).toContain(us1.url)
  })

  it('only when it drains and nothing of it is in flight: no units, no holds, no open orders', async () => {
    await receive(cell, 'A-1', 3)
    expect(await isEmptied()).toBe(false)
    await state(0, 'draining')
    const refused = async () => {
      const { status, json } = await state(0, 'removed')
      expect(await isEmptied()).toBe(status === 200)
      return json.code
    }
    expect(await refused()).toBe('cell_not_emptied')
    const hold = await cell.call('POST', '/v1/holds', {
      body: { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 600 },
    })
    const unpaid = await place()
    const paid = await place({ payment: { provider: 'none' } })
    expect(await refused()).toBe('cell_not_emptied')
    await cell.call('DELETE', `/v1/holds/${hold.json.id}`)
    await cell.call('POST', `/v1/orders/${unpaid}/cancel`, { body: { reason: 'buyer' } })
    await cell.call('POST', '/v1/stock/adjustments', {
      body: { adjustments: [{ sku: 'A-1', delta: -2, reason: 'lost' }] },
    })
    expect(await refused()).toBe('cell_not_emptied')
    const shipment = { lines: [{ sku: 'A-1', quantity: 1 }], carrier: 'DHL', tracking_number: '1' }
    expect((await cell.call('POST', `/v1/orders/${paid}/shipments`, { body: shipment })).status).toBe(201)
    expect(await isEmptied()).toBe(true)
  })

  it('for good, and stays named', async () => {
    expect((await state(0, 'active')).status).toBe(200)
    await state(0, 'draining')
    const gone = await state(0, 'removed')
    expect(gone.status).toBe(200)
    const { json } = await get()
    expect(json.topology.cells.map(({ name, state: is }: { name: string; state: string }) => [name, is])).toEqual([
      ['eu1', 'removed'],
      ['us1', 'draining'],
    ])
    expect(json.data.map(({ name }: { name: string }) => name)).toEqual(['us1'])
    const back = await state(0, 'active')
    expect([back.json.code, back.json.errors[0].code]).toEqual(['topology_invalid', 'name_used'])
  })
})
