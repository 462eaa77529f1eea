// What a `geo` cell has committed leaves it (answers, events, calls) only once it is on a synchronous standby in another region.
// Waiting happens here and not inside COMMIT, which would hold row locks and the event log through a round trip, and would
// acknowledge an order that is not replicated when its wait is cancelled. Everybody who waits shares one reading a moment.
import { limits } from '../base/limits.ts'
import type { Clock } from './clock.ts'
import {
  beginReading,
  dismissAll,
  endReading,
  isAnybodyWaiting,
  isShut,
  loseConnection,
  parseLsn,
  type Reading,
  replicatedLsn,
  type ServerLife,
  shutGate,
} from './gate-state.ts'
import type { Database } from './pg.ts'
import { DatabaseUnavailable } from './pg-failure.ts'
import type { Session } from './pg-session.ts'

/** The standby is out of reach. `mayHaveHappened`: it was committed here, and nobody knows whether it will stay. */
export class GateShut extends DatabaseUnavailable {
  override readonly name = 'GateShut'

  constructor(message: string, mayHaveHappened: boolean) {
    super('gate_shut', message, mayHaveHappened)
  }
}

export type Gate = {
  /**
   * Resolves when everything that was committed before the call, on a session of this server, may leave; rejects with GateShut
   * when nobody can say so.
   */
  pass(life: ServerLife): Promise<void>
  /** No standby has reached what it should for `gateShutMs`: nothing new is to be begun. */
  readonly isShut: boolean
  /** Nothing waits: what is committed may leave at once. */
  readonly isOpen: boolean
  stop(): Promise<void>
}

/** Of a cell whose answers wait for no standby. */
export const openGate: Gate = {
  pass: () => Promise.resolve(),
  isShut: false,
  isOpen: true,
  stop: () => Promise.resolve(),
}

/** One that is put up and taken away while the cell runs. Who waits when it is taken away is told to ask again. */
export type ChangingGate = Gate & { set(isWanted: boolean): Promise<void> }

export type ChangingGateOptions = {
  begin(): Gate
  /** That it need not wait is known as of just now. Where it is not, nothing leaves before `look`. */
  mayBeOpen(): boolean
  look(): Promise<void>
}

export function changingGate({ begin, mayBeOpen, look }: ChangingGateOptions): ChangingGate {
  let gate = openGate
  const isUnsure = () => gate.isOpen && !mayBeOpen()
  return {
    async pass(life) {
      if (isUnsure()) await look().catch(() => {})
      if (isUnsure()) throw new GateShut('whether it is to wait for a standby is not known', true)
      await gate.pass(life)
    },
    get isShut() {
      return gate.isShut
    },
    get isOpen() {
      return gate.isOpen && mayBeOpen()
    },
    async set(isWanted) {
      if (isWanted === !gate.isOpen) return
      const before = gate
      gate = isWanted ? begin() : openGate
      await before.stop()
    },
    stop: () => gate.stop(),
  }
}

export type GateOptions = {
  database: Pick<Database, 'openSession'>
  clock: Pick<Clock, 'elapsedMs' | 'sleep'>
  onError: (error: unknown) => void
  /** When it shuts and when it opens. */
  onChange?: (isShut: boolean) => void
}

type Waiter = { life: ServerLife; pass(): void; refuse(error: GateShut): void }

// The LSN is that of what is flushed here, read after the commit: COMMIT (with synchronous_commit = local) has returned behind
// its own flush, so this is never less than any commit that was answered before; and a standby is sent only what is flushed, so
// this is reached as soon as it can be. What is inserted or written but not flushed (pg_current_wal_insert_lsn, …_wal_lsn) would
// wait for a flush that nobody may be about to do: of a transaction that is still open, or of a page's header.
const readSql = `
  select pg_current_wal_flush_lsn()::text as flushed, current_setting('synchronous_standby_names') as names, (
    select string_agg(flush_lsn::text, ' ') from pg_stat_get_wal_senders() where sync_state in ('sync', 'quorum')
  ) as standbys`
type ReadRow = { flushed: string; names: string; standbys: string | null }

