// The bulk endpoint: streams of NDJSON, bounded memory. Each round is counted to the last answer of its streams.
import { CommandFailure } from '../src/cli/failure.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import type { BulkReport } from './bulk-generator.ts'
import { lastLine, startScript } from './load.ts'
import { readSettings } from './machine.ts'
import { peakRssMib } from './processes.ts'
import { median, round, takeTurns } from './rounds.ts'
import { type BenchServer, checkpointMidway, countOrdersSince, startServer } from './server.ts'

const streamsUsual = 4
const warmUpSeconds = 3

export const bulk: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 150,
  secondsMax: ({ seconds, rounds }) => 200 + rounds * seconds * 3,
  async run(context) {
    const { options, say } = context
    const streams = options.connections ?? streamsUsual
    const server = await startServer(context)
    await send(context, server, streams, warmUpSeconds)
    const turns = await takeTurns(options.rounds, {
      bulk: async (turn) => {
        const perSecond = await send(context, server, streams, options.seconds)
        say(`round ${turn}: ${grouped(perSecond)} orders/s, peak memory ${grouped(peakRssMib(server.cellPid()))} MiB`)
        return perSecond
      },
    })
    const fields = { orders_per_s: round(median(turns.bulk)), rss_mib_max: round(peakRssMib(server.cellPid())) }
    return {
      fields: { ...fields, streams, orders_per_s_by_round: turns.bulk.map((rate) => round(rate)) },
      table: {
        columns: ['streams', 'orders/s', 'peak memory MiB'].map((head) => ({ head, align: 'right' as const })),
        rows: [[String(streams), grouped(fields.orders_per_s), String(fields.rss_mib_max)]],
      },
      generator: `bench/bulk-generator.ts on Node ${process.version}, one process, ${streams} streams`,
      postgres: await readSettings(server.sql),
    }
  },
}

/** Orders per second. */
async function send(context: BenchContext, server: BenchServer, streams: number, seconds: number): Promise<number> {
  const startedAt = systemClock.now()
  const child = startScript(context, './bulk-generator.ts', { url: server.url, streams, seconds })
  const [line] = await Promise.all([lastLine(context, child), checkpointMidway(server.sql, seconds)])
  const report = JSON.parse(line) as BulkReport
  const stored = await countOrdersSince(server.sql, startedAt)
  if (report.refused > 0)
    throw new CommandFailure('not_accepted', `${report.refused} lines were refused, first ${report.firstRefusal}`)
  if (stored !== report.accepted)
    throw new CommandFailure('lost', `${report.accepted} orders were acknowledged and ${stored} are stored`)
  return report.accepted / report.seconds
}
