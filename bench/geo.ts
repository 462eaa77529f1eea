// A `geo` cell whose standby is 40 ms away, in turn with a `local` one: first as much as each can do, with so many buyers that those
// who wait for the standby are no bound; then its latency at a rate that it is far from. The two share one machine with the standby,
// whose work is in the ratio. Then the standby dies for a minute: whatever is asked has to be refused soon and nothing acknowledged.
// When it has come back the primary is killed under load, and every order ever acknowledged has to stand on the promoted standby.
import { setTimeout as pause } from 'node:timers/promises'
import { parseWireId } from '../src/base/ids.ts'
import { openSql } from '../src/runtime/database-url.ts'
import { processesIn } from '../src/runtime/embedded-postmaster.ts'
import { eventually } from '../test/support/eventually.ts'
import { type Replicated, startReplicated } from '../test/support/replicated.ts'
import { signalAll } from '../test/support/signal-all.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import type { Asked } from './buyers.ts'
import { buyersName, percentileOf, startBuying } from './buying.ts'
import { generatorName, ownGenerator, runGenerator } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders, warmUp } from './orders.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { type BenchServer, startServer, startServerOn } from './server.ts'
import { skuOf, skusSpread } from './shapes.ts'

const roundTripMs = 40
const connectionsUsual = 512
/** Of what the local cell can do. */
const moderateShare = 0.25
const buyersPerSecond = 50
const besideSeconds = 4
const refusedMsMax = 2_000
const recoveryMsMax = 60_000

export const geo: Bench = {
  diskMib: ({ seconds, rounds }) => 12_288 + seconds * rounds * 50,
  secondsMax: ({ seconds, rounds }) => 400 + rounds * seconds + seconds,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const local = await startServer(context)
    const servers = await startReplicated({ delayMs: roundTripMs / 2, durable: true, parent: context.folder })
    context.defer(() => servers.stop())
    const { url, pid } = servers.primary
    const far = await startServerOn(context, { url, pid, flags: ['--durability=geo'] })
    await warmUp(context, [local.url, far.url], connections)

    const seconds = Math.max(1, Math.round(options.seconds / 6))
    const place = (name: string, server: BenchServer) => async (turn: number) => {
      const slice = await placeOrders(context, server, { connections, seconds, skus: skusSpread })
      say(`${name}, round ${turn}: ${grouped(slice.perSecond)} orders/s, p50 ${slice.p50Ms} ms`)
      return slice.perSecond
    }
    const turns = await takeTurns(options.rounds, { geo: place('geo', far), local: place('local', local) })
    const ratePerSecond = Math.round(moderateShare * median(turns.local))
    const plan = { connections, depth: 1, seconds, skus: skusSpread, ratePerSecond, reconnect: false }
    const moderate = await runGenerator(context, { ...plan, url: far.url })
    say(`at ${grouped(ratePerSecond)} orders/s: p50 ${moderate.p50Ms} ms, p99 ${moderate.p99Ms} ms`)
    const postgres = await readSettings(far.sql)
    const losses = await loseBoth(context, far, servers)
    const fields = {
      throughput_ratio_to_local: medianRatio(turns.geo, turns.local),
      p50_ms: moderate.p50Ms,
      ...losses,
      p99_ms: moderate.p99Ms,
      moderate_per_s: ratePerSecond,
      geo_per_s: round(median(turns.geo)),
      local_per_s: round(median(turns.local)),
      round_trip_ms: roundTripMs,
      connections,
    }
    return {
      fields,
      table: {
        columns: [{ head: 'cell' }, { head: 'orders/s', align: 'right' }, { head: 'ratio', align: 'right' }],
        rows: [
          ['local', grouped(fields.local_per_s), '1'],
          [`geo, ${roundTripMs} ms`, grouped(fields.geo_per_s), String(fields.throughput_ratio_to_local)],
        ],
      },
      generator: `${generatorName}; ${ownGenerator} at a rate; ${buyersName} while servers die`,
      postgres,
    }
  },
}

/** First the standby, for a while; then the primary, for good. */
async function loseBoth(context: BenchContext, server: BenchServer, { primary, standby }: Replicated) {
  const { seconds } = context.options
  const buyers = { name: 'geo', cell: server.cell, url: server.url, sku: skuOf(0), ratePerSecond: buyersPerSecond }
  const buying = startBuying(context, { groups: [buyers], secondsMax: seconds + 600 })
  await pause(besideSeconds * 1_000)
  kill(standby.cluster)
  const diedAtMs = nowMs()
  await pause(seconds * 1_000)
  const restartedAtMs = nowMs()
  await standby.restart()
  await eventually(async () => (await fetch(`${server.url}/readyz`)).ok, recoveryMsMax)
  const openAgainSeconds = (nowMs() - restartedAtMs) / 1_000
  await pause(besideSeconds * 1_000)
  kill(primary.cluster)
  buying.stop()
  const [journal] = await Promise.all([buying.journal, standby.promote()])
  const lost = await missingIn(standby.url, journal)
  const whileDead = journal.filter(({ sentAtMs }) => sentAtMs > diedAtMs && sentAtMs < restartedAtMs - refusedMsMax)
  const refused = whileDead.filter(({ status }) => status === 503)
  const times = refused.map(({ sentAtMs, answeredAtMs }) => answeredAtMs - sentAtMs)
  const inTime = times.filter((ms) => ms <= refusedMsMax).length
  return {
    acknowledged_lost: lost,
    refused_while_dead: round(inTime / whileDead.length, 4),
    refused_ms_max: round(percentileOf(times, 1)),
    refused_ms_p50: round(percentileOf(times, 0.5), 1),
    asked_while_dead: whileDead.length,
    acknowledged_while_dead: whileDead.filter(({ status }) => status === 201).length,
    acknowledged: journal.filter(({ status }) => status === 201).length,
    dead_seconds: seconds,
    open_again_seconds: round(openAgainSeconds, 2),
  }
}

const nowMs = (): number => performance.timeOrigin + performance.now()

function kill(cluster: string): void {
  signalAll(processesIn(cluster))
}

/** Acknowledged orders that the server does not have. */
async function missingIn(url: Replicated['standby']['url'], journal: readonly Asked[]): Promise<number> {
  const acknowledged = [...new Set(journal.flatMap(({ order }) => order ?? []))].map((id) => parseWireId(id)!.uuid)
  const sql = openSql(url, { max: 1, onnotice: () => {} })
  const [row] = await sql<
    { count: string }[]
  >`select count(*) from orders.states where id = any(${acknowledged}::uuid[])`
  await sql.end({ timeout: 1 })
  return acknowledged.length - Number(row!.count)
}
