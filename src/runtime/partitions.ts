// Partitions of the event log: made ahead of the sequence, dropped when nobody needs them. Neither may stop the writers:
// a new one is made apart and attached, an old one is detached concurrently and dropped apart, so that the log itself is
// only ever locked in share update exclusive mode.

import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'

/** Holds fromSeq ≤ seq < toSeq. */
export type EventPartition = { name: string; fromSeq: number; toSeq: number }

export type PartitionSizes = { seqs: number; ahead: number }
const sizesDefault: PartitionSizes = { seqs: limits.eventPartitionSeqs, ahead: limits.eventPartitionsAhead }

const partitionsSql = `
  select child.relname as name, link.inhdetachpending as pending,
    (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \\(''(\\d+)''\\)'))[1]::bigint as "fromSeq",
    (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'TO \\(''(\\d+)''\\)'))[1]::bigint as "toSeq"
  from pg_inherits link join pg_class child on child.oid = link.inhrelid
  where link.inhparent = 'runtime.events'::regclass
  order by 3`

type Listed = EventPartition & { pending: boolean }

/** Attached partitions, oldest first. */
async function listEventPartitions(from: { run: Session['run'] }): Promise<EventPartition[]> {
  const listed = await from.run<Listed>(partitionsSql)
  return listed.filter((one) => !one.pending).map(({ name, fromSeq, toSeq }) => ({ name, fromSeq, toSeq }))
}

/**
 * Makes what is missing up to `ahead` partitions beyond the newest event; answers the names made. Run it at start and often:
 * a transaction that has already written does not see partitions made since, so that they must be there long before.
 */
export async function ensureEventPartitions(
  database: Database,
  sizes: PartitionSizes = sizesDefault,
): Promise<string[]> {
  return database.transaction(async (session) => {
    await session.run(`select pg_advisory_xact_lock(hashtext('holdfast.event_partitions'))`)
    await session.run(`set local lock_timeout = ${limits.partitionLockMsMax}`)
    const [sequence] = await session.run<{ last: number }>('select last_value as last from runtime.event_seq')
    const partitions = await listEventPartitions(session)
    const made: string[] = []
    let end = partitions.at(-1)?.toSeq ?? 1
    while (end <= sequence!.last + sizes.ahead * sizes.seqs) {
      made.push(await addPartition(session, end, end + sizes.seqs))
      end += sizes.seqs
    }
    return made
  })
}

async function addPartition(session: Session, fromSeq: number, toSeq: number): Promise<string> {
  const name = `events_${fromSeq}`
  await session.script(`
    create table runtime.${name} (like runtime.events including all)
      with (autovacuum_analyze_threshold = ${limits.analyzeRowsMin});
    alter table runtime.events attach partition runtime.${name} for values from (${fromSeq}) to (${toSeq})`)
  return name
}

/** Asked for each old partition, oldest first; `false` keeps it and all newer ones. */
export type MayDrop = (partition: EventPartition & { newestAt: Instant | undefined }) => Promise<boolean>

/**
 * Drops partitions from the oldest on, as long as `mayDrop` agrees; answers the names dropped. Never the one being written
 * to, and none that a consumer has still to read.
 */
export async function dropEventPartitions(database: Database, mayDrop: MayDrop): Promise<string[]> {
  const session = await database.openSession('partitions', { lockMsMax: limits.partitionLockMsMax })
  try {
    // Detaching concurrently is two transactions of its own, so that it cannot run inside one.
    await session.run('set default_transaction_read_only = off')
    await session.run(`select pg_advisory_lock(hashtext('holdfast.event_partitions_drop'))`)
    await finishInterrupted(session)
    const dropped: string[] = []
    for (const partition of await listEventPartitions(session)) {
      if (!(await isPast(session, partition))) break
      if (!(await mayDrop({ ...partition, newestAt: await newestAt(session, partition) }))) break
      await session.script(`alter table runtime.events detach partition runtime.${partition.name} concurrently`)
      await session.script(`drop table runtime.${partition.name}`)
      dropped.push(partition.name)
    }
    return dropped
  } finally {
    await session.close()
  }
}

/** A detach that was cut off half-way is taken to its end; a partition that was detached but not dropped is dropped. */
async function finishInterrupted(session: Session): Promise<void> {
  const listed = await session.run<Listed>(partitionsSql)
  for (const { name } of listed.filter((one) => one.pending)) {
    await session.script(`alter table runtime.events detach partition runtime.${name} finalize`)
  }
  const orphans = await session.run<{ name: string }>(`
    select relname as name from pg_class
    where relnamespace = 'runtime'::regnamespace and relkind = 'r' and not relispartition and relname ~ '^events_\\d+$'`)
  for (const { name } of orphans) await session.script(`drop table runtime.${name}`)
}

// Consumers of a peer's log stand in lives of the peer.
const isPastSql = `
  select $1::bigint <= (select last_value from runtime.event_seq)
    and not exists (
      select from runtime.consumers
      where seq < $1::bigint - 1 and incarnation in (select incarnation from runtime.incarnation)) as past`

async function isPast(session: Session, partition: EventPartition): Promise<boolean> {
  const [row] = await session.run<{ past: boolean }>(isPastSql, [partition.toSeq])
  return row!.past
}

async function newestAt(session: Session, partition: EventPartition): Promise<Instant | undefined> {
  const [row] = await session.run<{ at: Instant }>(
    'select at from runtime.events where seq >= $1 and seq < $2 order by seq desc limit 1',
    [partition.fromSeq, partition.toSeq],
  )
  return row?.at
}
