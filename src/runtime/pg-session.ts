// One connection to one writable primary, on which statements are pipelined: each is sent at once, behind the earlier ones,
// and answered in order. A lost session rejects everything that waits on it and never comes back, so that no statement can
// land on another connection outside its transaction.
//
// Why not `sql.begin` or a reserved connection as they are [seen, postgres.js 3.4.9; test/runtime/pg.test.ts]:
// - after the connection dies, statements that the driver held back (it holds them behind one whose parameters it has to
//   describe first, or while the socket is full) neither resolve nor reject, ever;
// - one more statement on the dead reserved connection throws in a timer, which ends the process, and leaves half a message
//   in the buffer of whoever gets that connection next;
// - `reserve()` on a fresh pool with `fetch_types: false` never resolves: the first statement has to go through the pool;
// - a failed pipelined statement makes COMMIT resolve with the tag ROLLBACK;
// - a statement whose plan went stale under DDL is sent again *behind the COMMIT that was already pipelined*: it resolves,
//   in a transaction of its own. Hence every session is read only by default, and `begin read write` is the only way to write.
import type postgres from 'postgres'
import { limits } from '../base/limits.ts'
import { openSql } from './database-url.ts'
import type { ServerLife } from './gate-state.ts'
import { asDatabaseError, DatabaseUnavailable } from './pg-failure.ts'
import { driverTypes, type Param } from './pg-values.ts'

export type Rows<Row> = Row[] & { readonly count: number; readonly command: string }

export type Session = {
  /**
   * Sends the statement, prepared under its text, without waiting for earlier ones. Rejects with StatementFailed or
   * DatabaseUnavailable; a rejection that nobody awaits is not reported, since a batch awaits them in its own order.
   */
  run<Row = Record<string, unknown>>(text: string, params?: readonly Param[]): Promise<Rows<Row>>
  /** Several statements in one text, without parameters (migrations); answers nothing. */
  script(text: string): Promise<void>
  /** The server and its timeline. */
  readonly life: ServerLife
  readonly lost: boolean
  readonly inFlight: number
  /** Loses it now: what is in flight is rejected, and nothing more can be sent. */
  abandon(code: string, message: string): void
  /** Waits for what is in flight, a second at most, and closes. */
  close(): Promise<void>
}

export type SessionOptions = {
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
  statementMsMax?: number
  lockMsMax?: number
  replyMsMax?: number
  /** What COMMIT waits for, where that is not the server's own choice. `local`: its own disk, whatever standbys there are. */
  synchronousCommit?: 'local' | undefined
}

const openingSql = `
  select pg_is_in_recovery() as standby, current_setting('default_transaction_read_only') = 'on' as read_only,
    current_setting('server_version_num')::int as version,
    case when not pg_is_in_recovery() then
      (select system_identifier::text from pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
    end as life`
type Opening = { standby: boolean; read_only: boolean; version: number; life: ServerLife | null }

/** Opens a session, or throws DatabaseUnavailable: not reachable, too old, a standby, or set to read only. */
export async function openSession(options: SessionOptions): Promise<Session> {
  let onLoss = (): void => {}
  const driver = openSql(
    options.url,
    driverOptions(options, () => onLoss()),
  )
  try {
    const [server] = await driver.unsafe<Opening[]>(openingSql)
    if (server!.version < 140_000) throw new DatabaseUnavailable('too_old', 'PostgreSQL 14 or newer is needed')
    if (server!.standby || server!.life === null) throw new DatabaseUnavailable('standby', 'the server is a standby')
    if (server!.read_only) throw new DatabaseUnavailable('read_only', 'the server is set to read only')
    await driver.unsafe('set default_transaction_read_only = on')
    const reserved = await driver.reserve()
    const replyMsMax = options.replyMsMax ?? Math.max(limits.databaseReplyMsMax, options.statementMsMax ?? 0)
    const { session, lose } = guarded(driver, reserved, { life: server!.life, replyMsMax })
    onLoss = lose
    return session
  } catch (error) {
    await driver.end({ timeout: 0 })
    throw asDatabaseError(error)
  }
}

function driverOptions(
  options: SessionOptions,
  onclose: () => void,
): postgres.Options<Record<string, postgres.PostgresType>> {
  return {
    max: 1,
    fetch_types: false, // arrays are literals both ways, see pg-values.ts
    types: driverTypes as unknown as Record<string, postgres.PostgresType>,
    prepare: true,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: limits.databaseConnectSecondsMax,
    onnotice: () => {},
    onclose,
    connection: {
      application_name: options.applicationName,
      timezone: 'UTC',
      default_transaction_isolation: 'read committed', // what was locked is read by a later statement: DESIGN.md's order needs it
      statement_timeout: options.statementMsMax ?? limits.databaseStatementMsMax,
      lock_timeout: options.lockMsMax ?? limits.databaseLockMsMax,
      idle_in_transaction_session_timeout: limits.databaseIdleInTransactionMsMax,
      client_min_messages: 'warning',
      jit: 'off', // on by default where it is built in: compiling the plan of a batch took 0.8 s, running it 2 ms
      ...(options.synchronousCommit ? { synchronous_commit: options.synchronousCommit } : {}),
    },
  }
}

/** Puts the guard around a reserved connection; `lose` is called when the connection has closed. */
function guarded(
  driver: postgres.Sql,
  reserved: postgres.ReservedSql,
  { life, replyMsMax }: { life: ServerLife; replyMsMax: number },
) {
  const waiting = new Set<(error: DatabaseUnavailable) => void>()
  let loss: DatabaseUnavailable | undefined
  // Rearmed by each statement and each answer; while something waits and nothing comes, the server is taken for dead.
  const silence = setTimeout(
    () => waiting.size > 0 && giveUp('reply_timeout', `no answer for ${replyMsMax} ms`),
    replyMsMax,
  )
  silence.unref()

  function lose(code = 'CONNECTION_CLOSED', message = 'the connection to the database was lost'): void {
    if (loss) return
    loss = new DatabaseUnavailable(code, message)
    clearTimeout(silence)
    for (const reject of waiting) reject(loss)
    waiting.clear()
  }

  function giveUp(code: string, message: string): void {
    lose(code, message)
    void driver.end({ timeout: 0 })
  }

  function send<T>(statement: () => Promise<T>): Promise<T> {
    if (loss) return silent(Promise.reject(loss))
    if (waiting.size === 0) silence.refresh()
    const answer = new Promise<T>((resolve, reject) => {
      waiting.add(reject)
      const settle = (): void => {
        waiting.delete(reject)
        if (!loss) silence.refresh()
      }
      statement().then(
        (value) => {
          settle()
          resolve(value)
        },
        (error) => {
          settle()
          reject(asDatabaseError(error))
        },
      )
    })
    return silent(answer)
  }

  const session: Session = {
    run: <Row>(text: string, params: readonly Param[] = []) =>
      send(() => reserved.unsafe(text, params as never[], prepared)) as unknown as Promise<Rows<Row>>,
    life,
    script: (text) => send(async () => void (await reserved.unsafe(text))),
    get lost() {
      return loss !== undefined
    },
    get inFlight() {
      return waiting.size
    },
    abandon: giveUp,
    async close() {
      if (!loss) {
        reserved.release()
        await driver.end({ timeout: 1 })
      }
      lose('CONNECTION_ENDED', 'the session is closed')
      await driver.end({ timeout: 0 })
    },
  }
  return { session, lose }
}

const prepared = { prepare: true, simple: false }

function silent<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
