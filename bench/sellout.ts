// 10,000 units of one SKU, received in one cell and sold out over three, whose buyers come in the proportion 70 : 20 : 10; the cells
// reach each other through a wide area of ours, with the round trips of real cloud regions. All units must be sold, and nobody be
// told "sold out" who did not have to be: a refusal is counted as false when a buyer who came only after it was answered still got
// a unit, anywhere, since that unit was there all the time that the refused one waited. It is measured against all who asked while
// there was something to sell, so that refusals after the end cannot dilute it.
import { setTimeout as pause } from 'node:timers/promises'
import { CommandFailure } from '../src/cli/failure.ts'
import { readLatencies } from '../test/support/latencies.ts'
import { openWideArea } from '../test/support/wide-area.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import type { Asked } from './buyers.ts'
import { buyersName, percentileOf, startBuying } from './buying.ts'
import { readSettings } from './machine.ts'
import { round } from './rounds.ts'
import { type BenchServer, receiveStock, startCells } from './server.ts'

const demand = [
  ['eu1', 0.7],
  ['us1', 0.2],
  ['ap1', 0.1],
] as const
const units = 10_000
const sku = 'LIMITED'
const afterSeconds = 2
const secondsMax = 120
const lookMs = 250

export const sellout: Bench = {
  diskMib: () => 4_096,
  secondsMax: ({ rounds }) => rounds * (secondsMax + 120),
  async run(context) {
    const { say, options } = context
    const roundTripMs = readLatencies()
    const area = openWideArea(roundTripMs)
    context.defer(() => area.stop())
    const cells = demand.map(([cell]) => cell)
    const servers = await startCells(context, { folderName: 'cells', cells, area })
    await receiveStock(servers, [{ sku, units }])
    const startedAt = performance.now()
    const buying = startBuying(context, {
      groups: servers.map(({ cell, url }) => {
        const share = demand.find(([name]) => name === cell)![1]
        return { name: cell, cell, url, sku, ratePerSecond: (share * units) / options.seconds }
      }),
      secondsMax,
    })
    await soldOut(context, servers)
    const seconds = (performance.now() - startedAt) / 1_000
    await pause(afterSeconds * 1_000)
    buying.close()
    const journal = await buying.journal
    const found = judge(journal)
    const rows = await Promise.all(servers.map(countUnits))
    const sold = rows.reduce((sum, row) => sum + row.taken, 0)
    if (sold < found.accepted)
      throw new CommandFailure('lost', `${found.accepted} orders were acknowledged and ${sold} units are taken`)
    say(`${grouped(sold)} sold, ${found.falsely} of ${found.refused} refusals were false`)
    const fields = {
      sold,
      false_sold_out_ratio: round(found.falsely / (found.accepted + found.falsely), 5),
      oversold: Math.max(0, sold - units),
      false_sold_outs: found.falsely,
      refusals_before_the_last_sale: found.beforeLastSale,
      other_answers: found.others,
      p50_ms: round(percentileOf(found.acceptedMs, 0.5), 1),
      p99_ms: round(percentileOf(found.acceptedMs, 0.99), 1),
      last_tenth_p99_ms: round(percentileOf(found.acceptedMs.slice(-units / 10), 0.99), 1),
      left: rows.reduce((sum, row) => sum + row.available, 0),
      sold_by_cell: rows.map(({ taken }) => taken),
      rate_per_s: round(units / options.seconds),
      sold_out_after_s: round(seconds, 1),
      round_trips_ms: cells.map((cell, at) => roundTripMs(cell, cells[(at + 1) % cells.length]!)),
    }
    return {
      fields,
      table: {
        columns: ['cell', 'share of buyers', 'sold'].map((head) => ({ head, align: 'right' as const })),
        rows: demand.map(([cell, share], at) => [cell, String(share), grouped(fields.sold_by_cell[at]!)]),
      },
      generator: buyersName,
      postgres: await readSettings(servers[0]!.sql),
    }
  },
}

/** Nothing is left in any cell. */
async function soldOut({ say }: BenchContext, servers: readonly BenchServer[]): Promise<void> {
  const endsAt = performance.now() + secondsMax * 1_000
  let takenBefore = 0
  let sameSince = performance.now()
  while (performance.now() < endsAt) {
    const rows = await Promise.all(servers.map(countUnits))
    const taken = rows.reduce((sum, row) => sum + row.taken, 0)
    if (taken >= units) return
    if (taken > takenBefore) sameSince = performance.now()
    takenBefore = taken
    if (taken > 0 && performance.now() - sameSince > 10_000) {
      say(`nobody gets any more, and ${units - taken} are left: ${JSON.stringify(rows)}`)
      return
    }
    await pause(lookMs)
  }
}

async function countUnits({ sql }: BenchServer): Promise<{ taken: number; available: number }> {
  const [row] = await sql<{ taken: string; available: string }[]>`
    select coalesce(sum(reserved + committed), 0) as taken, coalesce(sum(on_hand - reserved - committed), 0) as available
    from stock.rows where sku = ${sku}`
  return { taken: Number(row!.taken), available: Number(row!.available) }
}

function judge(all: readonly Asked[]) {
  const journal = all.filter(({ isRepeat }) => !isRepeat)
  const accepted = journal.filter(({ status }) => status === 201)
  const refused = journal.filter(({ code }) => code === 'insufficient_stock')
  const lastCameAt = accepted.reduce((last, { sentAtMs }) => Math.max(last, sentAtMs), 0)
  const lastPlacedAt = accepted.reduce((last, { placedAtMs }) => Math.max(last, placedAtMs!), 0)
  return {
    accepted: new Set(accepted.map(({ key }) => key)).size,
    refused: refused.length,
    falsely: refused.filter(({ answeredAtMs }) => answeredAtMs < lastCameAt).length,
    beforeLastSale: refused.filter(({ answeredAtMs }) => answeredAtMs < lastPlacedAt).length,
    others: Object.fromEntries(
      Object.entries(Object.groupBy(journal, ({ status, code }) => `${status} ${code ?? ''}`.trim()))
        .filter(([what]) => what !== '201' && !what.endsWith('insufficient_stock'))
        .map(([what, all]) => [what, all!.length]),
    ),
    acceptedMs: accepted.map(({ sentAtMs, answeredAtMs }) => answeredAtMs - sentAtMs),
  }
}
