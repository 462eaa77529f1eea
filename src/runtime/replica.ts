// Data that every cell has. It is written at any cell: the row gets the next version and the cell's name, and an event of
// that cell's log tells the whole new row in the same transaction. The others read that log and apply it: of two writings
// the greater version wins, then the greater name, so that loss, repeats and any order end in the same rows everywhere.
// What is applied is not told again. Old rows, whose events are gone, are copied from a peer in pages.
import type { CellName } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { refused } from '../base/result.ts'
import type { Consumer } from './bus.ts'
import type { LogEvent } from './event-log.ts'
import { RefusedRequest } from './http.ts'
import { internalShopId } from './outbox.ts'
import type { PeerHandler } from './peers.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'
import type { Param } from './pg-values.ts'

/** A row as it travels: its columns as PostgreSQL writes them in JSON. */
export type ReplicaRow = { version: number; written_by: string; [column: string]: Json }
export type ReplicaKey = readonly (string | number)[]

/** One table that every cell has. */
export type ReplicaKind = {
  /** In messages and subjects. */
  name: string
  /** Of the events that tell of it. */
  type: string
  keyOf(row: ReplicaRow): ReplicaKey
  /** Before every key. */
  firstKey: ReplicaKey
  /** Answers `row`; its parameters are a key and a limit: the rows behind the key, in the order of their keys. */
  pageSql: string
  pageMax: number
  /** The row that an event of the cell's log tells; its data, unless said. */
  rowOf?(event: LogEvent, from: CellName): ReplicaRow
  /** Writes those rows that win over what is there. No key comes twice. Locks in the order that everybody does. */
  apply(session: Session, rows: readonly ReplicaRow[]): Promise<void>
  /** As cells of another zone are told: personal data never leaves its own. */
  withoutPersonal?(row: ReplicaRow): ReplicaRow
  /** Once they are committed, in the process that applied them. */
  applied?(rows: readonly ReplicaRow[]): void
}

const tellSql = `
  insert into runtime.events (shop_id, event_id, subject, subject_version, type, at, data)
  values (${internalShopId}, gen_random_uuid(), $1, 1, $2, clock_timestamp(), $3)`

/**
 * Appends the event of a row that this cell has written; the last statement of its transaction. Each writing is a subject of
 * its own: what orders them is the version, not the log, and one that cannot be applied holds no other up.
 */
export async function tellWritten(session: Session, { name, type, keyOf }: ReplicaKind, row: ReplicaRow) {
  const subject = `${name}:${keyOf(row).join(':')}@${row.version}:${row.written_by}`
  await session.run(tellSql, [subject, type, JSON.stringify(row)])
}

const wins = (one: ReplicaRow, over: ReplicaRow): boolean =>
  one.version > over.version || (one.version === over.version && one.written_by > over.written_by)

/** One row for each key: a statement cannot write a row twice. */
function winners({ keyOf }: ReplicaKind, rows: readonly ReplicaRow[]): ReplicaRow[] {
  const byKey = new Map<string, ReplicaRow>()
  for (const row of rows) {
    const key = JSON.stringify(keyOf(row))
    const other = byKey.get(key)
    if (!other || wins(row, other)) byKey.set(key, row)
  }
  return [...byKey.values()]
}

/** Applies what another cell's log tells. It is to run on a reader of that log, with position and inbox in our own database. */
export function replicaConsumer(from: CellName, kinds: readonly ReplicaKind[]): Consumer {
  const rowsOf = (kind: ReplicaKind, events: readonly LogEvent[]): ReplicaRow[] =>
    events
      .filter(({ type }) => type === kind.type)
      .map((event) => kind.rowOf?.(event, from) ?? (JSON.parse(event.data) as ReplicaRow))
  return {
    name: `replica from ${from}`,
    types: { names: new Set(kinds.map(({ type }) => type)), nouns: new Set() },
    isRepeatable: true,
    async apply(session, events) {
      for (const kind of kinds) {
        const rows = winners(kind, rowsOf(kind, events))
        if (rows.length > 0) await kind.apply(session, rows)
      }
    },
    applied(events) {
      for (const kind of kinds) notify(kind, rowsOf(kind, events))
    },
  }
}

function notify(kind: ReplicaKind, rows: readonly ReplicaRow[]): void {
  if (rows.length > 0) kind.applied?.(rows)
}

type PageRequest = { kind: string; after: ReplicaKey; limit: number }

/** Whether a cell may be told personal data. */
export type MayKnow = (cell: CellName) => boolean

/** How a peer that reads this cell's log is told an event. */
export const toldTo =
  (kinds: readonly ReplicaKind[], mayKnow: MayKnow) =>
  (to: CellName, event: LogEvent): LogEvent => {
    const less = kinds.find(({ type }) => type === event.type)?.withoutPersonal
    if (!less || mayKnow(to)) return event
    return { ...event, data: JSON.stringify(less(JSON.parse(event.data) as ReplicaRow)) }
  }

/** Answers the message `replica`: `{kind, after, limit}` is answered with `{rows}`, none when nothing is behind `after`. */
export function replicaHandler(
  database: Pick<Database, 'query'>,
  kinds: readonly ReplicaKind[],
  mayKnow: MayKnow,
): PeerHandler {
  return async (from, body) => {
    const request = body as unknown as PageRequest
    const kind = kinds.find(({ name }) => name === request.kind)
    if (!kind) throw new RefusedRequest(refused('invalid_body')) // of a later release, perhaps
    const limit = Math.max(1, Math.min(request.limit, kind.pageMax))
    const params: Param[] = [...request.after, limit]
    const found = await database.query<{ row: ReplicaRow }>(kind.pageSql, params)
    const { withoutPersonal } = kind
    return { rows: found.map(({ row }) => (withoutPersonal && !mayKnow(from) ? withoutPersonal(row) : row)) }
  }
}

/**
 * Takes over all that a peer has, as a cell must that begins, or whose position in the peer's log has expired. Safe at any
 * time, and again: only what wins is written. `call` sends the message `replica` to the peer.
 */
export async function copyReplica(
  call: (body: Json) => Promise<Json>,
  database: Pick<Database, 'transaction'>,
  kinds: readonly ReplicaKind[],
): Promise<void> {
  for (const kind of kinds) {
    for (let after: ReplicaKey | undefined = kind.firstKey; after; ) {
      const body = { kind: kind.name, after: [...after], limit: limits.replicaPageMax }
      const { rows } = (await call(body)) as { rows: ReplicaRow[] }
      if (rows.length > 0) await database.transaction((session) => kind.apply(session, winners(kind, rows)))
      notify(kind, rows)
      const last: ReplicaRow | undefined = rows.at(-1)
      after = last && kind.keyOf(last)
    }
  }
}
