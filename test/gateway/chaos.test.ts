// Faults on purpose: what they break, what they leave alone, and that what was broken is whole again afterwards. Real cells that talk to
// each other.
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import type { ShopId } from '../../src/base/ids.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'
import { writing } from '../support/writing.ts'

const chaosOf = (cell: HttpCell) => createClient({ url: cell.url, key: 'sk_dev' }).chaos
const pulseOf = async (cell: HttpCell) => (await cell.call('GET', '/v1/pulse')).json
const buy = (cell: HttpCell, name: string, sku: string, more: object = {}) =>
  cell.call('POST', '/v1/orders', { body: orderBody(sku, 1, more), key: `${name}.${crypto.randomUUID()}` })

describe('two cells', () => {
  let talking: TalkingCells
  let eu1: HttpCell
  let us1: HttpCell
  beforeAll(async () => {
    talking = await openTalkingCells(['eu1', 'us1'])
    eu1 = talking.cells.eu1!
    us1 = talking.cells.us1!
  }, 60_000)
  afterAll(() => talking.stop())
  const reaches = async (cell: HttpCell) => (await pulseOf(cell)).peers[0].reachable
  const unitsAt = async (cell: HttpCell, sku: string) => (await cell.call('GET', `/v1/stock/${sku}`)).json.available

  it('that are cut off from each other sell what each has, and meet again with nothing lost', async () => {
    await receive(eu1, 'A-1', 100)
    await eventually(async () => (await unitsAt(us1, 'A-1')) > 0, 10_000)
    expect(await chaosOf(us1).cutOff(true)).toMatchObject({ cut_off: true })
    expect((await pulseOf(us1)).cut_off).toBe(true)
    expect((await pulseOf(eu1)).cut_off).toBe(false)

    const sentOn = await buy(us1, 'eu1', 'A-1') // at once, before anybody has noticed
    expect(sentOn.json).toMatchObject({ code: 'cell_unreachable', may_have_happened: false })
    expect((await buy(us1, 'us1', 'A-1')).status).toBe(201)
    expect((await buy(eu1, 'eu1', 'A-1')).status).toBe(201)
    await eventually(async () => !(await reaches(eu1)) && !(await reaches(us1)), 10_000)
    expect((await buy(eu1, 'us1', 'A-1')).json.code).toBe('cell_unreachable')
    expect((await talking.say('eu1', 'us1', 'levels', {}).catch((error) => error.message)) as string).toBe(
      'fetch failed',
    )

    await chaosOf(us1).cutOff(false)
    await eventually(async () => (await reaches(eu1)) && (await reaches(us1)), 10_000)
    expect((await buy(eu1, 'us1', 'A-1')).status).toBe(201)
    for (const cell of [eu1, us1]) {
      const audit = (await cell.call('GET', '/v1/audit?fresh=true')).json
      expect([audit.consistent, audit.differences, audit.money.differences]).toEqual([true, [], []])
    }
  })

  it('hold a flash sale in which crowds at both buy what there is, and not one more', async () => {
    const chaos = chaosOf(eu1)
    const begun = await chaos.startSale({ units: 60, buyers: 50 }, { idempotencyKey: 'sale-1' })
    expect(begun).toMatchObject({ units: 60, buyers: 50, sku: expect.stringMatching(/^FLASH-\d+$/) })
    const replays: boolean[] = []
    const onAnswer = ({ replayed }: { replayed: boolean }) => replays.push(replayed)
    const again = await chaos.startSale({ units: 60, buyers: 50 }, { idempotencyKey: 'sale-1', onAnswer })
    expect([again.id, replays]).toEqual([begun.id, [true]])
    await eventually(async () => (await chaos.sale()).state === 'over', 30_000)
    const sale = await chaos.sale()
    expect(sale).toMatchObject({ id: begun.id, sold: 60, refused: 40, failed: 0 })
    expect(sale.by_cell.map(({ cell, asked }) => [cell, asked])).toEqual([
      ['eu1', 50],
      ['us1', 50],
    ])
    expect((await chaos.read()).sale).toEqual(sale)
    await eventually(async () => (await unitsAt(eu1, sale.sku)) === 0) // what the other has is told a second old
    const refused = await chaos.startSale({ units: 1, buyers: 1 }, { idempotencyKey: 'sale-1' }).catch((error) => error)
    expect(refused.code).toBe('idempotency_key_reused')
  })

  it('that are cut off hold a flash sale alone', async () => {
    await chaosOf(eu1).cutOff(true)
    await chaosOf(eu1).startSale({ units: 3, buyers: 5 })
    await eventually(async () => (await chaosOf(eu1).sale()).state === 'over', 30_000)
    const sale = await chaosOf(eu1).sale()
    expect(sale.by_cell.map(({ cell }) => cell)).toEqual(['eu1'])
    expect(sale.sold + sale.refused).toBe(5)
    expect(sale.sold).toBeGreaterThan(0)
    expect(sale.sold).toBeLessThanOrEqual(3) // the other cell's part is on its way to it
    await chaosOf(eu1).cutOff(false)
    await eventually(async () => (await reaches(eu1)) && (await reaches(us1)), 10_000)
  })
})

