// Serves the event log of this process's database as pages and streams, never skipping and never reordering: nothing beyond
// the horizon is read. One per process; streams are pulled, so that a slow one costs only itself.
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, refused } from '../base/result.ts'
import { type EventFilter, type LogEvent, type LogPage, oldestKeptSql, type Read, readPage } from './event-log.ts'
import { type HorizonOptions, keepHorizon } from './horizon.ts'
import { type Lives, presentLife, seqInPresentLife } from './incarnation.ts'
import { formatPosition, parsePosition } from './position.ts'

export type LogRequest = EventFilter & {
  /** A position as text; absent or empty begins at the oldest event kept. */
  after?: string | undefined
}
export type EventPage = { events: LogEvent[]; nextPosition: string }

export type LogReader = {
  /** Matching events, oldest first. Refuses `cursor_invalid` and `position_expired`. Empty only when nothing matches up to nextPosition. */
  page(request: LogRequest & { limit: number }): Promise<Outcome<EventPage>>
  /**
   * Pages without end, live ones from memory; empty ones too, when the position has moved past what does not match. It ends
   * when the signal aborts, the reader stops, a new life begins or the position expires; it throws when the database is gone.
   */
  follow(request: LogRequest, signal: AbortSignal): Promise<Outcome<AsyncGenerator<EventPage, void>>>
  /** One step of a consumer in this process; `expired` when events after fromSeq were dropped. */
  read(fromSeq: number, filter: EventFilter, max: number): Promise<LogPage | 'expired'>
  /** Resolves when there may be something beyond `seq`, the reader stops, or the signal aborts. */
  beyond(seq: number, signal: AbortSignal): Promise<void>
  /** Every event above this seq is still kept. */
  oldestKept(): Promise<number>
  /** Until what it answers is called, new events are read at once and kept in memory for whoever reads on. */
  attend(): () => void
  /** To be called after a commit that appended events: followers then see them sooner than by the poll. */
  poke(): void
  /** The position of a seq in the present life. */
  position(seq: number): string
  readonly horizon: number
  readonly lives: Lives
  stop(): Promise<void>
}

/** A log as a bus reads it: this process's own, or a peer's. */
export type ConsumedLog = Pick<LogReader, 'read' | 'oldestKept' | 'attend' | 'lives'> & {
  /** May resolve for what matches the filter alone, or for what does not match it too. */
  beyond(seq: number, signal: AbortSignal, filter: EventFilter): Promise<void>
  /** Resolves when its lives are known, or the signal aborts; absent when they always are. */
  ready?(signal: AbortSignal): Promise<void>
  /** Absent when the log is not in the database of the consumers, where gaps can be read again. */
  readonly horizon?: number
}

export type LogReaderOptions = HorizonOptions & { now: () => number }

export async function startLogReader(options: LogReaderOptions): Promise<LogReader> {
  const horizon = await keepHorizon(options)
  const query: Read = (text, params) => options.database.query(text, params)

  async function oldestKept(): Promise<number> {
    const [row] = await query<{ seq: number }>(oldestKeptSql, [])
    return row!.seq
  }

  async function read(fromSeq: number, filter: EventFilter, max: number): Promise<LogPage | 'expired'> {
    const remembered = horizon.recent.page(fromSeq, filter, max)
    if (remembered) return remembered
    const page = await readPage(query, { fromSeq, toSeq: horizon.seq, max }, filter, options.now)
    return (await oldestKept()) > fromSeq ? 'expired' : page // asked afterwards: what is there now was there before
  }

  const position = (seq: number): string => formatPosition({ incarnation: presentLife(horizon.lives).incarnation, seq })
  const asPage = (found: LogPage): EventPage => ({ events: found.events, nextPosition: position(found.seq) })

  /** The first page of a request, wherever it begins. */
  async function begin(request: LogRequest, limit: number): Promise<Outcome<LogPage>> {
    const start = request.after ? startAt(horizon.lives, request.after) : await oldestKept()
    if (start === 'unknown') return refused('cursor_invalid')
    const found = await read(start, request, limit)
    if (found !== 'expired') return accepted(found)
    return request.after ? refused('position_expired') : begin(request, limit) // dropped while we looked: at the next oldest
  }

  async function* pages(first: LogPage, filter: EventFilter, signal: AbortSignal): AsyncGenerator<EventPage, void> {
    const life = presentLife(horizon.lives).incarnation
    const over = () => signal.aborted || horizon.stopped || presentLife(horizon.lives).incarnation !== life
    const leave = horizon.follow()
    try {
      let found: LogPage | 'expired' = first
      while (found !== 'expired' && !over()) {
        yield asPage(found)
        await horizon.beyond(found.seq, signal)
        if (over()) return
        found = await read(found.seq, filter, limits.eventPageMax)
      }
    } finally {
      leave()
    }
  }

  return {
    async page(request) {
      const first = await begin(request, request.limit)
      return first.ok ? accepted(asPage(first.value)) : first
    },
    async follow(request, signal) {
      const first = await begin(request, limits.eventPageMax)
      return first.ok ? accepted(pages(first.value, request, signal)) : first
    },
    read,
    oldestKept,
    position,
    beyond: horizon.beyond,
    attend: horizon.follow,
    poke: horizon.poke,
    get horizon() {
      return horizon.seq
    },
    get lives() {
      return horizon.lives
    },
    stop: horizon.stop,
  }
}

function startAt(lives: Lives, after: string): number | 'unknown' {
  const position = parsePosition(after)
  return position ? seqInPresentLife(lives, position) : 'unknown'
}
