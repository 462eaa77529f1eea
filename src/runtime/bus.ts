// How one module hears of another's events. Delivery is at least once and in order within a subject; the inbox makes the
// effect once. Every implementation passes test/contract/bus.contract.ts.
import type { LogEvent } from './event-log.ts'
import type { TypeFilter } from './event-types.ts'
import type { Session } from './pg-session.ts'

export type Consumer = {
  /** Names the inbox and the position: unique in the cell, and for ever. */
  name: string
  types: TypeFilter
  /**
   * Applies events that this consumer has not applied before, in order within each subject. It writes through `session` only,
   * in the transaction that also stores inbox and position, and may run again after a failure. What it throws is reported,
   * and the same events come again, fewer at once. An event that cannot be applied after its tries stands
   * aside with what follows it in its subject, until it is retried or dropped by hand; other subjects go on.
   * A database, a crowd or a peer that is out of reach passes, and is no fault of an event.
   */
  apply(session: Session, events: readonly LogEvent[]): Promise<void>
  /**
   * Awaited before `apply` and outside its transaction, by whoever has to wait for something that is not in the database. What
   * it throws counts as what `apply` throws.
   */
  ready?(events: readonly LogEvent[], signal: AbortSignal): Promise<void>
  /** How long events gather before they are read, for consumers to whom a crowd is cheaper than haste. */
  lingerMs?: number
  /**
   * Applying an event again changes nothing, since what `apply` writes has keys of its own. Such a consumer needs no inbox,
   * which costs more than most effects; it may be handed events again when it is rewound or its database was restored.
   */
  isRepeatable?: boolean
  /**
   * Of a repeatable consumer: each event stands for itself, in whatever order. One that stands aside holds up nothing of its
   * subject, and is tried again by itself, so long afterwards: what it wants may be there by then.
   */
  retryAsideMs?: number
  /**
   * Called with the same events once that transaction has committed, in the process that applied them, before any others
   * are applied. A process that dies in between never calls it: what must happen is written by `apply`.
   */
  applied?(events: readonly LogEvent[]): void
}

export type Bus = {
  /** Heeds at once what was asked of consumers by hand, instead of within `consumerWatchMs`. */
  look(): Promise<void>
  /** Begins where the consumer stopped, or at the oldest event kept. Many processes may run the same consumer. */
  consume(consumer: Consumer): Consumption
  /** Stops all consumptions. */
  close(): Promise<void>
}

export type Consumption = {
  /** As last seen, at most `consumerWatchMs` ago. */
  readonly isPaused: boolean
  /** Resolves when nothing more will be applied. */
  stop(): Promise<void>
}
