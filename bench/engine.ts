// The engine without HTTP, in turn with the bare inserts of the same rows inside PostgreSQL (what these tables allow at
// all: in one session, as batches of the same fifty SKUs commit one after another; and in as many as there are lanes) and
// with one transaction an order (what one would write first). All three commit durably to the same tables.

import { type ShopId, type Sku, uuidV7 } from '../src/base/ids.ts'
import type { Currency, MinorUnits } from '../src/base/money.ts'
import { addMs } from '../src/base/time.ts'
import type { EngineStore, EngineTx } from '../src/modules/orders/engine.ts'
import { defaultTerms } from '../src/modules/orders/life.ts'
import type { Submission } from '../src/modules/orders/types.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { openSql } from '../src/runtime/database-url.ts'
import { randomIdBytes } from '../src/runtime/random.ts'
import { type Bench, grouped } from './bench.ts'
import { readSettings } from './machine.ts'
import { bestConnections, runNaive } from './naive.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { checkpointMidway } from './server.ts'
import { customerOf, customers, pickTwo, skuOf, skusSpread, unitPrice } from './shapes.ts'
import { checkSameSize, prepareSql } from './sql-orders.ts'
import { type EngineRun, openEngine, openStore, receiveUnits } from './store.ts'

const naiveConnections = [4, 8, 16, 32]
const warmUpSeconds = 3

export const engine: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 400,
  secondsMax: ({ seconds, rounds }) => 300 + rounds * seconds * 6,
  async run(context) {
    const { options, folder, say } = context
    const store = await openStore(`${folder}/eu1`)
    context.defer(store.stop)
    const sql = openSql(store.url, { max: options.lanes + 1, onnotice: () => {} }) as unknown as ReturnType<
      typeof openSql
    >
    context.defer(() => sql.end({ timeout: 1 }))
    const phases = openPhases()
    const running = openEngine(store, options.lanes, phases.around)
    context.defer(running.stop)
    await receiveUnits(store, running)
    await sql.unsafe(prepareSql)

    const inFlight = options.connections ?? 2_048
    const place = async (seconds: number) => perSecond(() => placeFor(store.shopId, running, { inFlight, seconds }))
    let batch = 0
    const insert = async (seconds: number, sessionCount = 1) => {
      const endsAt = new Date(Date.now() + seconds * 1000).toISOString()
      const call = `call bench.bare_inserts(${batch}, '${endsAt}', null)`
      return perSecond(async () => {
        const sessions = await Promise.all(
          Array.from({ length: sessionCount }, () => sql.unsafe<{ made: string }[]>(call)),
        )
        return sessions.reduce((sum, [row]) => sum + Number(row!.made), 0)
      })
    }
    await checkSameSize(
      sql as never,
      async () => {
        await place(warmUpSeconds)
        batch = batchSize(running)
      },
      () => insert(warmUpSeconds),
    )
    const naive = await bestConnections(store, naiveConnections, warmUpSeconds)
    say(`batches of ${batch} orders; one transaction an order is fastest with ${naive} connections`)
    phases.clear()

    const slice = (what: string, run: (seconds: number) => Promise<number>) => async (turn: number) => {
      const [rate] = await Promise.all([run(options.seconds), checkpointMidway(sql, options.seconds)])
      say(`${what}, round ${turn}: ${grouped(rate)} orders/s`)
      return rate
    }
    const turns = await takeTurns(options.rounds, {
      engine: async (turn) => {
        const rate = await slice('engine', place)(turn)
        batch = batchSize(running)
        return rate
      },
      limit: slice('bare inserts', (seconds) => insert(seconds)),
      parallel: slice(`bare inserts, ${options.lanes} sessions`, (seconds) => insert(seconds, options.lanes)),
      naive: slice('one transaction an order', (seconds) => runNaive(store, naive, seconds)),
    })
    const fields = {
      orders_per_s: round(median(turns.engine)),
      sql_limit_per_s: round(median(turns.limit)),
      ratio_to_limit: medianRatio(turns.engine, turns.limit),
      sql_limit_parallel_per_s: round(median(turns.parallel)),
      ratio_to_limit_parallel: medianRatio(turns.engine, turns.parallel),
      naive_per_s: round(median(turns.naive)),
      ratio_to_naive: medianRatio(turns.engine, turns.naive),
    }
    return {
      fields: {
        ...fields,
        in_flight: inFlight,
        orders_per_batch: batch,
        naive_connections: naive,
        batch_phases_ms: phases.means(),
        orders_per_s_by_round: turns.engine.map((rate) => round(rate)),
        sql_limit_per_s_by_round: turns.limit.map((rate) => round(rate)),
        naive_per_s_by_round: turns.naive.map((rate) => round(rate)),
      },
      table: {
        columns: [{ head: 'what' }, { head: 'orders/s', align: 'right' }, { head: 'engine is', align: 'right' }],
        rows: [
          ['engine', grouped(fields.orders_per_s), ''],
          ['bare inserts by SQL', grouped(fields.sql_limit_per_s), `${fields.ratio_to_limit} ×`],
          [
            `the same in ${options.lanes} sessions`,
            grouped(fields.sql_limit_parallel_per_s),
            `${fields.ratio_to_limit_parallel} ×`,
          ],
          ['one transaction an order', grouped(fields.naive_per_s), `${fields.ratio_to_naive} ×`],
        ],
      },
      generator: 'the engine’s own process',
      postgres: await readSettings(sql as never),
    }
  },
}

