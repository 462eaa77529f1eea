// Reading a peer's event log: what a cell answers when it is asked for events, and a reader of one peer's log that a bus can
// run consumers on, with position and inbox in this cell's database. Positions count in the lives of the peer.
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Outcome, refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import type { Clock } from './clock.ts'
import type { EventFilter, LogEvent, LogPage } from './event-log.ts'
import { typesText } from './event-types.ts'
import { RefusedRequest } from './http.ts'
import { type Lives, presentLife } from './incarnation.ts'
import type { ConsumedLog, EventPage, LogReader } from './logreader.ts'
import {
  answerJson,
  type LogAnswer,
  type LogQuestion,
  questionJson,
  readAnswer,
  readQuestion,
} from './peer-log-wire.ts'
import { PeerRefused, PeerUnreachable } from './peer-requests.ts'
import type { PeerHandler, Peers } from './peers.ts'
import { formatPosition, parsePosition } from './position.ts'

type AnsweringLog = Pick<LogReader, 'page' | 'follow' | 'position' | 'oldestKept' | 'horizon' | 'lives'>

/**
 * The handler of the message `log`: waits for events that match, as long as it is asked to. `told` is how a cell is told an event,
 * if not as it stands.
 */
export function createLogHandler(
  reader: AnsweringLog,
  told: (to: CellName, event: LogEvent) => LogEvent = (_, event) => event,
): PeerHandler {
  const answer = (to: CellName, { events, nextPosition }: EventPage) =>
    answerJson({
      events: events.map((event) => told(to, event)),
      ...{ nextPosition, horizonPosition: reader.position(reader.horizon), lives: reader.lives },
    })

  /** The first page with events; else the last that was found when the time, the reader or its life ended. */
  async function awaited({ after, types, waitMs }: LogQuestion, signal: AbortSignal): Promise<EventPage | undefined> {
    if (waitMs === 0) return undefined
    const over = AbortSignal.any([signal, AbortSignal.timeout(waitMs)])
    const pages = accepted(await reader.follow({ after: after ?? undefined, types }, over))
    let last: EventPage | undefined
    for await (const page of pages) {
      last = page
      if (page.events.length > 0) break
    }
    return last
  }

  return async (from, body, signal) => {
    const question = readQuestion(body)
    if (!question) throw new RefusedRequest(refused('invalid_body', 'It is no question for events.'))
    const { after, types, limit } = question
    if (limit === 0) return answer(from, { events: [], nextPosition: reader.position(await reader.oldestKept()) })
    const found = await awaited(question, signal)
    if (found) return answer(from, cutTo(limit, found, reader))
    const page = accepted(await reader.page({ after: after ?? undefined, types, limit }))
    return answer(from, cutTo(limit, page, reader))
  }
}

function accepted<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new RefusedRequest(outcome)
  return outcome.value
}

/** No more events than are wanted, nor than fit; one at least. */
function cutTo(limit: number, page: EventPage, reader: Pick<LogReader, 'position'>): EventPage {
  let characters = 0
  const end = page.events.findIndex(({ data }, at) => {
    characters += data.length
    return at > 0 && (at >= limit || characters > limits.peerLogPageBytesMax)
  })
  if (end < 0) return page
  const events = page.events.slice(0, end)
  return { events, nextPosition: reader.position(events.at(-1)!.seq) }
}

export type PeerLog = ConsumedLog & {
  /** How far the peer's log was settled when it last answered, in its present life; null before its first answer. */
  readonly standing: { horizon: number; at: Instant } | null
}

export type PeerLogOptions = {
  peer: CellName
  peers: Pick<Peers, 'call'>
  clock: Clock
  /** What keeps it from reading; once, until it has read again. */
  onError(error: unknown): void
  /** Events after this seq were dropped by the peer before they were read; it goes on at `oldest`. */
  onExpired(lost: { after: number; oldest: number }): void
}

type Kept = { types: string; fromSeq: number; page: LogPage }
type State = {
  lives: Lives
  /** Every event of the peer above it is kept there. */
  oldest: number
  standing: PeerLog['standing']
  /** What was fetched and may not have been read yet, newest last; of the present life. */
  kept: Kept[]
  isTroubled: boolean
}

