// What of a cell's objectives and metrics is not counted where it happens: how long attempts to pay take, how far consumers are
// behind, whom it reaches, and the room that its disk has. Looked at every few seconds, never on the way of an order.
import { statfs } from 'node:fs/promises'
import type { CellName, Uuid } from './base/ids.ts'
import { limits } from './base/limits.ts'
import type { Topology } from './base/topology.ts'
import type { CellsHeard } from './gateway/cells.ts'
import { countObjectives, type ObjectiveCounts } from './gateway/objectives.ts'
import type { CommandOutcome, Submission } from './modules/orders/types.ts'
import { isSettled } from './modules/orders/waiting.ts'
import type { Clock } from './runtime/clock.ts'
import { type ConsumerState, listConsumers } from './runtime/consumers-admin.ts'
import { every, type Recurring } from './runtime/every.ts'
import { type Metrics, secondsBuckets } from './runtime/metrics.ts'
import type { Database } from './runtime/pg.ts'

type Ground = {
  cell: CellName
  database: Pick<Database, 'query'>
  metrics: Metrics
  clock: Pick<Clock, 'now' | 'elapsedMs'>
}

/** All of them of one cell; `sample` is started when the other cells are known, and stopped with the rest. */
export function openObjectives({ cell, database, metrics, clock }: Ground) {
  const counts = countObjectives(metrics, clock.now())
  const confirmations = watchConfirmations({ clock, counts, metrics })
  return {
    counts,
    saw: confirmations.saw,
    watchAudit: watchAudits({ metrics, counts, clock }),
    sample: (seen: Pick<SamplingOptions, 'topology' | 'heard' | 'onError'>): Recurring =>
      startSampling({ cell, database, clock, counts, confirmations, metrics, ...seen }),
  }
}

type Confirmations = {
  /** Told of what every batch has committed; `sinceMs`: when it began, on the clock that never goes back. */
  saw(submissions: readonly Submission[], outcomes: readonly CommandOutcome[], sinceMs: number): void
  /** Those that have had no outcome for too long are counted as they are. */
  giveUpOld(): void
}

/** Commands with which an attempt to pay may begin. */
const beginners = new Set<Submission['command']['kind']>(['place_order', 'start_payment', 'exchange_order'])

type ConfirmationsOptions = {
  clock: Pick<Clock, 'elapsedMs'>
  counts: Pick<ObjectiveCounts, 'count'>
  metrics: Metrics
}

/** Of attempts that this process has committed: what another one settles is, after a while, taken for late. */
function watchConfirmations({ clock, counts, metrics }: ConfirmationsOptions): Confirmations {
  const help = 'From an attempt to pay to its outcome: confirmed, refused, or handed back to the buyer'
  const seconds = metrics.histogram('holdfast_confirmation_seconds', help, secondsBuckets)
  const told = 'Commands whose key had been seen before: they did nothing, and were answered as then'
  const duplicates = metrics.counter('holdfast_commands_repeated_total', told)
  const begun = new Map<Uuid, number>()

  function ended(sinceMs: number): void {
    const ms = clock.elapsedMs() - sinceMs
    seconds.observe(ms / 1000)
    counts.count('confirmation_time', ms <= limits.confirmationMsGood)
  }

  function giveUpOld(): void {
    const before = clock.elapsedMs() - limits.confirmationMsMax
    for (const [id, sinceMs] of begun) {
      if (sinceMs > before && begun.size <= limits.confirmationsWatchedMax) return
      begun.delete(id)
      ended(sinceMs)
    }
  }

  return {
    giveUpOld,
    saw(submissions, outcomes, sinceMs) {
      for (const [index, outcome] of outcomes.entries()) {
        if (!outcome.ok) continue
        if (outcome.value.kind === 'earlier') duplicates.inc()
        if (outcome.value.kind !== 'order') continue
        const { order } = outcome.value
        if (isSettled(order)) {
          const from = begun.get(order.id)
          if (from === undefined && !isSoldAtOnce(submissions[index]!, order.status)) continue
          begun.delete(order.id)
          ended(from ?? sinceMs)
        } else if (beginners.has(submissions[index]!.command.kind) && !begun.has(order.id)) begun.set(order.id, sinceMs)
      }
      if (begun.size > limits.confirmationsWatchedMax) giveUpOld()
    },
  }
}

/** Paid elsewhere: confirmed by the batch that has placed it. Imports have a time of their own, and nobody waited for them. */
const isSoldAtOnce = ({ command }: Submission, status: string): boolean =>
  command.kind === 'place_order' && command.placedAt === null && status === 'confirmed'

type SamplingOptions = {
  cell: CellName
  database: Pick<Database, 'query'>
  clock: Pick<Clock, 'now'>
  topology: { current(): Topology }
  /** None for a cell that is alone. */
  heard: Pick<CellsHeard, 'isUp' | 'dataAsOf'> | undefined
  counts: Pick<ObjectiveCounts, 'count'>
  confirmations: Pick<Confirmations, 'giveUpOld'>
  metrics: Metrics
  onError(error: unknown): void
}

