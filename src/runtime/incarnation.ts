// Which life of this database it is. A restore, a copy or a promotion begins a new one before the first command runs in it,
// so that whoever counts positions in an earlier life finds out instead of skipping what that life never had. A life that may have
// lost something begins frozen (standing.ts).

import { present } from '../base/assert.ts'
import type { Uuid } from '../base/ids.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'
import type { Position } from './position.ts'

/** `beganAfterSeq`: what was given out up to here is shared with the life before. */
export type Life = { incarnation: Uuid; beganAfterSeq: number }

/** All lives that this database knows of, the present one last; never empty. */
export type Lives = readonly Life[]

// The timeline comes from the name of the WAL file being written: pg_control_checkpoint() shows the old one until the first
// checkpoint after a promotion. Neither function needs a privilege. System identifiers are unsigned and compared as text.
const identitySql = `
  select system_identifier::text as system_identifier,
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as timeline
  from pg_control_system()`

// A promoted standby of a `geo` cell has all that was ever answered; any other server may have gone back.
const freezeSql = `
  update runtime.standing set frozen_since = clock_timestamp(), frozen_why = $1, compared = '{}'
  where durability = 'local' or $1 <> 'timeline'`

const endOthersSql = `
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`

type Rebirth = 'system' | 'timeline' | 'operator' | 'peers'

type StoredLife = Life & { system_identifier: string; timeline: number }

const livesSql = `
  select incarnation, began_after_seq as "beganAfterSeq", system_identifier, timeline from runtime.incarnation order by number`

const beginLifeSql = `
  insert into runtime.incarnation (system_identifier, timeline, began_after_seq, reason)
  select $1, $2, case when is_called then last_value else 0 end, $3 from runtime.event_seq`

/**
 * The lives of this database, after a new one was begun if the server is not the one of the last life. To be awaited before
 * the first command of a process, and again after each lost connection, since the server behind the address may have changed.
 */
export async function ensureIncarnation(database: Database): Promise<Lives> {
  return database.transaction(async (session) => {
    await lockLives(session)
    const now = await identityOf(session)
    const last = (await session.run<StoredLife>(livesSql)).at(-1)
    if (!last) await session.run(beginLifeSql, [now.system_identifier, now.timeline, 'created'])
    else if (last.system_identifier !== now.system_identifier) await beginFrozen(session, now, 'system')
    else if (last.timeline !== now.timeline) await beginFrozen(session, now, 'timeline')
    return readLives(session)
  })
}

/**
 * For an operator who has put files of this very server back in place, which no identifier shows, and for a cell whose peers know
 * more of it than it does. Where somebody serves, `cutOff` ends every other session of this database, so that he finds out when he
 * opens them anew.
 */
export async function declareRestored(
  database: Database,
  { why = 'operator', cutOff = false }: { why?: 'operator' | 'peers'; cutOff?: boolean } = {},
): Promise<Lives> {
  return database.transaction(async (session) => {
    await lockLives(session)
    await beginFrozen(session, await identityOf(session), why)
    if (cutOff) await session.run(endOthersSql)
    return readLives(session)
  })
}

type Identity = { system_identifier: string; timeline: number }

async function identityOf(session: Session): Promise<Identity> {
  const [server] = await session.run<Identity>(identitySql)
  return present(server, 'the identity of the server')
}

async function beginFrozen(session: Session, { system_identifier, timeline }: Identity, why: Rebirth): Promise<void> {
  await session.run(beginLifeSql, [system_identifier, timeline, why])
  await session.run(freezeSql, [why])
}

const lockLives = (session: Session) => session.run(`select pg_advisory_xact_lock(hashtext('holdfast.incarnation'))`)

/** As they are stored, for whoever serves nothing and so begins none. */
export async function knownLives(database: Pick<Database, 'query'>): Promise<Lives> {
  return livesOf(await database.query<StoredLife>(livesSql))
}

const readLives = async (session: Session): Promise<Lives> => livesOf(await session.run<StoredLife>(livesSql))

const livesOf = (rows: readonly StoredLife[]): Lives =>
  rows.map(({ incarnation, beganAfterSeq }) => ({ incarnation, beganAfterSeq }))

export const presentLife = (lives: Lives): Life => present(lives.at(-1), 'the present life')

/**
 * Where a position of any life stands in the present one: what an earlier life gave out after it was left never happened
 * here, so a reader goes back to where the ways parted. `unknown` when this database never lived that life.
 */
export function seqInPresentLife(lives: Lives, position: Position): number | 'unknown' {
  const at = lives.findIndex((life) => life.incarnation === position.incarnation)
  if (at < 0) return 'unknown'
  return Math.min(position.seq, ...lives.slice(at + 1).map((life) => life.beganAfterSeq))
}
