// The newest events of the log in memory, without a gap: everything above `fromSeq`, so that many live streams cost one read.
import type { EventFilter, LogEvent, LogPage } from './event-log.ts'
import { wantsType } from './event-types.ts'

export type RecentEvents = {
  /** They follow on what is held. */
  append(events: readonly LogEvent[]): void
  /** Forgets everything; what comes next is above `seq`. */
  restart(seq: number): void
  /** A page from memory, or undefined when something above fromSeq is no longer held. */
  page(fromSeq: number, filter: EventFilter, max: number): LogPage | undefined
}

/** Holds at most `eventsMax`. */
export function recentEvents(eventsMax: number): RecentEvents {
  let events: LogEvent[] = []
  let fromSeq = 0

  return {
    append(more) {
      events = events.concat(more)
      if (events.length <= eventsMax) return
      const dropped = events.length - eventsMax
      fromSeq = events[dropped - 1]!.seq
      events = events.slice(dropped)
    },
    restart(seq) {
      events = []
      fromSeq = seq
    },
    page(after, filter, max) {
      if (after < fromSeq) return undefined
      const page: LogPage = { events: [], seq: after }
      for (let at = firstAbove(events, after); at < events.length && page.events.length < max; at++) {
        const event = events[at]!
        page.seq = event.seq
        if (wants(filter, event)) page.events.push(event)
      }
      return page
    },
  }
}

const wants = (filter: EventFilter, event: LogEvent): boolean =>
  (filter.shopId === undefined || filter.shopId === event.shopId) && wantsType(filter.types, event.type)

/** Index of the first event with a seq above `seq`. */
function firstAbove(events: readonly LogEvent[], seq: number): number {
  let low = 0
  let high = events.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (events[middle]!.seq <= seq) low = middle + 1
    else high = middle
  }
  return low
}
