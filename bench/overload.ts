// Ten times the capacity, offered by a schedule that answers do not slow down. The capacity is measured in turn with it, by
// the same generator. Callers have a bound: what finds all of it open is not sent, and the factor that was reached says so.
import { CommandFailure } from '../src/cli/failure.ts'
import { type Bench, grouped } from './bench.ts'
import type { GeneratorReport } from './generator.ts'
import { ownGenerator, runGenerator } from './load.ts'
import { readSettings } from './machine.ts'
import { warmUp } from './orders.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { checkpointMidway, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const factor = 10
/** Callers, each with one request open at a time: as buyers come. */
const connectionsUsual = 4_096
const connectionsCapacity = 256
const depth = 1

export const overload: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 150,
  secondsMax: ({ seconds, rounds }) => 200 + rounds * seconds * 4,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const server = await startServer(context)
    await warmUp(context, [server.url], connectionsCapacity)
    const shared = { url: server.url, seconds: options.seconds, skus: skusSpread, reconnect: false }
    const offer = async (plan: { connections: number; depth: number; ratePerSecond: number | null }) => {
      const [report] = await Promise.all([
        runGenerator(context, { ...shared, ...plan }),
        checkpointMidway(server.sql, options.seconds),
      ])
      if (report.lost > 0) throw new CommandFailure('hung', `${report.lost} requests were never answered`)
      return report
    }
    let capacity = 0
    const turns = await takeTurns(options.rounds, {
      capacity: async (turn) => {
        const report = await offer({ connections: connectionsCapacity, depth, ratePerSecond: null })
        capacity = report.acceptedPerSecond
        say(`capacity, round ${turn}: ${grouped(capacity)} orders/s`)
        return report
      },
      over: async (turn) => {
        const report = await offer({ connections, depth, ratePerSecond: factor * capacity })
        say(
          `overload, round ${turn}: ${grouped(report.acceptedPerSecond)} orders/s of ${grouped(offered(report))} sent`,
        )
        return report
      },
    })
    const fields = summary(turns.capacity, turns.over)
    return {
      fields: { ...fields, meant_factor: factor, connections, depth },
      table: {
        columns: ['', 'sent/s', 'accepted/s', 'p50 ms', 'p99 ms'].map((head) => ({ head, align: 'right' as const })),
        rows: [
          ['capacity', '', grouped(fields.capacity_per_s), '', ''],
          [
            `${fields.offered_factor} × offered`,
            grouped(fields.offered_per_s),
            grouped(fields.goodput_per_s),
            String(fields.p50_accepted_ms),
            String(fields.p99_accepted_ms),
          ],
        ],
      },
      generator: ownGenerator,
      postgres: await readSettings(server.sql),
    }
  },
}

const offered = (report: GeneratorReport): number => report.sent / report.seconds

function summary(capacity: readonly GeneratorReport[], over: readonly GeneratorReport[]) {
  const refused = new Set(over.flatMap(({ answers }) => Object.keys(answers).filter((status) => status !== '201')))
  const capacities = capacity.map((report) => report.acceptedPerSecond)
  const goodputs = over.map((report) => report.acceptedPerSecond)
  return {
    goodput_ratio: medianRatio(goodputs, capacities),
    p99_accepted_ms: round(median(over.map((report) => report.p99Ms)), 1),
    refused_status: refused.size === 1 ? Number([...refused][0]) : [...refused].map(Number),
    capacity_per_s: round(median(capacities)),
    goodput_per_s: round(median(goodputs)),
    p50_accepted_ms: round(median(over.map((report) => report.p50Ms)), 1),
    offered_per_s: round(median(over.map(offered))),
    offered_factor: medianRatio(over.map(offered), capacities),
    capacity_per_s_by_round: capacities.map((rate) => round(rate)),
    goodput_per_s_by_round: goodputs.map((rate) => round(rate)),
  }
}
