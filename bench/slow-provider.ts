// A payment provider that takes two seconds and loses a tenth of its answers, in turn with a healthy one: how fast orders are
// placed must not depend on it. After each slice all payments are awaited; then nothing may be charged twice or left behind.
import { setTimeout as pause } from 'node:timers/promises'
import type postgres from 'postgres'
import { CommandFailure } from '../src/cli/failure.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import { generatorName } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders, warmUp } from './orders.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { type BenchServer, countCharges, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const connectionsUsual = 256
const drainSecondsMax = 240

export const slowProvider: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 300,
  secondsMax: ({ seconds, rounds }) => 200 + rounds * (seconds * 3 + 2 * drainSecondsMax),
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const server = await startServer(context)
    await warmUp(context, [server.url], connections)
    const place = (name: string, method: string) => async (turn: number) => {
      const plan = { connections, seconds: options.seconds, skus: skusSpread, pay: { method, wait: false } }
      const slice = await placeOrders(context, server, plan)
      say(`${name}, round ${turn}: ${grouped(slice.perSecond)} placed/s`)
      await settleAll(context, server)
      return slice.perSecond
    }
    const turns = await takeTurns(options.rounds, {
      slow: place('slow', 'tok_laggy'),
      healthy: place('healthy', 'tok_ok'),
    })
    const { charges, doubled } = await countCharges(server.sql)
    const lost = await countUnsettled(server.sql)
    const ratio = medianRatio(turns.slow, turns.healthy)
    return {
      fields: {
        placed_ratio_to_healthy: ratio,
        doubled_charges: doubled,
        lost_orders: lost,
        placed_per_s: round(median(turns.slow)),
        healthy_per_s: round(median(turns.healthy)),
        charges,
        connections,
        placed_per_s_by_round: turns.slow.map((rate) => round(rate)),
        healthy_per_s_by_round: turns.healthy.map((rate) => round(rate)),
      },
      table: {
        columns: [{ head: 'provider' }, { head: 'placed/s', align: 'right' }, { head: 'ratio', align: 'right' }],
        rows: [
          ['slow', grouped(median(turns.slow)), String(ratio)],
          ['healthy', grouped(median(turns.healthy)), '1'],
        ],
      },
      generator: generatorName,
      postgres: await readSettings(server.sql),
    }
  },
}

/** Waits until no order has a payment under way. */
async function settleAll({ say }: BenchContext, { sql }: BenchServer): Promise<void> {
  const startedAt = performance.now()
  for (let open = await countOpen(sql); open > 0; open = await countOpen(sql)) {
    const seconds = (performance.now() - startedAt) / 1000
    if (seconds > drainSecondsMax) throw new CommandFailure('unsettled', `${open} payments are open after ${seconds} s`)
    say(`${grouped(open)} payments are under way`)
    await pause(2_000)
  }
}

async function countOpen(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: string }[]>`
    select count(*) from orders.states where status = 'pending' and expires_at is null`
  return Number(row!.count)
}

/** Paid orders that are not confirmed though all their payments have ended. */
async function countUnsettled(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: string }[]>`
    select count(*) from orders.states where status <> 'confirmed' and life is not null`
  return Number(row!.count)
}