/** Costs nothing until something consumes. While the peer cannot be reached, whoever waits for its events goes on waiting. */
export function peerLogReader(options: PeerLogOptions): PeerLog {
  const { peer, peers, clock, onExpired } = options
  const state: State = { lives: [], oldest: 0, standing: null, kept: [], isTroubled: false }

  async function ask(question: LogQuestion, signal?: AbortSignal): Promise<LogAnswer> {
    const deadlineMs = question.waitMs + limits.peerLogMsMax
    const said = await peers.call(peer, 'log', questionJson(question), { deadlineMs, ...(signal ? { signal } : {}) })
    const answer = readAnswer(said)
    if (!answer) throw new PeerRefused(peer, 200, 'malformed_answer')
    const before = state.lives.at(-1)?.incarnation
    const { incarnation } = presentLife(answer.lives)
    // Said before the present life began, or by an old primary that came back.
    if (incarnation !== before && state.lives.some((life) => life.incarnation === incarnation))
      throw new PeerRefused(peer, 200, 'cell_claimed_twice')
    state.lives = answer.lives
    state.standing = { horizon: seqOf(answer.horizonPosition), at: clock.now() }
    if (before !== incarnation) state.kept = []
    state.isTroubled = false
    return answer
  }

  async function learnStanding(signal?: AbortSignal): Promise<void> {
    const answer = await ask({ after: null, types: undefined, waitMs: 0, limit: 0 }, signal)
    state.oldest = seqOf(answer.nextPosition)
  }

  function keep(kept: Kept): void {
    state.kept = [...state.kept, kept].slice(-limits.peerLogPagesKept)
  }

  /** Until it succeeds or the signal aborts. What the peer may say no to for ever is tried again slowly. */
  async function patiently(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        return await work()
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof PeerUnreachable || error instanceof PeerRefused)) throw error
        if (!state.isTroubled) options.onError(error)
        state.isTroubled = true
        await clock.sleep(Math.min(limits.peerGreetEveryMs, 10 * 2 ** tries), signal)
      }
    }
  }

  /** Something beyond the seq is kept, or another life has begun; or the peer had nothing for as long as it was asked to wait. */
  async function fetchBeyond(seq: number, types: EventFilter['types'], signal: AbortSignal): Promise<void> {
    const life = presentLife(state.lives).incarnation
    const after = seq === 0 ? null : formatPosition({ incarnation: life, seq })
    try {
      const answer = await ask({ after, types, waitMs: limits.peerLogWaitMsMax, limit: limits.eventPageMax }, signal)
      if (presentLife(answer.lives).incarnation !== life) return
      keep({ types: typesText(types), fromSeq: seq, page: { events: answer.events, seq: seqOf(answer.nextPosition) } })
    } catch (error) {
      if (!(error instanceof PeerRefused)) throw error
      if (error.code === 'cursor_invalid') await learnNewLife(life, error, signal)
      else if (error.code === 'position_expired') await skipDropped(seq, types, signal)
      else throw error
    }
  }

  /** A database that has never lived the life we read: the consumer finds out what that means for its position. */
  async function learnNewLife(life: string, error: PeerRefused, signal: AbortSignal): Promise<void> {
    await learnStanding(signal)
    if (presentLife(state.lives).incarnation === life) throw error
  }

  async function skipDropped(seq: number, types: EventFilter['types'], signal: AbortSignal): Promise<void> {
    await learnStanding(signal)
    if (state.oldest <= seq) return
    onExpired({ after: seq, oldest: state.oldest })
    keep({ types: typesText(types), fromSeq: seq, page: { events: [], seq: state.oldest } })
  }

  /** From what was fetched; empty and not moved on when that is nothing, and `beyond` is then asked to fetch it. */
  function read(fromSeq: number, { types }: EventFilter, max: number): LogPage {
    const text = typesText(types)
    const found = state.kept.findLast(
      (kept) => kept.types === text && kept.fromSeq <= fromSeq && fromSeq < kept.page.seq,
    )
    if (!found) return { events: [], seq: fromSeq }
    const events = found.page.events.filter((event) => event.seq > fromSeq)
    return events.length <= max ? { events, seq: found.page.seq } : cut(events, max)
  }

  return {
    read: async (fromSeq, filter, max) => read(fromSeq, filter, max),
    async beyond(seq, signal, filter) {
      const life = presentLife(state.lives).incarnation
      const isOver = () => read(seq, filter, 1).seq > seq || presentLife(state.lives).incarnation !== life
      while (!isOver() && !signal.aborted) await patiently(signal, () => fetchBeyond(seq, filter.types, signal))
    },
    async ready(signal) {
      if (state.lives.length === 0) await patiently(signal, () => learnStanding(signal))
    },
    async oldestKept() {
      await learnStanding().catch(() => {}) // else what was last heard of it, which can only be too early
      return state.oldest
    },
    attend: () => () => {},
    get lives() {
      return state.lives
    },
    get standing() {
      return state.standing
    },
  }
}

const cut = (events: readonly LogEvent[], max: number): LogPage => {
  const first = events.slice(0, max)
  return { events: first, seq: first.at(-1)!.seq }
}

/** Of a position that the peer wrote. */
function seqOf(text: string): number {
  const position = parsePosition(text)
  if (!position) throw new Error(`a peer answered the position ${text}`)
  return position.seq
}