/** Opens nothing before it is connected and has seen a standby; it is shut until then. */
export function startGate({ database, clock, onError, onChange }: GateOptions): Gate {
  const state = shutGate<Waiter>()
  const stopping = new AbortController()
  let nap = new AbortController()
  let wasShut = true
  let lookedAtMs = 0

  const shutNow = (): boolean => isShut(state, clock.elapsedMs(), limits.gateShutMs)

  /** Time alone may shut it, and a reading open it. */
  function look(): void {
    const isNowShut = shutNow()
    if (isNowShut) refuseAll(dismissAll(state), 'no standby has it in time')
    if (isNowShut !== wasShut) onChange?.(isNowShut)
    wasShut = isNowShut
  }

  async function read(session: Session): Promise<void> {
    const sentAtMs = clock.elapsedMs()
    beginReading(state)
    const [row] = await session.run<ReadRow>(readSql)
    const { pass, refuse } = endReading(state, readingOf(session.life, row!), sentAtMs)
    for (const waiter of pass) waiter.pass()
    refuseAll(refuse, 'another server has become the primary')
    look()
  }

  /** Who finds a later primary moves this process there, and the session of the gate is lost. */
  async function lookForPrimary(): Promise<void> {
    if (!shutNow() || clock.elapsedMs() - lookedAtMs < limits.gateLookMs) return
    lookedAtMs = clock.elapsedMs()
    await (await database.openSession('gate look')).close()
  }

  async function loop(): Promise<void> {
    let session: Session | undefined
    while (!stopping.signal.aborted) {
      try {
        session ??= await database.openSession('gate', { replyMsMax: limits.gateShutMs })
        await read(session)
        await lookForPrimary()
        if (nap.signal.aborted) nap = new AbortController()
        // A crowd is served by the next reading but one; who comes while nobody waits, at once.
        if (isAnybodyWaiting(state)) await clock.sleep(limits.gatePollMs, stopping.signal)
        else await clock.sleep(limits.gateIdleMs, nap.signal)
      } catch (error) {
        refuseAll(loseConnection(state), 'the connection to the database was lost')
        if (!stopping.signal.aborted) onError(error)
        await session?.close()
        session = undefined
        await clock.sleep(limits.gateRetryMs, stopping.signal)
      }
    }
    await session?.close()
  }

  /** A reading that hangs opens nothing, and is to shut it. */
  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      look()
      await clock.sleep(limits.gateIdleMs, stopping.signal)
    }
  }

  const running = [loop(), watch()]
  return {
    pass(life) {
      if (stopping.signal.aborted || shutNow()) return Promise.reject(new GateShut('the standby is out of reach', true))
      nap.abort()
      return new Promise((pass, refuse) => state.called.push({ life, pass, refuse }))
    },
    get isShut() {
      return shutNow()
    },
    isOpen: false,
    async stop() {
      stopping.abort()
      nap.abort()
      await Promise.all(running)
      refuseAll(dismissAll(state), 'the process is stopping')
    },
  }
}

function refuseAll(waiters: readonly Waiter[], why: string): void {
  for (const waiter of waiters) waiter.refuse(new GateShut(why, true))
}

const readingOf = (life: ServerLife, { flushed, names, standbys }: ReadRow): Reading => ({
  life,
  flushed: parseLsn(flushed),
  replicated: replicatedLsn(names, standbys === null ? [] : standbys.split(' ').map(parseLsn)),
})

/**
 * Reads whose answers leave the cell: whatever they have seen is on the standby, so that nobody acts on what a region then loses.
 * A cell whose answers wait for no standby reads as always.
 */
export const toldDatabase = (gated: Database, gate: Gate): Pick<Database, 'query'> => ({
  query: (text, params) =>
    gate.isOpen ? gated.query(text, params) : gated.transaction((session) => session.run(text, params ?? [])),
})

/** Writes through it answer when the gate has let them pass, whoever asked for them: a route, a consumer, a job. */
export function gatedDatabase(database: Database, gate: Gate): Database {
  return {
    ...database,
    get url() {
      return database.url
    },
    async transaction(work, mode = 'write') {
      if (mode !== 'write') return database.transaction(work, mode)
      if (gate.isShut) throw new GateShut('the standby is out of reach', false)
      let life: ServerLife = ''
      const value = await database.transaction((session) => {
        life = session.life
        return work(session)
      })
      await gate.pass(life)
      return value
    },
  }
}
