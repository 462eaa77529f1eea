// As of when this cell knows what the others have written. A poll of a cell's log that found nothing beyond what is applied
// here says: as of that poll. Else it is the time of the last event that was applied.
import type { CellName } from '../base/ids.ts'
import { type Instant, laterOf } from '../base/time.ts'
import type { LogEvent } from './event-log.ts'
import type { LogReader } from './logreader.ts'
import type { Metrics } from './metrics.ts'

/** A reader of a peer's log, and when the peer last answered it. */
export type PolledLog = { reader: LogReader; polledAt(): Instant | null }

export type ReplicaAges = {
  /** The reader to run the cell's replica consumer on, and no other: what it asks for tells what it has applied. */
  watch(from: CellName, log: PolledLog): LogReader
  /** Of a cell that has left. */
  forget(from: CellName): void
  /** Those of whom anything is known. */
  ages(): { from: CellName; asOf: Instant }[]
}

export function createReplicaAges(metrics: Pick<Metrics, 'gaugesOf'>, now: () => Instant): ReplicaAges {
  const watched = new Map<CellName, () => Instant | null>()

  function ages() {
    return [...watched].flatMap(([from, asOf]) => {
      const known = asOf()
      return known === null ? [] : [{ from, asOf: known }]
    })
  }
  const told = 'Age of what is known of the shops, keys, settings, locations and policies of another cell'
  metrics.gaugesOf('holdfast_replica_age_seconds', told, ['from'], () =>
    ages().map(({ from, asOf }) => ({ labels: { from }, value: Math.max(0, now() - asOf) / 1000 })),
  )
  return {
    watch(from, log) {
      const { reader, asOf } = ageingReader(log)
      watched.set(from, asOf)
      return reader
    },
    forget: (from) => void watched.delete(from),
    ages,
  }
}

/** Whoever reads from a place has applied everything before it; whoever waits beyond one has nothing left to apply. */
function ageingReader({ reader, polledAt }: PolledLog): { reader: LogReader; asOf(): Instant | null } {
  let known: Instant | null = null
  let last: LogEvent | undefined // handed out, and perhaps not applied yet
  let waitsBeyond: number | null = null
  const learn = (at: Instant | null): void => {
    if (at !== null) known = known === null ? at : laterOf(known, at)
  }
  const asOf = (): Instant | null => {
    if (waitsBeyond !== null && reader.horizon <= waitsBeyond) learn(polledAt())
    return known
  }
  const ageing: Pick<LogReader, 'read' | 'beyond'> = {
    async read(fromSeq, filter, max) {
      if (last && last.seq <= fromSeq) learn(last.at)
      const page = await reader.read(fromSeq, filter, max)
      if (page !== 'expired') last = page.events.at(-1) ?? last
      return page
    },
    async beyond(seq, signal) {
      waitsBeyond = seq
      asOf()
      try {
        await reader.beyond(seq, signal)
      } finally {
        waitsBeyond = null
      }
    },
  }
  return { reader: Object.assign(Object.create(reader) as LogReader, ageing), asOf }
}
