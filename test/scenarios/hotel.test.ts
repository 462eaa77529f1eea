// A hotel: a room type on one night is a SKU, so a stay of three nights is an order of three lines. Ten double rooms, and two
// more may be sold than there are, since some guests never come. A stay is booked for all of its nights or for none.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient, type Order } from '../../sdk/src/client.ts'
import { problemOf } from '../support/api.ts'
import { type HttpCell, openHttpCell } from '../support/http-cell.ts'

const rooms = 10
const allowance = 2
const nights = ['2027-07-01', '2027-07-02', '2027-07-03', '2027-07-04', '2027-07-05']
const double = (night: string): string => `double:${night}`

let cell: HttpCell
let hotel: Client

beforeAll(async () => {
  cell = await openHttpCell()
  hotel = createClient({ url: cell.url, key: 'sk_dev' })
  await hotel.stock.adjust(nights.map((night) => ({ sku: double(night), delta: rooms, reason: 'received' as const })))
  for (const night of nights) await hotel.stock.setPolicy(double(night), { tracking: 'counted', allowance })
})

afterAll(() => cell.stop())

/** Three nights, from the one that the guest arrives on. */
const book = (arrival: number): Promise<Order> =>
  hotel.orders.place({
    currency: 'EUR',
    lines: nights.slice(arrival, arrival + 3).map((night) => ({
      sku: double(night),
      quantity: 1,
      unit_price: { amount: 14_000, currency: 'EUR' },
    })),
    payment: { provider: 'none' },
  })

const freeRooms = async (): Promise<number[]> =>
  Promise.all(nights.map(async (night) => (await hotel.stock.get(double(night))).available))

test('twelve stays are sold for ten rooms, and not one more; a guest who cancels makes room for another', async () => {
  // Fourteen guests at once: half arrive on the first night, half on the second. Both halves sleep there on nights 2 and 3.
  const asked = await Promise.allSettled(Array.from({ length: 14 }, (_, guest) => book(guest % 2)))
  const stays = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  expect(stays).toHaveLength(rooms + allowance)
  expect((await freeRooms()).slice(1, 3)).toEqual([0, 0])

  // The fifth night is free, but nobody can stay from the third to the fifth.
  expect((await freeRooms())[4]).toBe(rooms + allowance)
  expect(await problemOf(book(2))).toMatchObject({
    code: 'insufficient_stock',
    errors: [{ pointer: '/lines/0', sku: double(nights[2]!), requested: 1, available: 0 }],
  })
  expect((await freeRooms())[4]).toBe(rooms + allowance) // of the refused stay no night is kept

  await hotel.orders.cancel(stays[0]!.id, { reason: 'buyer' })
  const next = await book(1)
  expect(next.status).toBe('confirmed')
  expect((await freeRooms()).slice(1, 3)).toEqual([0, 0])
})

test('a room that is out of order leaves its nights short, and says which stay has none', async () => {
  const { data } = await hotel.orders.list({ status: 'confirmed', limit: 1 })
  const latest = data[0]!
  const night = double(nights[1]!)
  await hotel.stock.adjust([{ sku: night, delta: -1, reason: 'damaged' }])
  expect(await hotel.stock.get(night)).toMatchObject({ on_hand: 9, allowance, committed: 12, available: 0, short: 1 })
  let told: unknown
  for await (const { event } of hotel.events.stream({ types: 'stock.short' })) {
    told = event.data
    break
  }
  expect(told).toMatchObject({ sku: night, short: 1, orders: [latest.id] })
})
