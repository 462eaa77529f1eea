// API.md, Stock: adjustments, counts, policies, locations and what is short, on a real server.
import { describe, expect, test } from 'vitest'
import { lineOf, newKey, newSku, paidOrder, problemOf, stocked, useServer } from '../support/api.ts'

const server = useServer()

const minutesAgo = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString()

describe('an adjustment', () => {
  test('makes the SKU it does not know, and answers rows in the order given', async () => {
    const [a, b] = [newSku(), newSku()]
    const { data } = await server.sk.stock.adjust([
      { sku: b, delta: 7, reason: 'received' },
      { sku: a, delta: 100, reason: 'received' },
      { sku: b, delta: 5, reason: 'returned' },
    ])
    expect(data).toMatchObject([
      { sku: b, on_hand: 12 },
      { sku: a, on_hand: 100, reserved: 0, committed: 0, available: 100 },
      { sku: b, on_hand: 12, reserved: 0, committed: 0, available: 12 },
    ])
  })

  test('is all or nothing', async () => {
    const [known, unknown] = [await stocked(server.sk, 5), newSku()]
    const problem = await problemOf(
      server.sk.stock.adjust([
        { sku: unknown, delta: 3, reason: 'received' },
        { sku: known, delta: -6, reason: 'correction' },
      ]),
    )
    expect(problem).toMatchObject({ status: 409, code: 'insufficient_stock', errors: [{ pointer: '/adjustments/1' }] })
    expect(await server.sk.stock.get(known)).toMatchObject({ on_hand: 5 })
    expect((await server.ask(`GET /v1/stock/${unknown}`)).status).toBe(404)
  })

  test('takes 10,000 at once and no more', async () => {
    const skus = Array.from({ length: 10_001 }, (_, n) => `many-${n}`)
    const adjustments = skus.map((sku) => ({ sku, delta: 1, reason: 'received' as const }))
    const { data } = await server.sk.stock.adjust(adjustments.slice(1))
    expect(data).toHaveLength(10_000)
    expect(data.every(({ on_hand }) => on_hand === 1)).toBe(true)
    expect(await problemOf(server.sk.stock.adjust(adjustments))).toMatchObject({
      status: 400,
      code: 'invalid_body',
      errors: [{ pointer: '/adjustments', code: 'too_many' }],
    })
    expect((await server.ask('GET /v1/stock/many-0')).status).toBe(404)
  })

  test('counts to 10^12, and not beyond', async () => {
    const sku = newSku()
    const most = 1_000_000_000_000
    expect((await server.sk.stock.adjust([{ sku, delta: most, reason: 'received' }])).data).toMatchObject([
      { on_hand: most, available: most },
    ])
    expect(await problemOf(server.sk.stock.adjust([{ sku, delta: 1, reason: 'received' }]))).toMatchObject({
      status: 422,
      code: 'units_too_large',
    })
    expect(await problemOf(server.sk.stock.adjust([{ sku, delta: most + 1, reason: 'received' }]))).toMatchObject({
      status: 400,
      errors: [{ pointer: '/adjustments/0/delta', code: 'too_large' }],
    })
  })

  test('that is repeated under its key moves units once, and tells them as they are now', async () => {
    const sku = newSku()
    const body = { adjustments: [{ sku, delta: 10, reason: 'received' }] }
    const idempotencyKey = newKey()
    const first = await server.ask('POST /v1/stock/adjustments', { idempotencyKey, body })
    await stocked(server.sk, 1, sku)
    const again = await server.ask('POST /v1/stock/adjustments', { idempotencyKey, body })
    expect([first.status, again.status]).toEqual([200, 200])
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.body.data).toMatchObject([{ sku, on_hand: 11 }])
  })

  test.each(['received', 'returned', 'correction'] as const)(
    '%s may not leave less than is reserved and committed',
    async (reason) => {
      const sku = await stocked(server.sk, 10)
      await server.sk.orders.place(paidOrder(lineOf(sku, 4)))
      await server.sk.holds.place({ lines: [{ sku, quantity: 3 }], ttl_seconds: 600 })
      expect(await problemOf(server.sk.stock.adjust([{ sku, delta: -4, reason }]))).toMatchObject({
        status: 409,
        code: 'insufficient_stock',
      })
      const { data } = await server.sk.stock.adjust([{ sku, delta: -3, reason }])
      expect(data).toMatchObject([{ on_hand: 7, reserved: 3, committed: 4, available: 0 }])
    },
  )

  test.each(['counted', 'damaged', 'lost'] as const)(
    '%s is a fact: it may leave a SKU short, and then nothing more is sold',
    async (reason) => {
      const sku = await stocked(server.sk, 10)
      const order = await server.sk.orders.place(paidOrder(lineOf(sku, 6)))
      const { data } = await server.sk.stock.adjust([{ sku, delta: -8, reason }])
      expect(data).toMatchObject([{ on_hand: 2, committed: 6, available: 0, short: 4 }])
      expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 2, available: 0, short: 4 })
      expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku))))).toMatchObject({
        code: 'insufficient_stock',
        errors: [{ available: 0 }],
      })
      // What comes in serves those who bought before it serves anybody else.
      expect((await server.sk.stock.adjust([{ sku, delta: 5, reason: 'received' }])).data).toMatchObject([
        { on_hand: 7, available: 1, short: 0 },
      ])
      expect(await server.sk.orders.get(order.id)).toMatchObject({ status: 'confirmed' })
    },
  )

  test.each(['counted', 'lost', 'correction'] as const)('%s never takes on_hand below 0', async (reason) => {
    const sku = await stocked(server.sk, 3)
    expect(await problemOf(server.sk.stock.adjust([{ sku, delta: -4, reason }]))).toMatchObject({ status: 409 })
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 3 })
  })
})