describe('a cell', () => {
  let cell: HttpCell
  beforeAll(async () => {
    cell = await openHttpCell()
    await receive(cell, 'A-1', 1_000)
  })
  afterAll(() => cell.stop())
  const paid = { payment: { provider: 'test', method: 'tok_ok' } }
  const paymentOf = async (id: string) => (await cell.call('GET', `/v1/orders/${id}`)).json.payment.status

  it('whose provider loses every answer charges once, and learns of it later', async () => {
    await chaosOf(cell).setProvider({ delay_ms: 0, lost_answers: 1 })
    const { json: order } = await buy(cell, 'eu1', 'A-1', paid)
    expect(order.payment.status).toBe('pending')
    await eventually(async () => (await paymentOf(order.id)) === 'captured', 30_000)
    const { data } = (await cell.call('GET', `/v1/test-provider/charges?order=${order.id}`)).json
    expect(data).toHaveLength(1)
    expect(await chaosOf(cell).setProvider({ delay_ms: 0, lost_answers: 0 })).toMatchObject({
      provider: { delay_ms: 0, lost_answers: 0 },
    })
  }, 60_000)

  it('whose provider is slow takes orders all the same, and is paid when it answers', async () => {
    await chaosOf(cell).setProvider({ delay_ms: 300, lost_answers: 0 })
    const before = performance.now()
    const answer = await cell.call('POST', '/v1/orders', {
      body: orderBody('A-1', 1, paid),
      headers: { prefer: 'wait=20' },
    })
    expect(answer.json.payment.status).toBe('captured')
    expect(performance.now() - before).toBeGreaterThan(290)
    await chaosOf(cell).setProvider({ delay_ms: 0, lost_answers: 0 })
  })

  it('runs one sale at a time, which ends early when it is stopped', async () => {
    const chaos = chaosOf(cell)
    expect((await chaos.sale().catch((error) => error)).code).toBe('not_found')
    await chaos.startSale({ units: 100_000, buyers: 10_000 })
    expect((await cell.call('POST', '/v1/chaos/sales', { body: { units: 1, buyers: 1 } })).json.code).toBe(
      'sale_running',
    )
    await eventually(async () => (await chaos.sale()).sold > 0, 10_000)
    const stopped = await chaos.stopSale()
    expect(stopped.state).toBe('stopped')
    const [counts] = stopped.by_cell
    expect(counts!.asked).toBe(counts!.sold + counts!.refused + counts!.failed)
    expect(counts!.asked).toBeLessThan(10_000)
    expect(await chaos.stopSale()).toEqual(stopped)
    expect((await chaos.startSale({ units: 1, buyers: 1 })).id).not.toBe(stopped.id)
    await eventually(async () => (await chaos.sale()).state === 'over', 10_000)
  })

  it('begins no sale with a key that may not receive, and tells why', async () => {
    const wanted = { shopId: 1 as ShopId, kind: 'sk', name: 'cells', scopes: ['cells:write'] } as const
    const { text } = await issueKey(cell.database, wanted, writing())
    const answer = await cell.call('POST', '/v1/chaos/sales', { as: text, body: { units: 1, buyers: 1 } })
    expect([answer.status, answer.json.code]).toEqual([403, 'forbidden'])
  })

  it('that nobody runs stops and starts none', async () => {
    expect((await chaosOf(cell).read()).can_stop).toBe(false)
    for (const path of ['/v1/chaos/cells/eu1/stop', '/v1/chaos/cells/eu1/start'])
      expect((await cell.call('POST', path)).json).toMatchObject({ status: 409, code: 'not_supervised' })
  })

  it('takes nothing beyond its bounds, and from no key without the scope', async () => {
    const put = (path: string, body: object, as = 'sk_dev') => cell.call('PUT', path, { body, as })
    expect((await put('/v1/chaos/provider', { delay_ms: 30_001, lost_answers: 0 })).json.code).toBe('invalid_body')
    expect((await put('/v1/chaos/provider', { delay_ms: 0, lost_answers: 1.1 })).json.code).toBe('invalid_body')
    expect((await put('/v1/chaos/network', { cut_off: 'yes' })).json.code).toBe('invalid_body')
    expect((await put('/v1/chaos/network', { cut_off: true }, 'pk_dev')).json.code).toBe('forbidden')
    expect((await cell.call('GET', '/v1/chaos', { as: 'pk_dev' })).json.code).toBe('forbidden')
  })
})

test('outside the development profile there is no chaos', async () => {
  const cell = await openHttpCell({ profile: 'production' })
  const wanted = { shopId: 1 as ShopId, kind: 'sk', name: 'all', scopes: ['cells:write', 'cells:read'] } as const
  const { text } = await issueKey(cell.database, wanted, writing())
  const asked = [
    'GET /v1/chaos',
    'PUT /v1/chaos/network',
    'PUT /v1/chaos/provider',
    'POST /v1/chaos/cells/eu1/stop',
    'POST /v1/chaos/cells/eu1/start',
    'POST /v1/chaos/sales',
    'GET /v1/chaos/sales/current',
    'DELETE /v1/chaos/sales/current',
  ]
  for (const one of asked) {
    const [method, path] = one.split(' ') as [string, string]
    expect([one, (await cell.call(method, path, { as: text })).json.code]).toEqual([one, 'not_found'])
  }
  expect((await cell.call('GET', '/v1/pulse', { as: text })).json.profile).toBe('production')
  await cell.stop()
})
