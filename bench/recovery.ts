// kill -9 under load: first the process that serves, then PostgreSQL, each after a time at full rate (so that there is a
// log to replay), and the time until an order that was sent after the kill is accepted.
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { CommandFailure } from '../src/cli/failure.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import type { GeneratorMessage, GeneratorPlan } from './generator.ts'
import { lastLine, ownGenerator, startScript } from './load.ts'
import { readSettings } from './machine.ts'
import { round, takeTurns } from './rounds.ts'
import { type BenchServer, countOrdersSince, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const recoverySecondsMax = 120
const afterSeconds = 2

export const recovery: Bench = {
  diskMib: ({ seconds, rounds }) => 10_240 + rounds * seconds * 200,
  secondsMax: ({ seconds, rounds }) => 300 + rounds * 2 * (seconds + recoverySecondsMax),
  async run(context) {
    const server = await startServer(context)
    const postgres = await readSettings(server.sql)
    const turns = await takeTurns(context.options.rounds, {
      server: () => killUnderLoad(context, server, async () => server.cellPid()),
      postgres: () => killUnderLoad(context, server, server.postmasterPid),
    })
    const killed = { server: worst(turns.server), postgres: worst(turns.postgres) }
    const fields = {
      server_seconds: round(killed.server.seconds, 2),
      postgres_seconds: round(killed.postgres.seconds, 2),
      server_orders_per_s_before: round(killed.server.perSecondBefore),
      postgres_orders_per_s_before: round(killed.postgres.perSecondBefore),
      wal_mib_to_replay: killed.postgres.walMib,
    }
    return {
      fields,
      table: {
        columns: [
          { head: 'killed' },
          { head: 'orders/s before', align: 'right' },
          { head: 'accepted again after s', align: 'right' },
        ],
        rows: [
          ['server', grouped(killed.server.perSecondBefore), String(fields.server_seconds)],
          ['PostgreSQL', grouped(killed.postgres.perSecondBefore), String(fields.postgres_seconds)],
        ],
      },
      generator: ownGenerator,
      postgres,
    }
  },
}

type Killed = { seconds: number; perSecondBefore: number; walMib: number }

const worst = (turns: readonly Killed[]): Killed =>
  turns.reduce((slowest, turn) => (turn.seconds > slowest.seconds ? turn : slowest))

async function killUnderLoad(
  context: BenchContext,
  server: BenchServer,
  pidOf: () => Promise<number>,
): Promise<Killed> {
  const { options, say } = context
  const startedAt = systemClock.now()
  const plan: GeneratorPlan = {
    url: server.url,
    connections: options.connections ?? 256,
    depth: 1,
    seconds: options.seconds + recoverySecondsMax,
    skus: skusSpread,
    ratePerSecond: null,
    reconnect: true,
  }
  const child = startScript(context, './generator.ts', plan)
  const report = lastLine(context, child)
  await pause(options.seconds * 1000)
  const perSecondBefore = (await countOrdersSince(server.sql, startedAt)) / options.seconds
  const walMib = await walSinceCheckpointMib(server)
  const pid = await pidOf()
  const killedAtMs = performance.timeOrigin + performance.now()
  process.kill(pid, 'SIGKILL')
  child.send({ type: 'mark' } satisfies GeneratorMessage) // behind the kill: what is sent after it cannot have been accepted before
  const accepted = once(child, 'message') as Promise<[Extract<GeneratorMessage, { type: 'accepted' }>]>
  const late = pause(recoverySecondsMax * 1000, undefined, { ref: false }).then(() => {
    throw new CommandFailure('not_recovered', `no order was accepted within ${recoverySecondsMax} s`)
  })
  const [{ atMs }] = await Promise.race([accepted, late])
  const seconds = (atMs - killedAtMs) / 1000
  say(`${grouped(perSecondBefore)} orders/s, killed ${pid}, accepted again after ${seconds.toFixed(2)} s`)
  await pause(afterSeconds * 1000)
  child.kill('SIGKILL')
  await report.catch(() => {}) // it was stopped before its time
  return { seconds, perSecondBefore, walMib }
}

async function walSinceCheckpointMib({ sql }: BenchServer): Promise<number> {
  const [row] = await sql<{ bytes: string }[]>`
    select pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::bigint as bytes from pg_control_checkpoint()`
  return Math.round(Number(row!.bytes) / 1024 / 1024)
}
