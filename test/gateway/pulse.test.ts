// GET /v1/pulse, of a lone cell and of two that talk to each other: what it tells is what has happened, and a stream of it costs a cell
// no more than whoever reads it takes.
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import type { ShopId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { instant } from '../../src/base/time.ts'
import { beat, faultsIn } from '../../src/gateway/pulse.ts'
import { createPulseFacts } from '../../src/gateway/pulse-facts.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import { manualClock } from '../../src/runtime/clock.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'
import { writing } from '../support/writing.ts'

const pulseOf = async (cell: HttpCell) => (await cell.call('GET', '/v1/pulse')).json
const paid = { payment: { provider: 'test', method: 'tok_ok' } }

describe('the pulse of a cell', () => {
  let cell: HttpCell
  beforeAll(async () => {
    cell = await openHttpCell()
    await receive(cell, 'A-1', 1_000)
  })
  afterAll(async () => {
    expect(cell.faults).toEqual([])
    await cell.stop()
  })

  it('tells who it is and how it stands', async () => {
    await eventually(async () => (await pulseOf(cell)).audit !== null)
    expect(await pulseOf(cell)).toMatchObject({
      ...{ cell: 'eu1', region: 'eu', profile: 'development', version: '0.1.0', state: 'active' },
      ...{ frozen: false, gate: 'none', cut_off: false, peers: [], dead_letters: 0 },
      queue: { rows: 0, rows_max: limits.queueRowsMax },
      memory_bytes: expect.any(Number),
      audit: { consistent: true, differences: 0, oversold: 0, lost: 0, doubled: 0, sums: expect.any(Object) },
    })
  })

  it('counts orders, refusals and money as they come', async () => {
    const seen = { orders: 0, refused: 0, requests: 0 }
    await eventually(async () => {
      await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, paid), headers: { prefer: 'wait=5' } })
      await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1) })
      await cell.call('POST', '/v1/orders', { body: orderBody('NONE', 1) })
      const pulse = await pulseOf(cell)
      seen.orders = pulse.orders_per_s
      seen.refused = pulse.refused_per_s
      seen.requests = pulse.requests_per_s
      return pulse.refused_per_s > 0 && pulse.orders_per_s > pulse.refused_per_s
    }, 10_000)
    expect(seen.requests).toBeGreaterThan(seen.orders)
    const pulse = await pulseOf(cell)
    expect(pulse.latency_ms.p99).toBeGreaterThan(0)
    expect(pulse.latency_ms.p50).toBeLessThanOrEqual(pulse.latency_ms.p99)
    expect(pulse.errors_per_s).toBe(0)
    const [money, ...more] = pulse.money_per_minute
    expect([money.currency, money.amount % 500, more]).toEqual(['EUR', 0, []])
    expect(money.amount).toBeGreaterThan(0)
  })

  it('names the consumers of its log, and how far behind they are', async () => {
    const { data } = (await cell.call('GET', '/v1/consumers')).json
    const names = data.map(({ name }: { name: string }) => name)
    await eventually(async () => (await pulseOf(cell)).lags.length === names.length, 10_000)
    const { lags } = await pulseOf(cell)
    expect(lags.map(({ consumer }: { consumer: string }) => consumer)).toEqual(names)
  })

  it('tells another shop’s key nothing of the money, and a key without the scope nothing', async () => {
    const make = (scopes: readonly 'cells:read'[] | readonly 'orders:read'[]) =>
      issueKey(cell.database, { shopId: 1 as ShopId, kind: 'sk', name: 'eyes', scopes }, writing())
    const { text } = await make(['cells:read'])
    expect((await cell.call('GET', '/v1/pulse', { as: text })).status).toBe(200)
    const other = await make(['orders:read'])
    expect((await cell.call('GET', '/v1/pulse', { as: other.text })).json.code).toBe('forbidden')
    expect((await cell.call('GET', '/v1/pulse', { as: null })).status).toBe(401)
  })

  it('comes every second to whoever asks for a stream, until it leaves', async () => {
    const left = new AbortController()
    const client = createClient({ url: cell.url, key: 'sk_dev' })
    const seen: string[] = []
    for await (const pulse of client.pulse.stream({ signal: left.signal })) {
      seen.push(pulse.at)
      if (seen.length === 3) left.abort()
    }
    expect(new Set(seen).size).toBe(3)
    expect((await client.pulse.read()).cell).toBe('eu1')
  })
})

test('a stream ends when its cell stops, and the SDK says that the cell is gone', async () => {
  const cell = await openHttpCell()
  const client = createClient({ url: cell.url, key: 'sk_dev' })
  const stream = client.pulse.stream()
  expect((await stream.next()).value).toMatchObject({ cell: 'eu1' })
  const end = (async () => {
    for await (const _ of stream);
  })().catch((error) => error)
  await cell.stop()
  expect(await end).toMatchObject({ code: 'unreachable' })
})