describe('an absolute count', () => {
  test('sets on_hand; one older than the last is ignored, and said so', async () => {
    const sku = await stocked(server.sk, 50)
    const count = (set: number, as_of: string) => server.sk.stock.adjust([{ sku, set, as_of, reason: 'counted' }])
    expect((await count(120, minutesAgo(10))).data).toMatchObject([{ on_hand: 120 }])
    const older = await count(30, minutesAgo(20))
    expect(older.data).toMatchObject([{ on_hand: 120, ignored: true }])
    const newer = await count(80, minutesAgo(5))
    expect(newer.data).toMatchObject([{ on_hand: 80 }])
    expect(newer.data[0]).not.toHaveProperty('ignored')
  })

  test('without as_of is of now', async () => {
    const sku = newSku()
    expect((await server.sk.stock.adjust([{ sku, set: 9, reason: 'counted' }])).data).toMatchObject([{ on_hand: 9 }])
    const late = await server.sk.stock.adjust([{ sku, set: 1, as_of: minutesAgo(1), reason: 'counted' }])
    expect(late.data).toMatchObject([{ on_hand: 9, ignored: true }])
  })

  test('cannot be of the future', async () => {
    const adjustment = { sku: newSku(), set: 1, as_of: minutesAgo(-60), reason: 'counted' as const }
    expect(await problemOf(server.sk.stock.adjust([adjustment]))).toMatchObject({
      status: 422,
      code: 'time_in_future',
      errors: [{ pointer: '/adjustments/0/as_of' }],
    })
  })

  test.each([
    ['neither', { reason: 'counted' }],
    ['both', { delta: 1, set: 1, reason: 'counted' }],
    ['an as_of beside a delta', { delta: 1, as_of: '2026-01-01T00:00:00Z', reason: 'received' }],
    ['a fraction', { delta: 1.5, reason: 'received' }],
    ['a negative count', { set: -1, reason: 'counted' }],
    ['an unknown reason', { delta: 1, reason: 'found' }],
    ['no reason', { delta: 1 }],
  ])('or a change needs either delta or set: %s is refused', async (_, change) => {
    const sku = newSku()
    const reply = await server.ask('POST /v1/stock/adjustments', { body: { adjustments: [{ sku, ...change }] } })
    expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_body' } })
    expect((await server.ask(`GET /v1/stock/${sku}`)).status).toBe(404)
  })
})

