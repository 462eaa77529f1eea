// The retry table: what a failed statement means for whoever sent it. Errors of the driver and of the server become one
// of two shapes, without the statement's parameters, which may be personal data.

/**
 * - `rerun`: the transaction was rolled back and may succeed unchanged.
 * - `reconnect`: the session is gone or useless; open another (a writable primary), reload everything, then rerun.
 * - `fail`: the same statement would fail again: a refusal by a constraint, or our bug.
 */
export type FailureClass = 'rerun' | 'reconnect' | 'fail'

/** The database cannot be reached, or the session was lost. */
export class DatabaseUnavailable extends Error {
  override readonly name: string = 'DatabaseUnavailable'
  readonly failureClass = 'reconnect'
  readonly code: string
  /** The loss came after COMMIT was sent and before its answer: nobody knows. */
  readonly mayHaveHappened: boolean

  constructor(code: string, message: string, mayHaveHappened = false) {
    super(message)
    this.code = code
    this.mayHaveHappened = mayHaveHappened
  }
}

/** The server answered a statement with an error. */
export class StatementFailed extends Error {
  override readonly name = 'StatementFailed'
  readonly failureClass: 'rerun' | 'fail'
  /** SQLSTATE, or `ROLLED_BACK` when COMMIT did not commit. */
  readonly code: string
  readonly constraint: string | undefined
  readonly table: string | undefined

  constructor(failureClass: 'rerun' | 'fail', code: string, message: string, constraint?: string, table?: string) {
    super(message)
    this.failureClass = failureClass
    this.code = code
    this.constraint = constraint
    this.table = table
  }
}

type DriverError = {
  code?: unknown
  message?: unknown
  routine?: string
  constraint_name?: string
  table_name?: string
}

/** SQLSTATEs and driver codes by class; a whole SQLSTATE class by its two characters. Everything else is `fail`. */
const table: Record<string, FailureClass> = {
  '40001': 'rerun', // serialization_failure
  '40P01': 'rerun', // deadlock_detected: locks are taken in sorted order, so this is somebody else's hand
  '55P03': 'rerun', // lock_not_available: lock_timeout
  '53100': 'rerun', // disk_full: of a statement; in the middle of the WAL the server goes down instead
  '53200': 'rerun', // out_of_memory
  '08': 'reconnect', // connection exceptions
  '57P01': 'reconnect', // admin_shutdown
  '57P02': 'reconnect', // crash_shutdown
  '57P03': 'reconnect', // cannot_connect_now: starting up, or stopping
  '57P05': 'reconnect', // idle_session_timeout
  '25P03': 'reconnect', // idle_in_transaction_session_timeout
  '25P04': 'reconnect', // transaction_timeout
  '53300': 'reconnect', // too_many_connections
  '26000': 'reconnect', // a prepared statement is gone: somebody reset the session
  CONNECTION_CLOSED: 'reconnect',
  CONNECTION_ENDED: 'reconnect',
  CONNECTION_DESTROYED: 'reconnect',
  CONNECT_TIMEOUT: 'reconnect',
  ECONNREFUSED: 'reconnect',
  ECONNRESET: 'reconnect',
  ECONNABORTED: 'reconnect',
  EPIPE: 'reconnect',
  ENOENT: 'reconnect', // the Unix socket of a stopped server
  ENOTCONN: 'reconnect',
  ETIMEDOUT: 'reconnect',
  EHOSTUNREACH: 'reconnect',
  EHOSTDOWN: 'reconnect',
  ENETUNREACH: 'reconnect',
  ENETDOWN: 'reconnect',
  ENOTFOUND: 'reconnect',
  EAI_AGAIN: 'reconnect',
}

export function failureClass(error: unknown): FailureClass {
  if (error instanceof DatabaseUnavailable || error instanceof StatementFailed) return error.failureClass
  const { code, routine } = (error ?? {}) as DriverError
  if (typeof code !== 'string') return 'fail'
  if (code === '0A000') {
    // feature_not_supported is our bug, save for two: a plan gone stale under DDL, and `begin read write` on a standby.
    return routine === 'RevalidateCachedQuery' || routine === 'call_bool_check_hook' ? 'reconnect' : 'fail'
  }
  return table[code] ?? table[code.slice(0, 2)] ?? 'fail'
}

/** The uniform shape of whatever the driver threw; what is no database error passes through. */
export function asDatabaseError(error: unknown): unknown {
  if (error instanceof DatabaseUnavailable || error instanceof StatementFailed) return error
  const { code, message, constraint_name, table_name } = (error ?? {}) as DriverError
  if (!(error instanceof Error) || typeof code !== 'string') return error
  const kind = failureClass(error)
  if (kind === 'reconnect') return new DatabaseUnavailable(code, String(message))
  return new StatementFailed(kind, code, String(message), constraint_name, table_name)
}

/** Whether a unique or exclusion constraint refused the statement; of this name, when one is given. */
export function isUniqueViolation(error: unknown, constraint?: string): error is StatementFailed {
  if (!(error instanceof StatementFailed)) return false
  if (error.code !== '23505' && error.code !== '23P01') return false
  return constraint === undefined || error.constraint === constraint
}