function batchSize(running: EngineRun): number {
  const { commands, batches } = running.takeCounts()
  return Math.round(commands / batches)
}

async function perSecond(work: () => Promise<number>): Promise<number> {
  const startedAt = performance.now()
  const done = await work()
  return done / ((performance.now() - startedAt) / 1000)
}

/** Keeps so many orders in flight; answers how many were accepted. */
async function placeFor(
  shopId: ShopId,
  { batcher }: EngineRun,
  { inFlight, seconds }: { inFlight: number; seconds: number },
): Promise<number> {
  const endsAt = performance.now() + seconds * 1000
  let accepted = 0
  const buyer = async () => {
    while (performance.now() < endsAt) {
      while (batcher.isHalfFull()) await batcher.whenRoom() // as a stream does
      const outcome = await batcher.submit(randomOrder(shopId))
      if (!outcome.ok) throw new Error(`an order was refused: ${outcome.code}`)
      accepted++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, buyer))
  return accepted
}

const randomHex = (): string => crypto.randomUUID().replaceAll('-', '')

function randomOrder(shopId: ShopId): Submission {
  const now = systemClock.now()
  const amount = unitPrice as MinorUnits
  return {
    command: {
      kind: 'place_order',
      shopId,
      orderId: uuidV7(now, randomIdBytes()),
      currency: 'EUR' as Currency,
      lines: pickTwo(skusSpread).map((sku) => ({ sku: skuOf(sku) as Sku, quantity: 1, unitPrice: amount, amount })),
      holdId: null,
      customer: customerOf(Math.floor(Math.random() * customers)),
      reference: null,
      provider: null,
      payment: null,
      terms: defaultTerms,
      review: null,
      placedAt: null,
      personal: null,
      annotations: null,
    },
    key: { hash: randomHex(), request: randomHex() },
    deadline: addMs(now, 30_000),
  }
}

/** Where a batch's time goes: to the locks of orders and holds, to stock and look-ups, to `decide`, to write and commit. */
function openPhases() {
  const sums = { lock: 0, load: 0, decide: 0, write: 0 }
  let batches = 0
  const around = (inner: EngineStore): EngineStore => ({
    transaction: (lane, work) =>
      inner.transaction(lane, (tx) => {
        let at = performance.now()
        const step = (name: keyof typeof sums): void => {
          const now = performance.now()
          sums[name] += now - at
          at = now
        }
        const watched: EngineTx = {
          ...tx,
          lockStock(skus, newRows) {
            step('lock')
            return tx.lockStock(skus, newRows)
          },
          async now() {
            const now = await tx.now()
            step('load')
            return now
          },
          write(state, unused) {
            step('decide')
            return tx.write(state, unused)
          },
          async commit() {
            await tx.commit()
            step('write')
            batches++
          },
        }
        return work(watched)
      }),
  })
  return {
    around,
    means: () => Object.fromEntries(Object.entries(sums).map(([name, ms]) => [name, round(ms / batches, 2)])),
    clear() {
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] = 0
      batches = 0
    },
  }
}
