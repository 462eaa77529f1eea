// Whether this cell may sell. A database that has gone back to an earlier state (a backup, a standby that was behind) may hold
// units that are gone and lack orders that were answered: it is frozen until it has been compared with what others know of it.
// Frozen it takes no commands, tells and asks nobody, and serves reads.
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Durability, Topology } from '../base/topology.ts'
import type { Clock } from './clock.ts'
import { every } from './every.ts'
import { declareRestored, ensureIncarnation } from './incarnation.ts'
import type { ConsumedLog } from './logreader.ts'
import type { Database } from './pg.ts'
import { DatabaseUnavailable } from './pg-failure.ts'

/** It was not begun, or was begun in a life before this one, and then `mayHaveHappened`. */
export class CellFrozen extends DatabaseUnavailable {
  override readonly name = 'CellFrozen'

  constructor(mayHaveHappened: boolean) {
    super('cell_frozen', 'the cell is frozen until it is reconciled', mayHaveHappened)
  }
}

/** It hears no other cell, and its topology says that it stops then. Nothing was begun. */
export class CellIsolated extends DatabaseUnavailable {
  override readonly name = 'CellIsolated'

  constructor() {
    super('cell_isolated', 'the cell hears no other', false)
  }
}

export type FrozenWhy = 'system' | 'timeline' | 'operator' | 'peers' | 'claimed_twice'
export type Frozen = { since: Instant; why: FrozenWhy; compared: readonly CellName[] }

type FrozenRow = { since: Instant | null; why: FrozenWhy; compared: CellName[] }

const readSql = `
  select frozen_since as since, frozen_why as why, to_json(compared) as compared from runtime.standing`

/** Undefined: it sells. */
export async function readFrozen(database: Pick<Database, 'query'>): Promise<Frozen | undefined> {
  const [row] = await database.query<FrozenRow>(readSql)
  return row?.since ? { ...row, since: row.since } : undefined
}

/** Ended by hand, once it is known what others know. */
export const thaw = (database: Database): Promise<void> =>
  database.transaction(async (session) => {
    await session.run(`update runtime.standing set frozen_since = null, frozen_why = null, compared = '{}'`)
  })

export type Standing = {
  readonly frozen: Frozen | undefined
  /** False while the database has not answered for long: whoever asks this cell for anything would wait in vain. */
  isWell(): boolean
  /** To be awaited on every new session that commands run on: another server may have taken over. */
  look(): Promise<void>
  /**
   * Marks the database with what the cell promises from now on, by which its copies know whether they lack something. False
   * when another topology is stored by now, and nothing was done.
   */
  promise(durability: Durability, topology: Pick<Topology, 'version' | 'by'>): Promise<boolean>
  /** Resolves when it may sell, or the signal aborts. */
  thawed(signal: AbortSignal): Promise<void>
  noteCompared(peer: CellName): Promise<void>
  /** Another cell knows of units that this one has never sent. */
  foundSetBack(): Promise<void>
  /** The others follow a later life of this cell than `ours`. */
  foundClaimed(ours: string): Promise<void>
  stop(): Promise<void>
}

/** A log that nobody consumes while the cell is frozen: what it asked for may have been done, or taken back. */
export const heldWhileFrozen = (log: ConsumedLog, { thawed }: Pick<Standing, 'thawed'>): ConsumedLog =>
  Object.assign(Object.create(log) as ConsumedLog, {
    async ready(signal: AbortSignal) {
      await thawed(signal)
      await log.ready?.(signal)
    },
  } satisfies Pick<ConsumedLog, 'ready'>)

const storedSql = 'select from runtime.topology where version = $1 and made_by = $2 for share'
const promiseSql = 'update runtime.standing set durability = $1 where durability <> $1'

export type StandingOptions = {
  /** Not behind the gate: it shuts where this is needed most. */
  database: Database
  clock: Pick<Clock, 'sleep' | 'elapsedMs'>
  onChange(frozen: Frozen | undefined): void
  onError(error: unknown): void
}

/** Keeps it known. Looks at the database's life first. */
export async function keepStanding(options: StandingOptions): Promise<Standing> {
  const { database, clock, onChange, onError } = options
  let frozen: Frozen | undefined
  let answeredMs = clock.elapsedMs()

  async function look(): Promise<void> {
    const found = await readFrozen(database)
    answeredMs = clock.elapsedMs()
    const isNew = found?.since !== frozen?.since
    frozen = found
    if (isNew) onChange(found)
  }

  async function write(text: string, params: string[]): Promise<void> {
    await database.transaction(async (session) => void (await session.run(text, params)))
    await look()
  }

  await ensureIncarnation(database)
  await look()
  const looking = every(limits.standingLookMs, look, onError)
  return {
    get frozen() {
      return frozen
    },
    isWell: () => clock.elapsedMs() - answeredMs <= limits.databaseSilentMsMax,
    async look() {
      await ensureIncarnation(database)
      await look()
    },
    promise: (durability, { version, by }) =>
      database.transaction(async (session) => {
        // Locked, so that who stores the next one marks after this.
        const stored = await session.run(storedSql, [version, by])
        if (stored.length > 0) await session.run(promiseSql, [durability])
        return stored.length > 0
      }),
    async thawed(signal) {
      while (frozen && !signal.aborted) await clock.sleep(limits.standingLookMs, signal)
    },
    noteCompared: (peer) =>
      write(
        `update runtime.standing set compared = array_append(compared, $1) where frozen_since is not null and not $1 = any (compared)`,
        [peer],
      ),
    async foundSetBack() {
      await declareRestored(database, { why: 'peers', cutOff: true })
      await look()
    },
    async foundClaimed(ours) {
      const lives = await ensureIncarnation(database)
      if (lives.at(-1)?.incarnation !== ours) return // this process had not heard yet that its server was replaced
      await write(
        `update runtime.standing set frozen_since = clock_timestamp(), frozen_why = $1, compared = '{}' where frozen_since is null`,
        ['claimed_twice'],
      )
    },
    stop: () => looking.stop(),
  }
}
