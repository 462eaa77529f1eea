// A store that has grown, in turn with an empty one. The past is written by SQL: confirmed orders of the last three days,
// with keys, states and both events each; then balances are closed over it and the audit has to find it consistent.
import type postgres from 'postgres'
import { limits } from '../src/base/limits.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { closeBalances } from '../src/modules/stock/audit.ts'
import { openSql } from '../src/runtime/database-url.ts'
import { ensureEventPartitions } from '../src/runtime/partitions.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import { generatorName } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders, warmUp } from './orders.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { startServer } from './server.ts'
import { skusSpread } from './shapes.ts'
import { prepareSql } from './sql-orders.ts'
import { openEngine, openStore, receiveUnits, type Store } from './store.ts'

export const kibPerOrder = 2.5 // with indexes; 2 were measured
const sessions = 2
const warmUpSeconds = 15 // the pages of its indexes come from the disk one by one after the restart
const batch = 5_000
const eventsPerOrder = 2

export const growth: Bench = {
  diskMib: ({ seconds, rounds, rows }) => 12_288 + seconds * rounds * 200 + Math.ceil((rows * kibPerOrder) / 1_024),
  secondsMax: ({ seconds, rounds, rows }) => 300 + rounds * seconds * 5 + rows / 2_000,
  async run(context) {
    const { options, say } = context
    await grow(context, 'grown')
    const connections = options.connections ?? 256
    const grown = await startServer(context, 'grown')
    const empty = await startServer(context, 'empty')
    await warmUp(context, [grown.url, empty.url], connections, warmUpSeconds)
    const turns = await takeTurns(options.rounds, {
      grown: async (turn) => {
        const slice = await placeOrders(context, grown, { connections, seconds: options.seconds, skus: skusSpread })
        say(`grown, round ${turn}: ${grouped(slice.perSecond)} orders/s`)
        return slice.perSecond
      },
      empty: async (turn) => {
        const slice = await placeOrders(context, empty, { connections, seconds: options.seconds, skus: skusSpread })
        say(`empty, round ${turn}: ${grouped(slice.perSecond)} orders/s`)
        return slice.perSecond
      },
    })
    await checkAudit(grown.url)
    const ratio = medianRatio(turns.grown, turns.empty)
    const mib = await databaseMib(grown.sql)
    return {
      fields: {
        ratio_to_empty: ratio,
        orders_per_s: round(median(turns.grown)),
        empty_per_s: round(median(turns.empty)),
        rows: options.rows,
        connections,
        database_mib: mib,
        orders_per_s_by_round: turns.grown.map((rate) => round(rate)),
        empty_per_s_by_round: turns.empty.map((rate) => round(rate)),
      },
      table: {
        columns: [
          { head: 'stored orders', align: 'right' },
          { head: 'orders/s', align: 'right' },
          { head: 'ratio', align: 'right' },
        ],
        rows: [
          [grouped(options.rows), grouped(median(turns.grown)), String(ratio)],
          ['0', grouped(median(turns.empty)), '1'],
        ],
      },
      generator: generatorName,
      postgres: await readSettings(grown.sql),
    }
  },
}

/** Makes the past and stops its PostgreSQL, so that the server starts on it as after any restart. */
export async function grow(context: BenchContext, folderName: string): Promise<void> {
  const { folder, options, say } = context
  const store = await openStore(`${folder}/${folderName}/eu1`)
  const startedAt = performance.now()
  try {
    const engine = openEngine(store, 1, (inner) => inner)
    await receiveUnits(store, engine)
    await engine.stop()
    const partitions =
      Math.ceil((options.rows * eventsPerOrder) / limits.eventPartitionSeqs) + limits.eventPartitionsAhead
    await ensureEventPartitions(store.database, { seqs: limits.eventPartitionSeqs, ahead: partitions })
    await writePast(store, options.rows, say)
    say(`${grouped(options.rows)} orders made in ${grouped((performance.now() - startedAt) / 1000)} s`)
    await settle(store)
    say(`counters, balances and statistics after ${grouped((performance.now() - startedAt) / 1000)} s`)
  } finally {
    await store.stop()
  }
}

async function writePast({ url }: Store, rows: number, say: (line: string) => void): Promise<void> {
  const sql = openSql(url, { max: sessions, onnotice: () => {}, connection: { synchronous_commit: 'off' } })
  try {
    await sql.unsafe(prepareSql)
    const share = Math.ceil(rows / sessions)
    const slice = 250_000
    const writeShare = async (from: number, to: number) => {
      for (let at = from; at < to; at += slice) {
        await sql.unsafe(`call bench.stored_orders(${at}, ${Math.min(to, at + slice)}, ${rows}, ${batch})`)
        if (from === 0) say(`about ${grouped(Math.min(rows, (at + slice) * sessions))} orders made`)
      }
    }
    await Promise.all(
      Array.from({ length: sessions }, (_, at) => writeShare(at * share, Math.min(rows, (at + 1) * share))),
    )
  } finally {
    await sql.end()
  }
}

/** Counters that agree with the log, closed balances, and the statistics that autovacuum would have made by now. */
async function settle({ url, database }: Store): Promise<void> {
  const sql = openSql(url, { max: 1, onnotice: () => {} })
  try {
    const [sequence] = await sql<{ last: string }[]>`select last_value as last from runtime.event_seq`
    await closeBalances(database, Number(sequence!.last))
    await sql`
      update stock.rows r set reserved = b.reserved, committed = b.committed from stock.balances b where b.row_id = r.id`
    await sql`drop schema bench cascade`
    for (const table of ['orders.orders', 'orders.states', 'orders.keys_0', 'runtime.events', 'stock.rows'])
      await sql.unsafe(`vacuum (analyze) ${table}`)
    await sql`checkpoint`
  } finally {
    await sql.end()
  }
}

async function checkAudit(url: string): Promise<void> {
  const response = await fetch(`${url}/v1/audit?fresh=true`, { headers: { authorization: 'Bearer sk_dev' } })
  const audit = (await response.json()) as { consistent?: boolean; differences?: unknown }
  if (audit.consistent !== true)
    throw new CommandFailure('inconsistent', `the audit says ${response.status} ${JSON.stringify(audit.differences)}`)
}

async function databaseMib(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ bytes: string }[]>`select pg_database_size(current_database()) as bytes`
  return Math.round(Number(row!.bytes) / 1024 / 1024)
}
