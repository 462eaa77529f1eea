// One of three cells is cut off from both others, under load in each: all three must go on selling as before, from what they have. The
// cells reach each other through a wide area of ours, with the round trips of real cloud regions. Most buyers want what there is
// plenty of: their accepted orders are the goodput, during the cut against as long before it. Others want a SKU of which there is
// less than they ask for in that time, so that every cell has to refuse in the end; it must not be sold twice on the two sides.
import { setTimeout as pause } from 'node:timers/promises'
import { parseWireId } from '../src/base/ids.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { eventually } from '../test/support/eventually.ts'
import { readLatencies } from '../test/support/latencies.ts'
import { openWideArea } from '../test/support/wide-area.ts'
import { type Bench, grouped } from './bench.ts'
import type { Asked } from './buyers.ts'
import { buyersName, startBuying } from './buying.ts'
import { readSettings } from './machine.ts'
import { round } from './rounds.ts'
import { type BenchServer, countOrdersSince, receiveStock, startCells } from './server.ts'

const names = ['eu1', 'us1', 'ap1']
const cutName = 'ap1'
const plenty = { sku: 'PLENTY', units: 10_000_000 }
const scarceSku = 'SCARCE'
const plentyPerSecond = 60
const scarcePerSecond = 10
const besideSeconds = 5
const settleMsMax = 30_000

export const partition: Bench = {
  diskMib: () => 6_144,
  secondsMax: ({ seconds }) => 240 + seconds * 3,
  async run(context) {
    const { options, say } = context
    const area = openWideArea(readLatencies())
    context.defer(() => area.stop())
    const servers = await startCells(context, { folderName: 'cells', cells: names, area })
    // Half of it is asked for before the cut, and the rest is less than what the cut cell's buyers and the others' ask for in it.
    const scarce = { sku: scarceSku, units: Math.ceil(1.5 * options.seconds * scarcePerSecond * names.length) }
    await receiveStock(servers, [plenty, scarce])
    const startedAt = systemClock.now()
    const buying = startBuying(context, { groups: groupsOf(servers), secondsMax: options.seconds * 2 + 120 })
    await pause(besideSeconds * 1_000) // plans are made, code is compiled
    const beforeAtMs = nowMs()
    await pause(options.seconds * 1_000)
    for (const other of names.filter((name) => name !== cutName)) {
      area.change(cutName, other, { passage: 'cut' })
      area.change(other, cutName, { passage: 'cut' })
    }
    const cutAtMs = nowMs()
    say(`${cutName} is cut off`)
    await pause(options.seconds * 1_000)
    area.heal()
    const healedAtMs = nowMs()
    await pause(besideSeconds * 1_000)
    buying.close()
    const journal = await buying.journal
    const seconds = options.seconds
    const rate = (cells: readonly string[], fromMs: number, toMs: number) =>
      journal.filter(
        ({ group, cell, status, isRepeat, answeredAtMs }) =>
          group === 'plenty' &&
          cells.includes(cell) &&
          status === 201 &&
          !isRepeat &&
          answeredAtMs >= fromMs &&
          answeredAtMs < toMs,
      ).length / seconds
    const others = names.filter((name) => name !== cutName)
    const [cutBefore, cutDuring] = [rate([cutName], beforeAtMs, cutAtMs), rate([cutName], cutAtMs, healedAtMs)]
    const [othersBefore, othersDuring] = [rate(others, beforeAtMs, cutAtMs), rate(others, cutAtMs, healedAtMs)]
    const stored = await Promise.all(servers.map(({ sql }) => countOrdersSince(sql, startedAt)))
    const fields = {
      cut_cell_goodput_ratio: round(cutDuring / cutBefore, 3),
      others_goodput_ratio: round(othersDuring / othersBefore, 3),
      oversold: Math.max(0, (await takenOf(servers, scarceSku)) - scarce.units),
      lost: await countLost(servers, journal),
      doubled: countDoubled(
        journal,
        stored.reduce((sum, count) => sum + count, 0),
      ),
      audits_consistent: await consistent(servers),
      scarce_sold: await takenOf(servers, scarceSku),
      scarce_units: scarce.units,
      cut_cell_per_s: round(cutDuring, 1),
      others_per_s: round(othersDuring, 1),
      orders: journal.filter(({ status, isRepeat }) => status === 201 && !isRepeat).length,
      cut_seconds: seconds,
    }
    return {
      fields,
      table: {
        columns: [
          { head: 'cells' },
          ...['before/s', 'during/s', 'ratio'].map((head) => ({ head, align: 'right' as const })),
        ],
        rows: [
          [`${cutName}, cut off`, grouped(cutBefore), grouped(cutDuring), String(fields.cut_cell_goodput_ratio)],
          ['the others', grouped(othersBefore), grouped(othersDuring), String(fields.others_goodput_ratio)],
        ],
      },
      generator: buyersName,
      postgres: await readSettings(servers[0]!.sql),
    }
  },
}

const nowMs = (): number => performance.timeOrigin + performance.now()

const groupsOf = (servers: readonly BenchServer[]) =>
  servers.flatMap(({ cell, url }, at) => {
    const group = { cell, url, otherUrl: servers[(at + 1) % servers.length]!.url }
    return [
      { ...group, name: 'plenty', sku: plenty.sku, ratePerSecond: plentyPerSecond },
      { ...group, name: 'scarce', sku: scarceSku, ratePerSecond: scarcePerSecond },
    ]
  })

async function takenOf(servers: readonly BenchServer[], sku: string): Promise<number> {
  const counts = await Promise.all(
    servers.map(
      ({ sql }) =>
        sql<
          { taken: string }[]
        >`select coalesce(sum(reserved + committed), 0) as taken from stock.rows where sku = ${sku}`,
    ),
  )
  return counts.reduce((sum, [row]) => sum + Number(row!.taken), 0)
}

/** Acknowledged orders that their cell does not have. */
async function countLost(servers: readonly BenchServer[], journal: readonly Asked[]): Promise<number> {
  const acknowledged = [...new Set(journal.flatMap(({ order }) => order ?? []))].map((id) => parseWireId(id)!)
  const found = await Promise.all(
    servers.map(({ cell, sql }) => {
      const ids = acknowledged.filter((id) => id.cell === cell).map(({ uuid }) => uuid)
      return sql<{ count: string }[]>`
        select count(*) from orders.states where id = any(${ids}::uuid[]) and status <> 'cancelled'`
    }),
  )
  return acknowledged.length - found.reduce((sum, [row]) => sum + Number(row!.count), 0)
}

/** Keys with two orders, whether their buyers heard of both or not. */
function countDoubled(journal: readonly Asked[], stored: number): number {
  const byKey = Map.groupBy(journal, ({ key }) => key)
  let doubled = 0
  let wanted = 0
  for (const asked of byKey.values()) {
    const orders = new Set(asked.flatMap(({ order }) => order ?? [])).size
    if (orders > 1) doubled += orders - 1
    if (orders > 0 || asked.some(({ status }) => status === 0 || status >= 500)) wanted++
  }
  return Math.max(doubled, stored - wanted)
}

/** Once everything in flight has arrived. */
async function consistent(servers: readonly BenchServer[]): Promise<boolean> {
  const audit = async ({ url }: BenchServer) => {
    const answer = await fetch(`${url}/v1/audit?fresh=true`, { headers: { authorization: 'Bearer sk_dev' } })
    return ((await answer.json()) as { consistent?: boolean }).consistent === true
  }
  try {
    await eventually(async () => (await Promise.all(servers.map(audit))).every(Boolean), settleMsMax)
    return true
  } catch {
    return false
  }
}
