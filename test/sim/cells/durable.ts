// What of a cell survives its processes: the tables, how far it has read the others' logs, and whether it may sell. Each change is
// also sent to a standby elsewhere, which applies it later; what had not come there when a region is lost is lost with it.
import type { CellName, Uuid } from '../../../src/base/ids.ts'
import type { Instant } from '../../../src/base/time.ts'
import type { MemoryCommit, MemoryDatabase, MemoryTables } from '../../../src/modules/orders/memory-database.ts'
import type { StockRowId } from '../../../src/modules/stock/types.ts'
import type { Frozen } from '../../../src/runtime/standing.ts'
import type { System } from '../system.ts'

/** A place in the log of one life of a cell. */
export type LogPosition = { life: Uuid; seq: number }

export type Durable = {
  database: MemoryDatabase
  positions: Map<CellName, LogPosition>
  life: Uuid
  frozen: Frozen | undefined
}

export type Change = (durable: Durable) => void

export const changeOf =
  (system: System, commit: MemoryCommit): Change =>
  ({ database: { tables } }) =>
    system.publish(
      tables,
      commit,
      commit.rows.filter(({ id }) => !tables.rows.has(id)),
    )

/** Rows, orders and the like are replaced when they change, so that a copy may share them. */
export function copyOf(durable: Durable, createDatabase: () => MemoryDatabase): Durable {
  const { tables } = durable.database
  const database = createDatabase()
  for (const name of Object.keys(tables) as (keyof MemoryTables)[]) {
    const table = tables[name]
    const copy = Array.isArray(table)
      ? [...table]
      : table instanceof Map
        ? new Map<unknown, unknown>(table)
        : new Set<unknown>(table)
    Object.assign(database.tables, { [name]: copy })
  }
  return { ...durable, database, positions: new Map(durable.positions) }
}

/** As a server finds them when it starts on these tables. */
export function countOn({ database }: Durable): void {
  database.lastSeq = database.tables.events.at(-1)?.seq ?? 0
  database.lastRowId = [...database.tables.rows.keys()].reduce<number>((max, id: StockRowId) => Math.max(max, id), 0)
}

/** `since` is the true time. */
export const frozenFor = (why: Frozen['why'], since: number): Frozen => ({ since: since as Instant, why, compared: [] })

export type Standby = ReturnType<typeof createStandby>

/** A copy that follows: each change is applied `lagMs` after it was made, in their order. */
export function createStandby(copy: Durable, lsn: number, { now, lagMs }: { now(): number; lagMs: () => number }) {
  const coming: { lsn: number; at: number; change: Change }[] = []
  let flushed = lsn
  let stalledUntil = 0
  let lastAt = 0

  function catchUp(): void {
    while (coming.length > 0 && coming[0]!.at <= now()) {
      const { lsn, change } = coming.shift()!
      change(copy)
      flushed = lsn
    }
  }

  return {
    send(lsn: number, change: Change): void {
      lastAt = Math.max(lastAt, now() + lagMs(), stalledUntil)
      coming.push({ lsn, at: lastAt, change })
    },
    /** Nothing comes, and nothing is heard of it, for so long. */
    stall(ms: number): void {
      catchUp()
      stalledUntil = Math.max(stalledUntil, now() + ms)
      for (const one of coming) one.at = Math.max(one.at, stalledUntil)
    },
    /** The last change that it has; null while it is not heard. */
    flushed(): number | null {
      if (now() < stalledUntil) return null
      catchUp()
      return flushed
    },
    /** All that has come. */
    promote(): Durable {
      catchUp()
      return copy
    },
  }
}