describe('reading stock', () => {
  test('tells sums, the cell and the locations', async () => {
    const sku = await stocked(server.sk, 10)
    await server.sk.orders.place(paidOrder(lineOf(sku, 2)))
    await server.sk.orders.place({ currency: 'EUR', lines: [lineOf(sku, 3)] })
    const level = await server.sk.stock.get(sku)
    const counters = { on_hand: 10, reserved: 3, committed: 2, available: 5 }
    expect(level).toMatchObject({ sku, ...counters, short: 0, allowance: 0, in_flight: 0 })
    expect(level.cells).toMatchObject([{ cell: 'eu1', ...counters }])
    expect(Math.abs(Date.now() - Date.parse(level.cells[0]!.as_of))).toBeLessThan(5_000)
    expect(level.locations).toEqual([{ location: 'main', on_hand: 10, available: 5 }])
  })

  test('of up to 200 SKUs at once leaves out those that do not exist; case matters', async () => {
    const [a, b] = [await stocked(server.sk, 1), await stocked(server.sk, 2)]
    const { data } = await server.sk.stock.list([b, 'nothing', a.toUpperCase(), a])
    expect(data.map(({ sku }) => sku).toSorted()).toEqual([a, b].toSorted())
    const tooMany = Array.from({ length: 201 }, (_, n) => `sku=${n}`).join('&')
    expect(await server.ask(`GET /v1/stock?${tooMany}`)).toMatchObject({ status: 400 })
    expect(await server.ask('GET /v1/stock')).toMatchObject({ status: 400 })
  })

  test('works with any SKU of 1 to 128 characters, and no control character is part of one', async () => {
    for (const sku of ['a/b?c#d&e=f', 'é 漢 🎟️ "quoted" \\', 'x'.repeat(128), '../%2e']) {
      await stocked(server.sk, 4, sku)
      expect(await server.sk.stock.get(sku)).toMatchObject({ sku, on_hand: 4 })
      expect((await server.sk.stock.list([sku])).data).toMatchObject([{ sku }])
    }
    for (const sku of ['', 'x'.repeat(129), 'a\u0000', 'a\n', 'a\u0085']) {
      const body = { adjustments: [{ sku, delta: 1, reason: 'received' }] }
      expect((await server.ask('POST /v1/stock/adjustments', { body })).status, JSON.stringify(sku)).toBe(400)
    }
  })
})

describe('a policy', () => {
  test('with an allowance sells so many more than are there, and not one beyond', async () => {
    const sku = await stocked(server.sk, 3)
    expect(await server.sk.stock.setPolicy(sku, { tracking: 'counted', allowance: 2 })).toMatchObject({
      sku,
      tracking: 'counted',
      allowance: 2,
      regions: null,
      group: null,
    })
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 3, allowance: 2, available: 5 })
    await server.sk.orders.place(paidOrder(lineOf(sku, 5)))
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku))))).toMatchObject({
      code: 'insufficient_stock',
    })
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 3, committed: 5, available: 0, short: 0 })
  })

  test('that takes its allowance back leaves short what was sold on it', async () => {
    const sku = newSku()
    await server.sk.stock.setPolicy(sku, { tracking: 'counted', allowance: 4 })
    await server.sk.orders.place(paidOrder(lineOf(sku, 4)))
    await server.sk.stock.setPolicy(sku, { tracking: 'counted', allowance: 1 })
    expect(await server.sk.stock.get(sku)).toMatchObject({ available: 0, short: 3, allowance: 1 })
  })

  test('without counting never runs out, and makes its SKU', async () => {
    const sku = newSku()
    await server.sk.stock.setPolicy(sku, { tracking: 'none', allowance: 0 })
    await server.sk.orders.place(paidOrder(lineOf(sku, 1_000_000)))
    await server.sk.orders.place(paidOrder(lineOf(sku, 1_000_000)))
    expect(await server.sk.stock.get(sku)).toMatchObject({ tracking: 'none', committed: 2_000_000, short: 0 })
  })

  test('keeps regions and group, has versions, and heeds If-Match', async () => {
    const sku = newSku()
    const policy = { tracking: 'counted', allowance: 0, regions: ['eu'], group: 'event-7' } as const
    const put = (ifMatch?: string) =>
      server.ask(`PUT /v1/stock/${sku}/policy`, {
        body: policy,
        headers: ifMatch === undefined ? {} : { 'if-match': ifMatch },
      })
    const first = await put()
    expect(first).toMatchObject({ status: 200, body: { sku, ...policy } })
    expect((await put(first.headers.get('etag')!)).status).toBe(200)
    expect(await put(first.headers.get('etag')!)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
  })
})

