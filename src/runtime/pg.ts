// A process's use of its database outside the lanes: reads that share a few pipelined sessions, and transactions that are
// rerun by the retry table. A transaction counts as committed only if the tag of its COMMIT is COMMIT.
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type DatabaseUrl, withSynchronousCommit } from './database-url.ts'
import { asDatabaseError, DatabaseUnavailable, failureClass, StatementFailed } from './pg-failure.ts'
import { followPrimary } from './pg-primary.ts'
import type { Rows, Session, SessionOptions } from './pg-session.ts'
import type { Param } from './pg-values.ts'

export type Database = {
  /** Of the primary, as far as is known: for a library that opens connections of its own. */
  readonly url: DatabaseUrl
  /** One read-only statement, in its own snapshot. Writes are refused by the server: they belong in a transaction. */
  query<Row = Record<string, unknown>>(text: string, params?: readonly Param[]): Promise<Rows<Row>>
  /**
   * Runs `work` between BEGIN and COMMIT and answers what it answers. `work` may run several times; it must await, or give
   * back, every statement it sends. After a loss during COMMIT it throws with `mayHaveHappened` and does not run again.
   */
  transaction<T>(work: (session: Session) => Promise<T>, mode?: TransactionMode): Promise<T>
  /** A session of one's own, for a lane or a lock that is held for long. The owner closes it. */
  openSession(applicationName: string, overrides?: Partial<SessionOptions>): Promise<Session>
  /** As in SessionOptions, for all sessions. Those of `openSession` are lost, and opened anew by who needs them. */
  setSynchronousCommit(commit: SessionOptions['synchronousCommit']): void
  /** What is under way outside the lanes, and who waits for a session of its own. */
  load(): DatabaseLoad
  close(): Promise<void>
}

export type DatabaseLoad = { reads: number; transactions: number; waiting: number }

/** `snapshot` sees one state of the database in all its statements and writes nothing. */
export type TransactionMode = 'write' | 'snapshot'

export type DatabaseOptions = {
  url: string
  applicationName: string
  readersMax?: number
  transactionsMax?: number
  /** As in SessionOptions, for all sessions until it is set otherwise. */
  synchronousCommit?: 'local' | undefined
}

const beginSql: Record<TransactionMode, string> = {
  write: 'begin read write',
  snapshot: 'begin isolation level repeatable read read only',
}

/** Opens nothing until it is used, so that a database that is down is found by the first statement. */
export function openDatabase(options: DatabaseOptions): Database {
  const { applicationName } = options
  let { synchronousCommit } = options
  const primary = followPrimary(options.url)
  const open = (suffix: string, overrides?: Partial<SessionOptions>): Promise<Session> =>
    primary.open({ applicationName: `${applicationName} ${suffix}`, synchronousCommit, ...overrides })
  const readers = sharedSessions(() => open('read'), options.readersMax ?? limits.databaseReadersMax)
  const own = new Set<Session>()
  const writers = lentSessions(() => open('transaction'), options.transactionsMax ?? limits.databaseTransactionsMax)

  async function transaction<T>(work: (session: Session) => Promise<T>, mode: TransactionMode = 'write'): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const session = await writers.borrow()
      try {
        return await runTransaction(session, work, mode)
      } catch (error) {
        if (failureClass(error) === 'reconnect') await session.close()
        if (!mayRerun(error) || attempt >= limits.transactionAttemptsMax) throw error
      } finally {
        writers.giveBack(session)
      }
      await delay(Math.random() * Math.min(limits.transactionBackoffMsMax, 2 ** attempt * 5))
    }
  }

  return {
    get url() {
      return synchronousCommit ? withSynchronousCommit(primary.url, synchronousCommit) : primary.url
    },
    async query<Row>(text: string, params?: readonly Param[]) {
      return (await readers.pick()).run<Row>(text, params)
    },
    transaction,
    async openSession(applicationName, overrides) {
      const session = await open(applicationName, overrides)
      for (const other of own) if (other.lost) own.delete(other)
      own.add(session)
      return session
    },
    setSynchronousCommit(commit) {
      if (commit === synchronousCommit) return
      synchronousCommit = commit
      writers.renew()
      for (const session of own) session.abandon('renewed', 'sessions are opened anew')
      own.clear()
    },
    load: () => ({ reads: readers.inFlight(), ...writers.load() }),
    async close() {
      await Promise.all([readers.close(), writers.close()])
    },
  }
}

/** What neighbours or a lost session have spoilt is rerun; what may have happened is not. */
function mayRerun(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return !error.mayHaveHappened
  return failureClass(error) === 'rerun'
}

/** One attempt of a transaction on a session that is not in one. Throws database errors in their uniform shape. */
export async function runTransaction<T>(
  session: Session,
  work: (session: Session) => Promise<T>,
  mode: TransactionMode = 'write',
): Promise<T> {
  const begun = session.run(beginSql[mode]) // not awaited: it travels with the first statement of the work
  let value: T
  try {
    value = await work(session)
    await begun
  } catch (error) {
    const first = await begun.then(
      () => error,
      (failed) => failed,
    )
    await rollBack(session)
    throw asDatabaseError(first)
  }
  await commit(session)
  return value
}