type Told = (consumer: ConsumerState) => boolean
const isOwn: Told = (consumer) => consumer.isOwn

function startSampling(options: SamplingOptions): Recurring {
  const { cell, database, topology, heard, clock, counts, confirmations, metrics } = options
  let consumers: readonly ConsumerState[] = []
  const always = () => true
  const tell = (name: string, help: string, read: (one: ConsumerState) => number, isTold: Told = always) =>
    metrics.gaugesOf(name, help, ['consumer'], () =>
      consumers.filter(isTold).map((one) => ({ labels: { consumer: one.name }, value: read(one) })),
    )
  tell(
    'holdfast_consumer_lag_events',
    'Events that a consumer has still to read, at most',
    (one) => one.lagEvents,
    isOwn,
  )
  tell('holdfast_consumer_lag_seconds', 'Age of the oldest of them', (one) => one.lagSeconds, isOwn)
  tell('holdfast_consumer_dead_letters', 'Events of a consumer that stand aside', (one) => one.dead)
  tell('holdfast_consumer_paused', '1 while a consumer is paused by hand', (one) => (one.paused ? 1 : 0))
  const readDisk = tellDisk(metrics)
  const countLag = (seconds: number) => counts.count('event_lag', seconds <= limits.eventLagSecondsGood)

  return every(
    limits.objectivesEveryMs,
    async () => {
      confirmations.giveUpOld()
      for (const { name, state } of topology.current().cells) {
        if (!heard || name === cell || state === 'removed') continue
        const isUp = heard.isUp(name)
        counts.count('cell_reachability', isUp)
        const asOf = heard.dataAsOf(name)
        if (isUp && asOf !== null) countLag((clock.now() - asOf) / 1000)
      }
      consumers = await listConsumers(database)
      for (const { isOwn, lagSeconds } of consumers) if (isOwn) countLag(lagSeconds)
      await readDisk(database)
    },
    options.onError,
  )
}

type Disk = { free: number; size: number }

/** Of the database's folder, where that is on this machine and the role may know it; else nothing is told. */
function tellDisk(metrics: Metrics): (database: Pick<Database, 'query'>) => Promise<void> {
  let disk: Disk | undefined
  const tell = (name: string, help: string, read: (disk: Disk) => number) =>
    metrics.gaugesOf<never>(name, help, [], () => (disk ? [{ labels: {}, value: read(disk) }] : []))
  tell('holdfast_disk_free_bytes', 'Room on the disk of the database, if that is on this machine', ({ free }) => free)
  tell('holdfast_disk_size_bytes', 'Size of the disk of the database, if that is on this machine', ({ size }) => size)
  return async (database) => {
    const [row] = await database.query<{ folder: string | null }>(dataFolderSql)
    disk = row?.folder ? await spaceOf(row.folder) : undefined
  }
}

const dataFolderSql = `
  select case when pg_has_role(current_user, 'pg_read_all_settings', 'usage') and inet_client_addr() is null
    then current_setting('data_directory') end as folder`

const spaceOf = (folder: string): Promise<Disk | undefined> =>
  statfs(folder).then(
    ({ bavail, blocks, bsize }) => ({ free: bavail * bsize, size: blocks * bsize }),
    () => undefined,
  )

export type AuditWatch = (
  kind: 'units' | 'money',
) => <T>(work: () => Promise<T>, differences: (result: T) => number) => () => Promise<T>

type AuditsOptions = Omit<ConfirmationsOptions, 'clock'> & { clock: Pick<Clock, 'now' | 'elapsedMs'> }

/** Wraps the audits of units and of money, so that each that ends or fails is counted. */
function watchAudits({ metrics, counts, clock }: AuditsOptions): AuditWatch {
  const of = ['of'] as const
  const found = metrics.gauge('holdfast_audit_differences', 'Counters that the last audit found to differ', of)
  const seconds = metrics.histogram('holdfast_audit_seconds', 'Time of an audit', auditBuckets, of)
  const failures = metrics.counter('holdfast_audit_failures_total', 'Audits that could not be ended', of)
  const ended = metrics.gauge('holdfast_audit_ended_timestamp_seconds', 'When the last audit ended', of)
  return (kind) => (work, differences) => async () => {
    const labels = { of: kind }
    const beganMs = clock.elapsedMs()
    try {
      const result = await work()
      const count = differences(result)
      found.set(labels, count)
      ended.set(labels, clock.now() / 1000)
      seconds.observe(labels, (clock.elapsedMs() - beganMs) / 1000)
      counts.count('audit', count === 0)
      return result
    } catch (error) {
      failures.inc(labels)
      counts.count('audit', false)
      throw error
    }
  }
}

const auditBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]