describe('locations', () => {
  test('have main from the start, whose home is the first cell', async () => {
    expect((await server.sk.locations.list()).data).toContainEqual(
      expect.objectContaining({ code: 'main', cell: 'eu1' }),
    )
  })

  test('hold units apart; a line is split over them by priority, and refused only when the sum is short', async () => {
    const sku = newSku()
    await server.sk.locations.put('north', { name: 'North', priority: -2, address: { country: 'SE' } })
    await server.sk.locations.put('south', { name: 'South', priority: -1, address: { country: 'ES' } })
    await server.sk.stock.adjust([
      { sku, delta: 2, reason: 'received', location: 'south' },
      { sku, delta: 3, reason: 'received', location: 'north' },
      { sku, delta: 4, reason: 'received' },
    ])
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku, 10))))).toMatchObject({
      errors: [{ pointer: '/lines/0', sku, requested: 10, available: 9 }],
    })
    const order = await server.sk.orders.place(paidOrder(lineOf(sku, 7)))
    expect(order.lines[0]!.allocations).toEqual([
      { location: 'north', quantity: 3 },
      { location: 'south', quantity: 2 },
      { location: 'main', quantity: 2 },
    ])
    const level = await server.sk.stock.get(sku)
    expect(level).toMatchObject({ on_hand: 9, committed: 7, available: 2 })
    expect(level.locations).toHaveLength(3)
    expect(level.locations).toContainEqual({ location: 'main', on_hand: 4, available: 2 })
    expect(level.locations).toContainEqual({ location: 'north', on_hand: 3, available: 0 })
  })

  test('of one priority send from the nearest', async () => {
    const sku = newSku()
    await server.sk.locations.put('tokyo', { name: 'Tokyo', address: { country: 'JP' }, lat: 35.7, lon: 139.7 })
    await server.sk.locations.put('lyon', { name: 'Lyon', address: { country: 'FR' }, lat: 45.8, lon: 4.8 })
    await server.sk.stock.adjust([
      { sku, delta: 5, reason: 'received', location: 'tokyo' },
      { sku, delta: 5, reason: 'received', location: 'lyon' },
    ])
    const to = async (country: string) => {
      const order = await server.sk.orders.place({ ...paidOrder(lineOf(sku)), shipping_address: { country } })
      return order.lines[0]!.allocations?.[0]?.location
    }
    expect(await to('DE')).toBe('lyon')
    expect(await to('KR')).toBe('tokyo')
  })

  test('that do not exist hold nothing; other cells and countries that do not exist are refused', async () => {
    const adjustment = { sku: newSku(), delta: 1, reason: 'received' as const, location: 'nowhere' }
    expect(await problemOf(server.sk.stock.adjust([adjustment]))).toMatchObject({
      status: 422,
      code: 'location_not_found',
    })
    expect(await problemOf(server.sk.locations.put('west', { name: 'West', cell: 'us1' }))).toMatchObject({
      status: 422,
      code: 'cell_not_found',
    })
    expect(
      await problemOf(server.sk.locations.put('west', { name: 'West', address: { country: 'XX' } })),
    ).toMatchObject({ status: 422, code: 'country_unknown' })
  })
})
