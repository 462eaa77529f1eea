// The table of measured numbers in README.md: of each bench the newest recorded run, so that no number there is typed.
import { type BenchName, benchNames } from '../../bench/options.ts'

const begin = '<!-- results: written by npm run generate from bench/results.jsonl -->'
const end = '<!-- end of results -->'

type Result = {
  name: BenchName
  commit: string
  date: string
  machine: { cpu: string; cores: number; memory_mib: number }
  fixed_job_ms: number
} & Record<string, unknown>

/** `page` with what stands between its marks made anew. */
export function withResults(page: string, resultsText: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page lacks the marks ${begin} and ${end}`)
  return `${page.slice(0, from)}${begin}\n\n${resultsTable(resultsText)}\n\n${page.slice(to)}`
}

function resultsTable(text: string): string {
  const results = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Result)
  const newest = benchNames.flatMap((name) => results.findLast((result) => result.name === name) ?? [])
  if (newest.length === 0) return 'Nothing is recorded yet: `npm run bench -- NAME --record`.'
  const rows = newest.map(
    (result) => `| \`${result.name}\` | ${sentences[result.name](numbersOf(result))} | ${result.commit} |`,
  )
  const machines = newest.map(
    ({ machine, fixed_job_ms }) =>
      [`${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory_mib / 1024)} GiB`, fixed_job_ms] as const,
  )
  const jobs = machines.map(([, ms]) => ms)
  return [
    '| bench | measured | commit |',
    '|---|---|---|',
    ...rows,
    '',
    `On ${[...new Set(machines.map(([machine]) => machine))].join('; ')}; load generator, server and PostgreSQL on the same machine,`,
    `\`fsync\` on. A fixed job, to compare machines: ${Math.min(...jobs)}–${Math.max(...jobs)} ms.`,
  ].join('\n')
}

type Numbers = (field: string, decimals?: number) => string

/** What each bench says, in the words of its line. */
const sentences: Record<BenchName, (of: Numbers) => string> = {
  engine: (of) =>
    `**${of('orders_per_s')} orders/s** without HTTP; ${of('ratio_to_limit', 2)} × the bare inserts of one session inside PostgreSQL (${of('ratio_to_limit_parallel', 2)} × those of two), ${of('ratio_to_naive', 1)} × one transaction an order`,
  orders: (of) =>
    `**${of('orders_per_s')} orders/s** through \`POST /v1/orders\` at 256 connections, p50 ${of('p50_ms', 1)} ms, p99 ${of('p99_ms', 1)} ms, ${of('cpu_us_per_order')} µs of CPU an order; ${of('ratio_to_noop', 2)} × the same server without the engine`,
  hot: (of) => `**${of('orders_per_s')} orders/s** on one SKU, ${of('ratio_to_spread', 2)} × fifty SKUs`,
  bulk: (of) => `**${of('orders_per_s')} orders/s** through NDJSON, at most ${of('rss_mib_max')} MiB resident`,
  checkout: (of) =>
    `**${of('confirmed_per_s')} confirmed orders/s**: placed, paid by the test provider and confirmed in one request each, p50 ${of('p50_ms_to_confirmed', 1)} ms, p99 ${of('p99_ms_to_confirmed', 1)} ms, ${of('cpu_us_per_order')} µs of CPU an order`,
  'slow-provider': (of) =>
    `${of('placed_ratio_to_healthy', 2)} × the rate of orders with a healthy provider, while the provider takes 2 s and loses a tenth of its answers; ${of('doubled_charges')} doubled charges, ${of('lost_orders')} lost orders`,
  webhooks: (of) =>
    `**${of('delivered_per_s')} webhooks/s** to one endpoint, ${of('missing')} missing, ${of('deliveries_without_stable_id')} without a stable id`,
  growth: (of) => `${of('ratio_to_empty', 2)} × the rate of an empty store with ${of('rows')} orders stored`,
  overload: (of) =>
    `offered ${of('offered_factor', 1)} × its capacity, as much as this machine can generate: ${of('goodput_ratio', 2)} × the capacity still done, p99 of the accepted ${of('p99_accepted_ms')} ms, the rest refused with ${of('refused_status')}`,
  recovery: (of) =>
    `orders again ${of('server_seconds', 1)} s after \`kill -9\` of the server, ${of('postgres_seconds', 1)} s after \`kill -9\` of PostgreSQL, under load`,
  cells: (of) =>
    `three cells ${of('round_trip_ms')} ms apart: an order in each takes ${of('local_p50_ratio_to_single', 2)} × (p50) and ${of('local_p99_ratio_to_single', 2)} × (p99) what it takes in cells that know of no other, ${of('cells_p50_ms', 1)} ms and ${of('cells_p99_ms', 1)} ms`,
  sellout: (of) =>
    `**${of('sold')} of 10,000 units sold** over three cells with uneven demand; ${of('false_sold_outs')} buyers told "sold out" while there were units, ${of('oversold')} oversold`,
  seats: (of) =>
    `**${of('sold')} of 60,000 seats sold**, all of one group, to buyers at three cells, two to four side by side: ${of('orders_per_s')} orders/s, p50 ${of('home_p50_ms')} ms where the group lives and ${of('elsewhere_p50_ms')} ms elsewhere; ${of('races_lost')} lost a race, ${of('oversold')} oversold`,
  'hot-cells': (of) =>
    `one SKU in two cells of a region, each with as many buyers: ${of('engine_cpu_us_per_order_ratio', 2)} × the CPU an order that it takes in one; ${of('shared_buyers_cpu_us_per_order_ratio', 2)} × where they share the buyers of one`,
  geo: (of) =>
    `standby ${of('round_trip_ms')} ms away: ${of('throughput_ratio_to_local', 2)} × the rate of a \`local\` cell, p50 ${of('p50_ms', 1)} ms; while the standby was dead everything was refused, the slowest after ${of('refused_ms_max')} ms; ${of('acknowledged_lost')} acknowledged orders lost when it was promoted`,
  partition: (of) =>
    `one of three cells cut off for ${of('cut_seconds')} s: ${of('cut_cell_goodput_ratio', 2)} × its orders/s before, the others ${of('others_goodput_ratio', 2)} ×; ${of('oversold')} oversold, ${of('lost')} lost, ${of('doubled')} doubled`,
  'region-loss': (of) =>
    `a \`geo\` cell loses its region: ${of('acknowledged_lost')} acknowledged orders lost, another cell takes orders after ${of('others_seconds', 1)} s, the cell itself ${of('own_seconds_after_promotion', 1)} s after its standby is promoted`,
  telemetry: (of) =>
    `with traces of one request in a hundred an order takes ${of('overhead_ratio', 2)} × the CPU that it takes without, ${of('traced_cpu_us_per_order')} µs`,
  'control-room': (of) =>
    `**${of('fps')} frames in the worst second** while ${of('events_per_s')} events/s come to the page; it shows its numbers ${of('load_ms')} ms after it is asked for, ${of('first_paint_kb')} kB at first paint; the last pages of ${of('orders')} orders take ${of('page_last_ratio', 2)} × the time of the first`,
}

/** A field that a result lacks is a fault of the bench or of this page. */
function numbersOf(result: Result): Numbers {
  return (field, decimals = 0) => {
    const value = result[field]
    if (typeof value !== 'number') throw new Error(`the recorded ${result.name} has no number ${field}`)
    return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
  }
}
