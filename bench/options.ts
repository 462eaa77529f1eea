// What `npm run bench -- NAME` takes. Each bench has its own usual time; every number that is given here is bounded.
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { usage } from '../src/cli/failure.ts'

export const benchNames = [
  'engine',
  'orders',
  'hot',
  'bulk',
  'growth',
  'overload',
  'recovery',
  'checkout',
  'slow-provider',
  'webhooks',
  'cells',
  'sellout',
  'hot-cells',
  'geo',
  'partition',
  'region-loss',
  'seats',
  'telemetry',
  'control-room',
] as const
export type BenchName = (typeof benchNames)[number]

export type BenchOptions = {
  name: BenchName
  /** Of one measured slice; of the load before each kill in `recovery`; in `geo` and `partition`, that something is away. */
  seconds: number
  /** How often each contender has its turn. */
  rounds: number
  /** Stored orders in `growth` and `control-room`. */
  rows: number
  /** In `webhooks`. */
  events: number
  connections: number | undefined
  lanes: number
  /** Where the temporary data folder is made. */
  data: string
  record: boolean
}

const secondsUsual: Record<BenchName, number> = {
  engine: 10,
  orders: 10,
  hot: 10,
  bulk: 15,
  growth: 15,
  overload: 20,
  recovery: 50,
  checkout: 10,
  'slow-provider': 10,
  webhooks: 60,
  cells: 10,
  sellout: 30,
  'hot-cells': 10,
  geo: 60,
  partition: 30,
  'region-loss': 5,
  seats: 1,
  telemetry: 10,
  'control-room': 20,
}

const roundsUsual: Record<BenchName, number> = {
  engine: 3,
  orders: 3,
  hot: 3,
  bulk: 3,
  growth: 3,
  overload: 3,
  recovery: 1,
  checkout: 3,
  'slow-provider': 2,
  webhooks: 1,
  cells: 3,
  sellout: 1,
  'hot-cells': 3,
  geo: 2,
  partition: 1,
  'region-loss': 1,
  seats: 1,
  telemetry: 9,
  'control-room': 3,
}

export const benchHelp = `Usage: npm run bench -- NAME [options]

  engine     the engine without HTTP, against bare inserts inside PostgreSQL and one transaction an order
  orders     POST /v1/orders at 1, 64 and 256 connections, against the same server without the engine
  hot        the same on one SKU, against fifty
  bulk       POST /v1/orders/bulk
  growth     with many stored orders, against an empty store
  overload   offered ten times the capacity
  recovery   kill -9 of the server, and of PostgreSQL, under load
  checkout   placed, paid by the test provider and confirmed in one request
  slow-provider  orders placed while the provider is slow and loses answers, against a healthy one
  webhooks   events delivered to one endpoint, some of them at the second attempt
  cells      orders in three cells 100 ms apart, against three cells that know of no other
  sellout    10,000 units sold out over three cells whose demand is uneven
  hot-cells  one SKU in two cells of a region, against one
  geo        a geo cell whose standby is 40 ms away, against a local one; then the standby dies, and then the primary
  partition  one of three cells is cut off for a while, under load
  region-loss  a geo cell loses its region, as in the drill
  seats      60,000 single seats of one group, bought at three cells
  telemetry  orders in a cell that sends traces at the usual ratio, against one that makes none
  control-room  the page in Chromium: its load, its frames at 5,000 events/s; and the pages of many stored orders

  --seconds N      of each measured slice
  --rounds N       turns of each contender, of which the middle one counts; in recovery the worst [3; recovery 1]
  --rows N         stored orders [growth 10000000, control-room 1000000]
  --events N       events in webhooks [100000]
  --connections N  instead of the usual number
  --lanes N        batches the engine commits side by side [2]
  --data DIR       where the temporary data folder is made [${tmpdir()}]
  --record         appends the last line to bench/results.jsonl

The last line of standard output is one JSON object.`

const flags = {
  seconds: { type: 'string' },
  rounds: { type: 'string' },
  rows: { type: 'string' },
  events: { type: 'string', default: '100000' },
  connections: { type: 'string' },
  lanes: { type: 'string', default: '2' },
  data: { type: 'string', default: tmpdir() },
  record: { type: 'boolean', default: false },
} as const

export function readOptions(args: string[]): BenchOptions {
  const { values, positionals } = parseArgs({ args, options: flags, allowPositionals: true })
  const name = benchNames.find((one) => one === positionals[0])
  if (!name || positionals.length > 1) throw usage(`Name one bench: ${benchNames.join(', ')}.`)
  return {
    name,
    seconds: whole('seconds', values.seconds ?? String(secondsUsual[name]), 1, 600),
    rounds: whole('rounds', values.rounds ?? String(roundsUsual[name]), 1, 20),
    rows: whole('rows', values.rows ?? (name === 'control-room' ? '1000000' : '10000000'), 1_000, 100_000_000),
    events: whole('events', values.events, 1_000, 10_000_000),
    connections: values.connections === undefined ? undefined : whole('connections', values.connections, 1, 4_096),
    lanes: whole('lanes', values.lanes, 1, 16),
    data: values.data,
    record: values.record,
  }
}

function whole(flag: string, text: string, min: number, max: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  throw usage(`--${flag} must be a whole number from ${min} to ${max}.`)
}
