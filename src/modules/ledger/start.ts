// The ledger's parts in a process: the consumer that books, and the auditor of money.
import { limits } from '../../base/limits.ts'
import type { Bus } from '../../runtime/bus.ts'
import type { Clock } from '../../runtime/clock.ts'
import { newestSeqSql } from '../../runtime/event-log.ts'
import { keepLatest, type Latest } from '../../runtime/latest.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { Database } from '../../runtime/pg.ts'
import { type MoneyAudit, newRounds, runMoneyAudit } from './audit.ts'
import { ledgerConsumer } from './consumer.ts'
import { readBookedSeq } from './store.ts'
import type { ProviderRecord, UnderWay } from './types.ts'

export type LedgerOptions = {
  database: Database
  bus: Bus
  /** A sequence number of the log below which every transaction has ended. */
  settledSeq(): Promise<number>
  clock: Clock
  metrics: Metrics
  /** Providers that keep a record we can ask. */
  providers: readonly ProviderRecord[]
  underWay(): Promise<UnderWay[]>
  /** Told of each audit. */
  watchAudit(work: () => Promise<MoneyAudit>, differences: (result: MoneyAudit) => number): () => Promise<MoneyAudit>
}

export type Ledger = { audit: Latest<MoneyAudit> }

/** Ends with the bus. */
export function startLedger(options: LedgerOptions): Ledger {
  const { database, bus, clock, metrics } = options
  bus.consume(ledgerConsumer())
  const behind = metrics.gauge(
    'holdfast_ledger_behind_events',
    'Places of the log that the ledger had not read at the last audit',
  )
  const rounds = newRounds()
  const deps = { ...options, now: clock.now, whenBooked: () => whenBooked(database, clock) }
  const run = async (): Promise<MoneyAudit> => {
    const result = await runMoneyAudit(deps, rounds, limits.auditOrdersMax)
    behind.set(result.behind)
    return result
  }
  return { audit: keepLatest(options.watchAudit(run, countDifferences)) }
}

const countDifferences = ({ shops }: MoneyAudit): number =>
  [...shops.values()].reduce((sum, { differences }) => sum + differences.length, 0)

/** So that an audit that is asked for tells of what was done before it; a ledger that is late is told as behind. */
async function whenBooked(database: Pick<Database, 'query'>, clock: Clock): Promise<void> {
  const [row] = await database.query<{ newest: number | null }>(newestSeqSql, [Number.MAX_SAFE_INTEGER])
  const seq = row?.newest ?? 0
  const end = clock.elapsedMs() + limits.auditLedgerMsMax
  while ((await readBookedSeq(database)) < seq && clock.elapsedMs() < end) await clock.sleep(limits.auditLedgerPollMs)
}