/** Commits, and throws unless the transaction is known to be committed. */
export async function commit(session: Session): Promise<void> {
  const sent = !session.lost // what is lost already is not sent
  let command: string
  try {
    command = (await session.run('commit')).command
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    throw new DatabaseUnavailable(error.code, `lost at commit: ${error.message}`, sent)
  }
  if (command !== 'COMMIT')
    throw new StatementFailed('fail', 'ROLLED_BACK', `commit answered ${command}: a statement had failed`)
}

async function rollBack(session: Session): Promise<void> {
  try {
    await session.run('rollback')
  } catch (error) {
    if (!session.lost) await session.close()
    if (!(error instanceof DatabaseUnavailable)) throw error
  }
}

/** Few sessions for many reads: the one with the least in flight, or another while there may be more. */
function sharedSessions(open: () => Promise<Session>, sessionsMax: number) {
  const slots: (Promise<Session> | undefined)[] = Array(sessionsMax).fill(undefined)
  const opened: (Session | undefined)[] = Array(sessionsMax).fill(undefined)
  let closed = false

  function openSlot(at: number): Promise<Session> {
    const opening = open()
    slots[at] = opening
    opening.then(
      (session) => {
        opened[at] = session
      },
      () => {
        slots[at] = undefined
      },
    )
    return opening
  }

  function pick(): Promise<Session> {
    if (closed) return Promise.reject(new DatabaseUnavailable('CONNECTION_ENDED', 'the database is closed'))
    let best = -1
    for (let at = 0; at < sessionsMax; at++) {
      if (opened[at]?.lost) slots[at] = opened[at] = undefined
      if (!slots[at]) return best >= 0 && opened[best]!.inFlight === 0 ? slots[best]! : openSlot(at)
      if (opened[at] && (best < 0 || opened[at]!.inFlight < opened[best]!.inFlight)) best = at
    }
    if (best < 0) return slots[0]!
    if (opened[best]!.inFlight < limits.databaseWaitersMax) return slots[best]!
    return Promise.reject(new DatabaseUnavailable('reads_full', `${limits.databaseWaitersMax} reads are in flight`))
  }

  async function close(): Promise<void> {
    closed = true
    await Promise.allSettled(slots.map(async (slot) => (await slot)?.close()))
  }
  const inFlight = (): number =>
    opened.reduce((sum, session) => sum + (session?.lost === false ? session.inFlight : 0), 0)
  return { pick, inFlight, close }
}

/** Sessions that one transaction has to itself; those who wait are served in turn, boundedly many. */
function lentSessions(open: () => Promise<Session>, sessionsMax: number) {
  const idle: Session[] = []
  const generations = new WeakMap<Session, number>()
  let generation = 0
  const waiting: { resolve: (session: Session | undefined) => void; reject: (error: unknown) => void }[] = []
  let lent = 0
  let closed = false

  async function borrow(): Promise<Session> {
    if (closed) throw new DatabaseUnavailable('CONNECTION_ENDED', 'the database is closed')
    let session: Session | undefined
    if (lent < sessionsMax) lent++
    else if (waiting.length < limits.databaseWaitersMax) {
      session = await new Promise<Session | undefined>((resolve, reject) => waiting.push({ resolve, reject }))
    } else throw new DatabaseUnavailable('transactions_full', `${waiting.length} transactions are waiting`)
    session ??= idle.pop()
    while (session && !isOfUse(session)) session = idle.pop()
    if (session) return session
    try {
      const opening = generation
      const opened = await open()
      generations.set(opened, opening)
      return opened
    } catch (error) {
      passOn(undefined)
      throw error
    }
  }

  /** Hands the right to a session, and the session if it lives, to the next who waits. */
  function passOn(session: Session | undefined): void {
    const next = waiting.shift()
    if (next) {
      next.resolve(session)
      return
    }
    lent--
    if (session && !closed) idle.push(session)
    else void session?.close()
  }

  async function close(): Promise<void> {
    closed = true
    const ended = new DatabaseUnavailable('CONNECTION_ENDED', 'the database is closed')
    for (const one of waiting.splice(0)) one.reject(ended)
    await Promise.allSettled(idle.splice(0).map((session) => session.close()))
  }

  function isOfUse(session: Session): boolean {
    const isNew = generations.get(session) === generation
    if (!isNew && !session.lost) void session.close()
    return isNew && !session.lost
  }

  return {
    borrow,
    giveBack: (session: Session) => passOn(isOfUse(session) ? session : undefined),
    load: () => ({ transactions: lent, waiting: waiting.length }),
    /** Those that are open now are lent to nobody any more. */
    renew: () => void generation++,
    close,
  }
}
