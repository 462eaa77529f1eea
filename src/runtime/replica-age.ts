// As of when this cell knows what the others have written. A poll of a cell's log that found nothing beyond what is applied
// here says: as of that poll. Else it is the time of the last event that was applied.
import type { CellName } from '../base/ids.ts'
import { type Instant, laterOf } from '../base/time.ts'
import type { LogEvent } from './event-log.ts'
import type { ConsumedLog } from './logreader.ts'
import type { Metrics } from './metrics.ts'
import type { PeerLog } from './peer-log.ts'

type StandingLog = ConsumedLog & Pick<PeerLog, 'standing'>

export type ReplicaAges = {
  /** The reader to run the cell's replica consumer on, and no other: what it asks for tells what it has applied. */
  watch(from: CellName, log: StandingLog): ConsumedLog
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
function ageingReader(log: StandingLog): { reader: ConsumedLog; asOf(): Instant | null } {
  let known: Instant | null = null
  let last: LogEvent | undefined // handed out, and perhaps not applied yet
  let waitsBeyond: number | null = null
  const learn = (at: Instant): void => {
    known = known === null ? at : laterOf(known, at)
  }
  const asOf = (): Instant | null => {
    const { standing } = log
    if (waitsBeyond !== null && standing && standing.horizon <= waitsBeyond) learn(standing.at)
    return known
  }
  const ageing: Pick<ConsumedLog, 'read' | 'beyond'> = {
    async read(fromSeq, filter, max) {
      if (last && last.seq <= fromSeq) learn(last.at)
      const page = await log.read(fromSeq, filter, max)
      if (page !== 'expired') last = page.events.at(-1) ?? last
      return page
    },
    async beyond(seq, signal, filter) {
      waitsBeyond = seq
      asOf()
      try {
        await log.beyond(seq, signal, filter)
      } finally {
        waitsBeyond = null
      }
    },
  }
  return { reader: Object.assign(Object.create(log) as ConsumedLog, ageing), asOf }
}
