// A stadium: 60,000 seats, each a SKU of one unit, all of one group, so that they live in one cell. Buyers come at once at three cells, and
// each wants two to four seats side by side; what is sold they all see on a board that is a moment old, as on a page. A race for
// seats is lost by a refusal of the whole order, never by half of it. In the end every seat is sold once.

import { createClient, HoldfastError } from '../sdk/src/client.ts'
import { prng } from '../src/base/prng.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { readLatencies } from '../test/support/latencies.ts'
import { openWideArea } from '../test/support/wide-area.ts'
import { type Bench, grouped } from './bench.ts'
import { percentileOf } from './buying.ts'
import { readSettings } from './machine.ts'
import { round } from './rounds.ts'
import { type BenchServer, startCells } from './server.ts'

const buyersByCell = [
  ['eu1', 90],
  ['us1', 26],
  ['ap1', 12],
] as const
const rows = 600
const seatsInRow = 100
const seats = rows * seatsInRow
const stocked = 10_000
const policiesAtOnce = 1_000
const price = { amount: 8_500, currency: 'EUR' }
const secondsMax = 600

const seat = (row: number, number: number): string => `stadium:${row}:${number}`
const chunks = <T>(all: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size))

type Placed = { cell: string; id: string; seats: string[]; ms: number }
type Sale = { placed: Placed[]; lost: number; others: Record<string, number> }

export const seatsOfStadium: Bench = {
  diskMib: () => 4_096,
  secondsMax: () => secondsMax,
  async run(context) {
    const { say } = context
    const area = openWideArea(readLatencies())
    context.defer(() => area.stop())
    const cells = buyersByCell.map(([cell]) => cell)
    const servers = await startCells(context, { folderName: 'cells', cells, area })
    const openedMs = await timeOf(() => open(servers[0]!))
    say(`${grouped(seats)} seats were there after ${round(openedMs / 1_000, 1)} s`)
    const board = new Board()
    const sale: Sale = { placed: [], lost: 0, others: {} }
    const soldMs = await timeOf(async () => {
      const coming = servers.flatMap(({ cell, url }) => {
        const count = buyersByCell.find(([name]) => name === cell)![1]
        return Array.from({ length: count }, (_, number) => buyer({ cell, url, number }, board, sale))
      })
      await Promise.all(coming)
    })
    const sold = sale.placed.flatMap((one) => one.seats)
    const doubled = sold.length - new Set(sold).size
    const taken = await Promise.all(servers.map(countTaken))
    const units = taken.reduce((sum, { units }) => sum + units, 0)
    if (doubled > 0 || units < sold.length)
      throw new CommandFailure(
        'oversold',
        `${doubled} seats were sold twice; ${sold.length} acknowledged, ${units} taken`,
      )
    const ofHome = sale.placed.filter(({ cell }) => cell === servers[0]!.cell).map(({ ms }) => ms)
    const ofOthers = sale.placed.filter(({ cell }) => cell !== servers[0]!.cell).map(({ ms }) => ms)
    const fields = {
      sold: units,
      oversold: taken.reduce((sum, { oversold }) => sum + oversold, 0),
      orders: sale.placed.length,
      orders_per_s: round((sale.placed.length * 1_000) / soldMs),
      seats_per_s: round((sold.length * 1_000) / soldMs),
      races_lost: sale.lost,
      other_answers: sale.others,
      home_p50_ms: round(percentileOf(ofHome, 0.5), 1),
      home_p99_ms: round(percentileOf(ofHome, 0.99), 1),
      elsewhere_p50_ms: round(percentileOf(ofOthers, 0.5), 1),
      elsewhere_p99_ms: round(percentileOf(ofOthers, 0.99), 1),
      opened_s: round(openedMs / 1_000, 1),
      sold_out_after_s: round(soldMs / 1_000, 1),
      cells_with_units: taken.filter(({ units }) => units > 0).length,
    }
    return {
      fields,
      table: {
        columns: ['buyers at', 'orders', 'p50 ms', 'p99 ms'].map((head) => ({ head, align: 'right' as const })),
        rows: [
          ['the cell of the group', grouped(ofHome.length), String(fields.home_p50_ms), String(fields.home_p99_ms)],
          ['another', grouped(ofOthers.length), String(fields.elsewhere_p50_ms), String(fields.elsewhere_p99_ms)],
        ],
      },
      generator: `the SDK on Node ${process.version}, one process`,
      postgres: await readSettings(servers[0]!.sql),
    }
  },
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

/** First the policies, so that every unit stays where the group is. */
async function open({ url }: BenchServer): Promise<void> {
  const house = createClient({ url, key: 'sk_dev' })
  const skus = Array.from({ length: seats }, (_, at) => seat(Math.floor(at / seatsInRow), at % seatsInRow))
  for (const some of chunks(skus, policiesAtOnce))
    await house.stock.setPolicies(some.map((sku) => ({ sku, group: 'final' })))
  for (const some of chunks(skus, stocked))
    await house.stock.adjust(some.map((sku) => ({ sku, delta: 1, reason: 'received' as const })))
}

/** What is thought to be free: seats are taken off it once somebody knows that they are gone. */
class Board {
  private readonly free = Array.from({ length: rows }, () => new Set(Array.from({ length: seatsInRow }, (_, at) => at)))
  readonly open = new Set(this.free.keys())

  /** The first run of free seats from a place on, at most as many as wanted. */
  run(row: number, from: number, wanted: number): number[] {
    const free = [...this.free[row]!].toSorted((a, b) => a - b)
    const first = free.find((number) => number >= from) ?? free[0]
    const run: number[] = []
    for (let number = first ?? seatsInRow; run.length < wanted && this.free[row]!.has(number); number++)
      run.push(number)
    return run
  }

  take(row: number, numbers: readonly number[]): void {
    for (const number of numbers) this.free[row]!.delete(number)
    if (this.free[row]!.size === 0) this.open.delete(row)
  }
}

async function buyer(
  { cell, url, number }: { cell: string; url: string; number: number },
  board: Board,
  sale: Sale,
): Promise<void> {
  const client = createClient({ url, cell, key: 'sk_dev' })
  const random = prng(number + 1_000 * cell.charCodeAt(0))
  while (board.open.size > 0) {
    const row = random.pick([...board.open])
    const run = board.run(row, random.between(0, seatsInRow - 1), random.between(2, 4))
    const startedAt = performance.now()
    try {
      const wanted = run.map((one) => seat(row, one))
      const lines = wanted.map((sku) => ({ sku, quantity: 1, unit_price: price }))
      const { id } = await client.orders.place({ currency: 'EUR', lines, payment: { provider: 'none' } })
      sale.placed.push({ cell, id, seats: wanted, ms: performance.now() - startedAt })
      board.take(row, run)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
      if (error.code !== 'insufficient_stock') {
        sale.others[error.code] = (sale.others[error.code] ?? 0) + 1
        continue
      }
      sale.lost++
      board.take(row, gone(error, row))
    }
  }
}

/** Those seats that the answer says are sold. */
const gone = ({ errors = [] }: HoldfastError, row: number): number[] =>
  errors.flatMap(({ sku }) => (typeof sku === 'string' ? Number(sku.slice(`stadium:${row}:`.length)) : []))

async function countTaken({ sql }: BenchServer): Promise<{ units: number; oversold: number }> {
  const [row] = await sql<{ units: string; oversold: string }[]>`
    select coalesce(sum(reserved + committed), 0) as units, count(*) filter (where reserved + committed > on_hand) as oversold
    from stock.rows where sku like 'stadium:%'`
  return { units: Number(row!.units), oversold: Number(row!.oversold) }
}
