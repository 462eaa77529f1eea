// How far the event log is settled: everything up to the horizon that will ever commit has committed and is visible.
// It takes three steps [seen: `seq > cursor` alone missed 2,116 of 25,000]:
//   1. read the sequence's last value L;
//   2. in a later statement, list the transactions that hold RowExclusiveLock on the event table: whoever drew a seq ≤ L
//      and has not ended is among them, because the INSERT locks the table before it draws;
//   3. wait until all of those have gone, and then until what is committed by now may leave the cell.
// The horizon is the newest *event* up to L, never L itself: seqs drawn by rolled back transactions may be given out again
// after a crash, and a position beyond the last event would then skip them.
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { lastSeqSql, newestSeqSql, type Read, readRange, writersSql } from './event-log.ts'
import { type Gate, GateShut, openGate } from './gate.ts'
import type { ServerLife } from './gate-state.ts'
import { ensureIncarnation, type Lives, presentLife } from './incarnation.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'
import { type RecentEvents, recentEvents } from './recent-events.ts'

export type Horizon = {
  readonly seq: number
  readonly lives: Lives
  /** The newest events, as far as somebody follows. */
  readonly recent: RecentEvents
  /** While anybody follows, new events are kept in `recent`, and pokes are heeded. Answers how to leave. */
  follow(): () => void
  /** Resolves when the horizon is beyond `seq`, it stops, a new life begins, or the signal aborts. */
  beyond(seq: number, signal: AbortSignal): Promise<void>
  poke(): void
  readonly stopped: boolean
  stop(): Promise<void>
}

export type HorizonOptions = {
  database: Database
  /** What ensureIncarnation answered at the start of the process. */
  lives: Lives
  onError: (error: unknown) => void
  gate?: Gate
  pollMs?: number
}

type State = {
  session: Session | undefined
  lives: Lives
  seq: number
  /** The last value of the sequence up to which this session has found the log settled. */
  looked: number
  followers: number
  recent: RecentEvents
  ended: AbortController
  moved: Bell
  poked: Bell
}

/** Answers when the horizon is known for the first time, and keeps it until it is stopped. */
export async function keepHorizon(options: HorizonOptions): Promise<Horizon> {
  const state: State = {
    session: undefined,
    lives: options.lives,
    seq: 0,
    looked: 0,
    followers: 0,
    recent: recentEvents(limits.streamBacklogMax),
    ended: new AbortController(),
    moved: bell(),
    poked: bell(),
  }
  await reopen(state, options.database)
  await advance(state, options)
  const looping = loop(state, options)
  return {
    get seq() {
      return state.seq
    },
    get lives() {
      return state.lives
    },
    get stopped() {
      return state.ended.signal.aborted
    },
    recent: state.recent,
    follow() {
      state.followers++
      return () => void state.followers--
    },
    beyond: (seq, signal) => beyond(state, seq, signal),
    poke: () => void (state.followers > 0 && state.poked.ring()),
    async stop() {
      state.ended.abort()
      state.poked.ring()
      state.moved.ring()
      await looping
      await state.session?.close()
    },
  }
}

async function loop(state: State, options: HorizonOptions): Promise<void> {
  const pollMs = options.pollMs ?? limits.logPollMs
  while (!state.ended.signal.aborted) {
    const poked = state.poked.next() // taken before looking, so that no poke is missed
    try {
      if (!state.session || state.session.lost) await reopen(state, options.database)
      await advance(state, options)
    } catch (error) {
      if (!state.ended.signal.aborted) options.onError(error)
      await state.session?.close()
      state.session = undefined
      await pause(pollMs, state.ended.signal)
      continue
    }
    await Promise.race([pause(pollMs, state.ended.signal), poked])
    if (state.followers > 0) await pause(limits.logPokeMsMin, state.ended.signal)
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal }).catch(() => {})

/** A lost session may mean another server behind the address, or one that has forgotten what was not committed. */
async function reopen(state: State, database: Database): Promise<void> {
  const lives = await ensureIncarnation(database)
  if (presentLife(lives).incarnation !== presentLife(state.lives).incarnation) state.seq = 0
  state.lives = lives
  state.session = await database.openSession('log reader')
  state.looked = state.seq
  state.recent.restart(state.seq)
  state.moved.ring()
}

async function advance(state: State, { gate = openGate }: HorizonOptions): Promise<void> {
  const session = state.session!
  const read: Read = (text, params) => session.run(text, params)
  const [row] = await read<{ last: number }>(lastSeqSql, [])
  const last = row!.last
  if (last <= state.looked) return
  await writersGone(read, state.ended.signal)
  if (!gate.isOpen && !(await passes(gate, session.life))) return // the next turn asks again
  if (state.ended.signal.aborted) return
  if (state.followers > 0) await readUpTo(state, read, last)
  else await skipTo(state, read, last)
  state.looked = last
}

/** Waits until every transaction that now writes to the log has ended; newer ones do not matter. */
async function writersGone(read: Read, signal: AbortSignal): Promise<void> {
  const list = async (): Promise<string[]> => (await read<{ writer: string }>(writersSql, [])).map((row) => row.writer)
  let waiting = await list()
  for (
    let pauseMs = 1;
    waiting.length > 0 && !signal.aborted;
    pauseMs = Math.min(pauseMs * 2, limits.logWritersMsMax)
  ) {
    await pause(pauseMs, signal)
    const now = new Set(await list())
    waiting = waiting.filter((writer) => now.has(writer))
  }
}

async function passes(gate: Gate, life: ServerLife): Promise<boolean> {
  try {
    await gate.pass(life)
    return true
  } catch (error) {
    if (error instanceof GateShut) return false
    throw error
  }
}

/** Nobody follows: the horizon is enough, and the events need not be read. */
async function skipTo(state: State, read: Read, last: number): Promise<void> {
  const [row] = await read<{ newest: number | null }>(newestSeqSql, [last])
  state.seq = Math.max(state.seq, row!.newest ?? 0)
  state.recent.restart(state.seq)
  state.moved.ring()
}

async function readUpTo(state: State, read: Read, last: number): Promise<void> {
  for (let full = true; full; ) {
    const events = await readRange(read, { fromSeq: state.seq, toSeq: last, max: limits.logChunkMax })
    full = events.length === limits.logChunkMax
    if (events.length === 0) return
    state.recent.append(events)
    state.seq = events.at(-1)!.seq
    state.moved.ring()
  }
}

async function beyond(state: State, seq: number, signal: AbortSignal): Promise<void> {
  const life = presentLife(state.lives)
  const over = (): boolean =>
    signal.aborted || state.ended.signal.aborted || presentLife(state.lives).incarnation !== life.incarnation
  const ring = (): void => state.moved.ring()
  signal.addEventListener('abort', ring)
  try {
    while (seq >= state.seq && !over()) await state.moved.next()
  } finally {
    signal.removeEventListener('abort', ring)
  }
}

type Bell = { ring(): void; next(): Promise<void> }

/** Wakes everybody who waits for its next ring. */
function bell(): Bell {
  let waiting = Promise.withResolvers<void>()
  return {
    ring() {
      waiting.resolve()
      waiting = Promise.withResolvers<void>()
    },
    next: () => waiting.promise,
  }
}
