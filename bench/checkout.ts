// A whole checkout in one request: the order is placed, authorized and captured by the in-process test provider and confirmed,
// and only then answered (`Prefer: wait`). After each slice the confirmed orders and the provider's charges are counted.
import { CommandFailure } from '../src/cli/failure.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { type Bench, grouped } from './bench.ts'
import { generatorName, runLoad } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders } from './orders.ts'
import { median, round, takeTurns } from './rounds.ts'
import { countCharges, countOrdersSince, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const connectionsUsual = 256
const warmUpSeconds = 5
const pay = { method: 'tok_ok', wait: true }

export const checkout: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 150,
  secondsMax: ({ seconds, rounds }) => 200 + rounds * seconds * 4,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const server = await startServer(context)
    await runLoad(context, { url: server.url, connections, seconds: warmUpSeconds, skus: skusSpread, pay })
    const turns = await takeTurns(options.rounds, {
      checkout: async (turn) => {
        const startedAt = systemClock.now()
        const slice = await placeOrders(context, server, {
          connections,
          seconds: options.seconds,
          skus: skusSpread,
          pay,
        })
        const confirmed = await countOrdersSince(server.sql, startedAt, 'confirmed')
        if (confirmed < slice.answers)
          throw new CommandFailure('not_confirmed', `${slice.answers} were answered and ${confirmed} are confirmed`)
        say(`round ${turn}: ${grouped(slice.perSecond)} confirmed/s, p50 ${round(slice.p50Ms)} ms`)
        return slice
      },
    })
    const { charges, doubled } = await countCharges(server.sql)
    if (doubled > 0) throw new CommandFailure('doubled', `${doubled} of ${charges} orders were charged twice`)
    const slices = turns.checkout
    const fields = {
      confirmed_per_s: round(median(slices.map((slice) => slice.perSecond))),
      p50_ms_to_confirmed: round(median(slices.map((slice) => slice.p50Ms)), 2),
      p99_ms_to_confirmed: round(median(slices.map((slice) => slice.p99Ms)), 2),
      cpu_us_per_order: round(median(slices.map(({ cpuUs }) => cpuUs.server + cpuUs.postgres)), 1),
      cpu_us_server: round(median(slices.map(({ cpuUs }) => cpuUs.server)), 1),
      cpu_us_postgres: round(median(slices.map(({ cpuUs }) => cpuUs.postgres)), 1),
      connections,
      confirmed_per_s_by_round: slices.map((slice) => round(slice.perSecond)),
    }
    return {
      fields,
      table: {
        columns: ['confirmed/s', 'p50 ms', 'p99 ms', 'CPU µs an order'].map((head) => ({
          head,
          align: 'right' as const,
        })),
        rows: [
          [
            grouped(fields.confirmed_per_s),
            String(fields.p50_ms_to_confirmed),
            String(fields.p99_ms_to_confirmed),
            String(fields.cpu_us_per_order),
          ],
        ],
      },
      generator: generatorName,
      postgres: await readSettings(server.sql),
    }
  },
}
