// A concert hall: two thousand seats, each a SKU with one unit, and 64 buyers who want seats side by side. An order over several
// seats is all or nothing, so nobody ever sits alone; in the end every seat is sold, each to one order.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient, HoldfastError } from '../../sdk/src/client.ts'
import { prng } from '../../src/base/prng.ts'
import { type HttpCell, openHttpCell } from '../support/http-cell.ts'

const rows = 40
const seatsInRow = 50
const buyers = 64
const price = { amount: 8_500, currency: 'EUR' }

const seat = (row: number, number: number): string => `hall:${row}:${number}`
const seatsOf = (row: number): string[] => Array.from({ length: seatsInRow }, (_, number) => seat(row, number))

let cell: HttpCell
let house: Client

beforeAll(async () => {
  cell = await openHttpCell()
  house = createClient({ url: cell.url, key: 'sk_dev' })
})

afterAll(() => cell.stop())

/** The first run of free seats in a row, at most as many as wanted. */
async function freeSeats(client: Client, row: number, wanted: number): Promise<string[]> {
  const { data } = await client.stock.list(seatsOf(row))
  const free = new Set(data.filter(({ available }) => available > 0).map(({ sku }) => sku))
  const first = seatsOf(row).findIndex((sku) => free.has(sku))
  if (first < 0) return []
  const run: string[] = []
  for (let number = first; run.length < wanted && free.has(seat(row, number)); number++) run.push(seat(row, number))
  return run
}

type Sale = { sold: string[][]; missed: number }

/** Buys here and there until the board, which all can see, says that every row is sold out. */
async function buyer(number: number, board: Set<number>): Promise<Sale> {
  const client = createClient({ url: cell.url, key: 'sk_dev' })
  const random = prng(number)
  const sale: Sale = { sold: [], missed: 0 }
  while (board.size > 0) {
    const row = random.pick([...board])
    const seats = await freeSeats(client, row, random.between(2, 4))
    if (seats.length === 0) board.delete(row)
    else if (await order(client, seats)) sale.sold.push(seats)
    else sale.missed++
  }
  return sale
}

/** False: somebody else was faster. */
async function order(client: Client, seats: string[]): Promise<boolean> {
  try {
    await client.orders.place({
      currency: 'EUR',
      lines: seats.map((sku) => ({ sku, quantity: 1, unit_price: price })),
      payment: { provider: 'none' },
    })
    return true
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'insufficient_stock') return false
    throw error
  }
}

test('every seat is sold once, to somebody who got all that they asked for', async () => {
  const seats = Array.from({ length: rows }, (_, row) => seatsOf(row)).flat()
  await house.stock.adjust(seats.map((sku) => ({ sku, delta: 1, reason: 'received' as const })))

  const board = new Set(Array.from({ length: rows }, (_, row) => row))
  const sales = await Promise.all(Array.from({ length: buyers }, (_, number) => buyer(number, board)))

  const sold = sales.flatMap((sale) => sale.sold.flat())
  expect(sold.toSorted()).toEqual(seats.toSorted())
  expect(sales.some(({ missed }) => missed > 0)).toBe(true) // it was a race
  for (let row = 0; row < rows; row++) {
    const { data } = await house.stock.list(seatsOf(row))
    expect(data.every(({ committed, available, short }) => committed === 1 && available === 0 && short === 0)).toBe(
      true,
    )
  }
  expect(await house.audit({ fresh: true })).toMatchObject({ consistent: true, sums: { committed: rows * seatsInRow } })
}, 30_000)
