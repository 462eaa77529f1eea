// Orders over HTTP at 1, 64 and 256 connections, in turn with the same server that answers at once without the engine.
import { CommandFailure } from '../src/cli/failure.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { type Bench, type BenchContext, type Field, grouped } from './bench.ts'
import { generatorName, type Load, type LoadPlan, runLoad } from './load.ts'
import { readSettings } from './machine.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import {
  type BenchServer,
  type CpuSeconds,
  checkpointMidway,
  countOrdersSince,
  startNoopServer,
  startServer,
} from './server.ts'
import { skusSpread } from './shapes.ts'

export type Slice = Load & { cpuUs: { server: number; postgres: number } }

const warmUpSeconds = 3

/** One slice against the product: a checkpoint in the middle, and as many orders stored as were acknowledged. */
export async function placeOrders(
  context: BenchContext,
  server: BenchServer,
  { connections, seconds, skus, pay }: Omit<LoadPlan, 'url'>,
): Promise<Slice> {
  const startedAt = systemClock.now()
  const cpuBefore = await server.cpuSeconds()
  const [load] = await Promise.all([
    runLoad(context, { url: server.url, connections, seconds, skus, ...(pay && { pay }) }),
    checkpointMidway(server.sql, seconds),
  ])
  const cpuAfter = await server.cpuSeconds()
  const stored = await countOrdersSince(server.sql, startedAt)
  // In flight at its end, or sent by the slice before and taken up late
  if (stored < load.answers || stored > load.answers + 2 * connections)
    throw new CommandFailure('lost', `${load.answers} orders were acknowledged and ${stored} are stored`)
  return { ...load, cpuUs: perOrder(cpuBefore, cpuAfter, stored) }
}

const perOrder = (before: CpuSeconds, after: CpuSeconds, orders: number) => ({
  server: ((after.server - before.server) * 1e6) / orders,
  postgres: ((after.postgres - before.postgres) * 1e6) / orders,
})

export const orders: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 100,
  secondsMax: ({ seconds, rounds }) => 300 + rounds * seconds * 12,
  async run(context) {
    const { options, say } = context
    const server = await startServer(context)
    const noop = await startNoopServer(context)
    const levels = options.connections === undefined ? [1, 64, 256] : [options.connections]
    const headline = levels.at(-1)!
    await warmUp(context, [server.url, noop.url], headline)

    const byLevel: Record<string, Field> = {}
    const rows: string[][] = []
    let fields: Record<string, Field> = {}
    for (const connections of levels) {
      const plan = { connections, seconds: options.seconds, skus: skusSpread }
      const turns = await takeTurns(options.rounds, {
        orders: async (turn) => {
          const slice = await placeOrders(context, server, plan)
          say(`${connections} connections, round ${turn}: ${grouped(slice.perSecond)} orders/s`)
          return slice
        },
        noop: async (turn) => {
          const before = await noop.cpuSeconds()
          const load = await runLoad(context, { url: noop.url, ...plan })
          say(`${connections} connections, round ${turn}: ${grouped(load.perSecond)}/s without the engine`)
          return { ...load, cpuUs: perOrder(before, await noop.cpuSeconds(), load.answers) }
        },
      })
      fields = summary(turns.orders, turns.noop)
      byLevel[connections] = fields
      rows.push([
        String(connections),
        ...['orders_per_s', 'noop_per_s'].map((name) => grouped(fields[name] as number)),
        ...['ratio_to_noop', 'p50_ms', 'p99_ms', 'cpu_us_server', 'cpu_us_postgres', 'cpu_us_noop'].map((name) =>
          String(fields[name]),
        ),
      ])
    }
    return {
      fields: { ...fields, connections: headline, by_connections: byLevel },
      table: {
        columns: [
          'connections',
          'orders/s',
          'no engine/s',
          'ratio',
          'p50 ms',
          'p99 ms',
          'CPU µs: server',
          'PostgreSQL',
          'no engine',
        ].map((head) => ({ head, align: 'right' as const })),
        rows,
      },
      generator: generatorName,
      postgres: await readSettings(server.sql),
    }
  },
}

/** Code compiled, plans cached, tables no longer empty; nothing of it is counted. */
export async function warmUp(
  context: BenchContext,
  urls: readonly string[],
  connections: number,
  seconds = warmUpSeconds,
): Promise<void> {
  for (const url of urls) await runLoad(context, { url, connections, seconds, skus: skusSpread })
}

function summary(placed: readonly Slice[], noop: readonly Slice[]): Record<string, Field> {
  const rates = placed.map((slice) => slice.perSecond)
  const noopRates = noop.map((load) => load.perSecond)
  return {
    orders_per_s: round(median(rates)),
    p50_ms: round(median(placed.map((slice) => slice.p50Ms)), 2),
    p99_ms: round(median(placed.map((slice) => slice.p99Ms)), 2),
    cpu_us_per_order: round(median(placed.map(({ cpuUs }) => cpuUs.server + cpuUs.postgres)), 1),
    noop_per_s: round(median(noopRates)),
    ratio_to_noop: medianRatio(rates, noopRates),
    cpu_us_server: round(median(placed.map(({ cpuUs }) => cpuUs.server)), 1),
    cpu_us_postgres: round(median(placed.map(({ cpuUs }) => cpuUs.postgres)), 1),
    cpu_us_noop: round(median(noop.map(({ cpuUs }) => cpuUs.server)), 1),
    orders_per_s_by_round: rates.map((rate) => round(rate)),
    noop_per_s_by_round: noopRates.map((rate) => round(rate)),
  }
}
