// Consumers as an operator sees and steers them, through the database alone: the processes that run them heed it within
// `consumerWatchMs`. A rewound consumer reads again and applies only what its inbox does not know.
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import { oldestKeptSql } from './event-log.ts'
import { lockPosition, storePosition } from './inbox.ts'
import { type Lives, presentLife, seqInPresentLife } from './incarnation.ts'
import type { Database } from './pg.ts'
import { formatPosition, type Position, parsePosition } from './position.ts'

type ConsumerRow = Position & {
  name: string
  paused: boolean
  /** Events of it that stand in the dead letters. */
  dead: number
  updatedAt: Instant
  /** It reads this database's log; how far one of another cell's is behind is not known here, and told as 0. */
  isOwn: boolean
  /** At most so many events are still to be read. */
  lagEvents: number
  /** The age of the oldest event that is still to be read; 0 when there is none. */
  lagSeconds: number
}
export type ConsumerState = Omit<ConsumerRow, keyof Position> & { position: string }

const listSql = `
  select c.name, c.incarnation, c.seq, c.paused, c.dead, c.updated_at as "updatedAt", own.yes as "isOwn",
    case when own.yes then greatest(0, newest.seq - c.seq) else 0 end as "lagEvents",
    coalesce((select greatest(0, ceil(extract(epoch from clock_timestamp() - e.at)))
      from runtime.events e where own.yes and e.seq > c.seq order by e.seq limit 1), 0)::bigint as "lagSeconds"
  from runtime.consumers c
    cross join lateral (select exists (select from runtime.incarnation i where i.incarnation = c.incarnation) as yes) own,
    (select coalesce((select seq from runtime.events order by seq desc limit 1), 0) as seq) as newest
  where $1::text is null or c.name = $1
  order by c.name limit $2`

/** All consumers that have ever run here, by name. */
export async function listConsumers(database: Pick<Database, 'query'>): Promise<ConsumerState[]> {
  return (await database.query<ConsumerRow>(listSql, [null, limits.consumersMax])).map(stateOf)
}

export async function findConsumer(
  database: Pick<Database, 'query'>,
  name: string,
): Promise<ConsumerState | undefined> {
  const [row] = await database.query<ConsumerRow>(listSql, [name, 1])
  return row && stateOf(row)
}

const stateOf = ({ incarnation, seq, ...row }: ConsumerRow): ConsumerState => ({
  ...row,
  position: formatPosition({ incarnation, seq }),
})

const pauseSql = 'update runtime.consumers set paused = $2 where name = $1'

/** Nothing is applied any more once this has committed; what a process does ahead of its consumer ends within `consumerWatchMs`. False when there is no such consumer. */
export async function setPaused(
  database: Pick<Database, 'query' | 'transaction'>,
  name: string,
  paused: boolean,
): Promise<boolean> {
  return (await database.transaction((session) => session.run(pauseSql, [name, paused]))).count > 0
}

export type Rewind = {
  name: string
  /** A position as text, or `start`: the oldest event kept. */
  to: string
  /** Forward too: what is skipped is not applied. */
  force: boolean
}

/** Refused: `not_found`; `cursor_invalid` and `position_expired`; `position_ahead` of the consumer without force, and of the log always. */
export async function rewindConsumer(
  database: Pick<Database, 'query' | 'transaction'>,
  lives: Lives,
  { name, to, force }: Rewind,
): Promise<Outcome<{ from: number; to: number }>> {
  const wanted = to === 'start' ? 0 : seqOf(lives, to)
  if (wanted === 'unknown') return refused('cursor_invalid')
  const [oldest] = await database.query<{ seq: number }>(oldestKeptSql)
  if (to !== 'start' && wanted < oldest!.seq) return refused('position_expired')
  return database.transaction(async (session) => {
    const stored = await lockPosition(session, name)
    if (!stored) return refused('not_found')
    const seq = Math.max(wanted, oldest!.seq)
    const known = seqInPresentLife(lives, stored)
    const present = known === 'unknown' ? oldest!.seq : known
    const [newest] = await session.run<{ seq: number | null }>('select max(seq) as seq from runtime.events')
    if (seq > present && (!force || seq > (newest!.seq ?? 0))) return refused('position_ahead')
    const { incarnation } = presentLife(lives)
    // What it had seen in the life that was left does not count in this one, as when it finds out for itself.
    if (stored.incarnation !== incarnation)
      await session.run('delete from runtime.inbox_subjects where consumer = $1', [name])
    await storePosition(session, name, { incarnation, seq })
    return accepted({ from: present, to: seq })
  })
}

function seqOf(lives: Lives, text: string): number | 'unknown' {
  const position = parsePosition(text)
  return position ? seqInPresentLife(lives, position) : 'unknown'
}
