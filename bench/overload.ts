// Ten times the capacity, offered by a schedule that answers do not slow down. The capacity is measured just before, by the
// same generator over the same connections. Callers have a bound: what finds all of it open is not sent, and said so.
import { CommandFailure } from '../src/cli/failure.ts'
import { type Bench, grouped } from './bench.ts'
import { ownGenerator, runGenerator } from './load.ts'
import { readSettings } from './machine.ts'
import { warmUp } from './orders.ts'
import { round } from './rounds.ts'
import { checkpointMidway, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const factor = 10
const connectionsUsual = 512
/** Requests a connection may have open under overload; for the capacity it is one on half of the connections. */
const depth = 8

export const overload: Bench = {
  diskMib: ({ seconds }) => 4_096 + seconds * 200,
  secondsMax: ({ seconds }) => 200 + seconds * 4,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const server = await startServer(context)
    await warmUp(context, [server.url], 256)
    const shared = { url: server.url, seconds: options.seconds, skus: skusSpread, reconnect: false }
    const [capacity] = await Promise.all([
      runGenerator(context, { ...shared, connections: Math.ceil(connections / 2), depth: 1, ratePerSecond: null }),
      checkpointMidway(server.sql, options.seconds),
    ])
    say(`capacity: ${grouped(capacity.acceptedPerSecond)} orders/s, p99 ${capacity.p99Ms} ms`)
    const [over] = await Promise.all([
      runGenerator(context, { ...shared, connections, depth, ratePerSecond: factor * capacity.acceptedPerSecond }),
      checkpointMidway(server.sql, options.seconds),
    ])
    if (over.lost > 0) throw new CommandFailure('hung', `${over.lost} requests were never answered`)
    const refused = Object.keys(over.answers).filter((status) => status !== '201')
    const offered = over.sent / over.seconds
    const fields = {
      goodput_ratio: round(over.acceptedPerSecond / capacity.acceptedPerSecond, 3),
      p99_accepted_ms: over.p99Ms,
      refused_status: refused.length === 1 ? Number(refused[0]) : refused.map(Number),
      capacity_per_s: round(capacity.acceptedPerSecond),
      goodput_per_s: round(over.acceptedPerSecond),
      p50_accepted_ms: over.p50Ms,
      offered_per_s: round(offered),
      offered_factor: round(offered / capacity.acceptedPerSecond, 2),
      meant_factor: factor,
      connections,
      depth,
    }
    return {
      fields,
      table: {
        columns: ['', 'sent/s', 'accepted/s', 'p50 ms', 'p99 ms'].map((head) => ({ head, align: 'right' as const })),
        rows: [
          ['capacity', '', grouped(capacity.acceptedPerSecond), String(capacity.p50Ms), String(capacity.p99Ms)],
          [
            `${fields.offered_factor} × offered`,
            grouped(offered),
            grouped(over.acceptedPerSecond),
            String(over.p50Ms),
            String(over.p99Ms),
          ],
        ],
      },
      generator: ownGenerator,
      postgres: await readSettings(server.sql),
    }
  },
}
