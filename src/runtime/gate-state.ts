// What the gate decides, without time or I/O of its own: who may pass, given readings of one connection. A reading is (an LSN
// of the primary, how far its standbys have flushed), and counts for those who called before it was sent. LSNs are compared
// within one connection only: behind another one may be a server that never had what was waited for.

/** Bytes of WAL since the cluster was made. */
export type Lsn = bigint

/** A server and its timeline: what was committed in one is not known to be in another. */
export type ServerLife = string

export type Reading = {
  life: ServerLife
  /** Flushed here: everything that was committed before the reading, and can be sent to a standby. */
  flushed: Lsn
  /** Flushed by as many synchronous standbys as must have it; null while fewer are there. */
  replicated: Lsn | null
}

export type GateState<W> = {
  /** Called since the last reading was sent; the next one counts for them. */
  called: W[]
  /** The reading that is under way counts for them. */
  asking: W[]
  /** Wait until the standbys have this LSN; in order of it. */
  marked: { lsn: Lsn; waiters: W[] }[]
  /** An LSN that the standbys have not reached, or none was read yet, since this moment. */
  unmet: { lsn: Lsn | null; sinceMs: number }
}

export type Decision<W> = { pass: W[]; refuse: W[] }

/** Shut until the first reading says otherwise. */
export const shutGate = <W>(): GateState<W> => ({
  called: [],
  asking: [],
  marked: [],
  unmet: { lsn: null, sinceMs: Number.NEGATIVE_INFINITY },
})

export const isShut = <W>({ unmet }: GateState<W>, nowMs: number, shutMs: number): boolean =>
  nowMs - unmet.sinceMs >= shutMs

export const isAnybodyWaiting = <W>({ called, asking, marked }: GateState<W>): boolean =>
  called.length > 0 || asking.length > 0 || marked.length > 0

/** To be called when a reading is sent. */
export function beginReading<W>(state: GateState<W>): void {
  state.asking = state.called
  state.called = []
}

/** Those who committed on another server than the one that was read are refused: nobody knows whether this one has it. */
export function endReading<W extends { life: ServerLife }>(
  state: GateState<W>,
  reading: Reading,
  sentAtMs: number,
): Decision<W> {
  const { life, flushed, replicated } = reading
  const refuse = state.asking.filter((waiter) => waiter.life !== life)
  const waiters = refuse.length === 0 ? state.asking : state.asking.filter((waiter) => waiter.life === life)
  state.asking = []
  if (waiters.length > 0) state.marked.push({ lsn: flushed, waiters })
  const reached = state.marked.findIndex(({ lsn }) => replicated === null || lsn > replicated)
  const passed = state.marked.splice(0, reached < 0 ? state.marked.length : reached)
  noteReached(state, reading, sentAtMs)
  return { pass: passed.flatMap((mark) => mark.waiters), refuse }
}

function noteReached<W>(state: GateState<W>, { flushed, replicated }: Reading, sentAtMs: number): void {
  const { unmet } = state
  const isReached = replicated !== null && replicated >= (unmet.lsn ?? flushed)
  if (isReached) state.unmet = { lsn: flushed, sinceMs: sentAtMs }
  else unmet.lsn ??= flushed
}

/** With the connection: nobody knows what became of anything. The time since which nothing was reached goes on. */
export function loseConnection<W>(state: GateState<W>): W[] {
  const all = dismissAll(state)
  state.unmet.lsn = null
  return all
}

/** Everybody who waits, who then waits no more. */
export function dismissAll<W>(state: GateState<W>): W[] {
  const all = [...state.marked.flatMap(({ waiters }) => waiters), ...state.asking, ...state.called]
  state.called = []
  state.asking = []
  state.marked = []
  return all
}

/**
 * How far as many synchronous standbys as must have it have flushed. `names` is synchronous_standby_names: `a`, `2 (a, b, c)`,
 * `FIRST 2 (…)`, `ANY 1 (…)`; the one that is promoted may be the slowest of those that COMMIT would wait for.
 */
export function replicatedLsn(names: string, standbys: readonly Lsn[]): Lsn | null {
  const needed = Number(/^\s*(?:(?:first|any)\s+)?(\d+)\s*\(/i.exec(names)?.[1] ?? 1)
  const sorted = standbys.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0))
  return sorted[needed - 1] ?? null
}

/** `16/B374D848`, as PostgreSQL writes it. */
export function parseLsn(text: string): Lsn {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}