describe('a pulse of two cells', () => {
  let talking: TalkingCells
  let eu1: HttpCell
  let us1: HttpCell
  beforeAll(async () => {
    talking = await openTalkingCells(['eu1', 'us1'])
    eu1 = talking.cells.eu1!
    us1 = talking.cells.us1!
  }, 60_000)
  afterAll(() => talking.stop())
  const peerOf = async (cell: HttpCell) => (await pulseOf(cell)).peers[0]

  it('tells of requests and units that go to the other, and that it has them', async () => {
    expect(await peerOf(eu1)).toMatchObject({ cell: 'us1', reachable: true, round_trip_ms: expect.any(Number) })
    await eventually(async () => {
      await receive(eu1, 'A-1', 100)
      await eu1.call('POST', '/v1/orders', { body: orderBody('A-1'), key: `us1.${crypto.randomUUID()}` })
      const { units_per_s_sent: units, requests_per_s_sent: requests } = await peerOf(eu1)
      return units > 0 && requests > 0
    }, 10_000)
    await eventually(async () => (await peerOf(eu1)).oldest_unconfirmed_s === null, 10_000)
    expect((await pulseOf(us1)).orders_per_s).toBeGreaterThan(0) // it was placed there
  })

  it('tells when the other is out of reach, and for how long it has not confirmed what was sent', async () => {
    await talking.leave('us1')
    await eventually(async () => !(await peerOf(eu1)).reachable, 10_000)
    expect((await peerOf(eu1)).oldest_unconfirmed_s).toBeNull()
  })

  it('tells the same as a metric, 0 for a peer that has confirmed all', async () => {
    const { text } = await eu1.call('GET', '/metrics')
    expect(text).toMatch(/^holdfast_peer_unconfirmed_seconds\{peer="us1",cell="eu1"\} 0$/m)
  })
})

test('what an audit finds is oversold, lost or doubled, and nothing twice', () => {
  const unit = (counter: 'committed' | 'origin' | 'on_hand', expected: number, actual: number | null) => ({
    ...{ sku: 'A-1', location: 'main', counter, expected, actual },
  })
  const money = (check: 'entries' | 'orders' | 'providers' | 'unsettled', expected: number | null, actual: number) => ({
    ...{ check, what: 'captured', currency: 'EUR', order_id: null, expected, actual },
  })
  const found = (units: ReturnType<typeof unit>[], sums: ReturnType<typeof money>[], oversold = 0) =>
    faultsIn({ differences: units, oversold }, { differences: sums })
  expect(found([], [])).toEqual({ oversold: 0, lost: 0, doubled: 0 })
  expect(found([], [], 3)).toEqual({ oversold: 3, lost: 0, doubled: 0 })
  expect(found([unit('committed', 5, 3), unit('on_hand', 4, null)], [])).toEqual({ oversold: 0, lost: 6, doubled: 0 })
  expect(found([unit('committed', 3, 5), unit('origin', 9, 0)], [])).toEqual({ oversold: 0, lost: 0, doubled: 2 })
  expect(found([], [money('providers', 500, 0), money('entries', null, 500)])).toEqual({
    oversold: 0,
    lost: 0,
    doubled: 2,
  })
  expect(found([], [money('providers', 0, 500), money('orders', 500, 0), money('unsettled', 0, 9)])).toEqual({
    ...{ oversold: 0, lost: 2, doubled: 0 },
  })
})

test('a stream that is not read is ended, and one that is goes on', async () => {
  const clock = manualClock(instant(0))
  const watched = { unread: 0, written: 0, destroyed: false }
  const left = new AbortController()
  const response = {
    write(text: string) {
      watched.written += 1
      watched.unread += text.length
      return false
    },
    get writableLength() {
      return watched.unread
    },
    destroy() {
      watched.destroyed = true
      return this
    },
  }
  const beating = beat(response as never, async () => 'x'.repeat(10_000), { signal: left.signal, sleep: clock.sleep })
  for (let second = 1; second <= 20; second++) {
    await eventually(() => watched.written === second && clock.sleepers === 1)
    watched.unread = 0
    clock.pass(limits.pulseEveryMs)
  }
  await eventually(() => {
    clock.pass(limits.pulseEveryMs)
    return watched.destroyed
  })
  await beating
  expect(watched.unread).toBeGreaterThan(limits.pulseUnreadBytesMax)
  expect(watched.unread).toBeLessThan(limits.pulseUnreadBytesMax + 20_000)
})

test('what is in the database is read seldom, kept when it cannot be read, and never waited for twice', async () => {
  const clock = manualClock(instant(0))
  const state = { reads: 0, isDown: false, faults: 0 }
  const facts = createPulseFacts({
    async consumers() {
      state.reads++
      if (state.isDown) throw new Error('away')
      return [{ name: `read ${state.reads}`, lagEvents: 1, lagSeconds: 2 } as never]
    },
    countDeadLetters: async () => 7,
    unconfirmedSince: async () => new Map(),
    clock,
    onError: () => void state.faults++,
  })
  const shop = 1 as ShopId
  expect((await facts(shop)).lags).toEqual([{ consumer: 'read 1', events: 1, seconds: 2 }])
  await facts(shop)
  expect(state.reads).toBe(1)
  state.isDown = true
  clock.pass(limits.pulseFactsMs)
  expect((await facts(shop)).deadLetters).toBe(7)
  await eventually(() => state.faults === 1)
  expect((await facts(shop)).lags[0]!.consumer).toBe('read 1')
  expect(state.reads).toBe(2)
})
