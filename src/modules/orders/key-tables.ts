// Where idempotency keys live: two small young tables that change places, and a ring of generations of four days. Keys are
// random, and in a large index each would touch a page of its own; so they are written to the young table, whose index is
// small, and carried over to the present generation sorted, many of them a page. Safe to run in every process at once.
import type { ShopId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import type { KeyRow } from './batch-state.ts'
import { generationTables, keyRowOf, keysLock, lookUpKeys, shareKeys, youngTables } from './store.ts'

const lockKeysSql = `select pg_advisory_xact_lock(${keysLock})`

type Keys = readonly { shopId: ShopId; hash: string }[]

/** What commands with these keys have made, and in which cell, under the lock that keeps keys in their places. */
export const findKeys = (database: Pick<Database, 'transaction'>, keys: Keys): Promise<KeyRow[]> =>
  database.transaction(async (session) => {
    await shareKeys(session)
    return (await lookUpKeys(session, keys)).map(keyRowOf)
  })

export const findKey = async (
  database: Pick<Database, 'transaction'>,
  shopId: ShopId,
  hash: string,
): Promise<KeyRow | undefined> => (await findKeys(database, [{ shopId, hash }]))[0]

/** What it changes is seen by every batch that begins to look things up, and by none that did before: those have ended. */
export const betweenBatches = (
  database: Pick<Database, 'transaction'>,
  work: (session: Session) => Promise<unknown>,
): Promise<void> =>
  database.transaction(async (session) => {
    await session.run(lockKeysSql)
    await work(session)
  })

const generationSql = `
  select generation, started_at <= clock_timestamp() - $1 * interval '1 millisecond' as over from orders.key_generation`
const nextGenerationSql = 'update orders.key_generation set generation = $1, started_at = clock_timestamp()'

/** When the present generation's time is over, empties the oldest table of the ring and makes it the present one. */
export async function rotateKeys(database: Database, generationMs: number = limits.keyGenerationMs): Promise<boolean> {
  const [seen] = await database.query<{ over: boolean }>(generationSql, [generationMs])
  if (!seen?.over) return false
  return database.transaction(async (session) => {
    await session.run(lockKeysSql)
    const [current] = await session.run<{ generation: number; over: boolean }>(generationSql, [generationMs])
    if (!current?.over) return false // another process was first
    const next = (current.generation + 1) % generationTables.length
    await session.run(`truncate ${generationTables[next]}`)
    await session.run(nextGenerationSql, [next])
    return true
  })
}

const youngSql = `
  select turns, pg_relation_size('orders.keys_young_0') as bytes_0, pg_relation_size('orders.keys_young_1') as bytes_1
  from orders.key_generation`
const turnSql = 'update orders.key_generation set turns = turns + 1 where turns = $1 returning turns'

type Young = { turns: number; bytes_0: number; bytes_1: number }
const bytesOf = (young: Young, turns: number): number => (turns % 2 === 0 ? young.bytes_0 : young.bytes_1)
const youngTableAt = (turns: number): string => youngTables[turns % youngTables.length]!

type CarryOptions = { youngBytesMax?: number; pauseShare?: number; signal?: AbortSignal }

/**
 * When the young table has grown to `youngBytesMax`, puts the empty one in its place and carries its keys over. What an earlier run
 * has left half done is done first. Resolves with how many keys were carried over.
 */
export async function carryKeysOver(
  database: Database,
  clock: Clock,
  { youngBytesMax = limits.youngKeysBytesMax, pauseShare = limits.carryPauseShare, signal }: CarryOptions = {},
): Promise<number> {
  const [young] = await database.query<Young>(youngSql)
  if (!young) return 0
  const hasRest = bytesOf(young, young.turns - 1) > 0
  if (!hasRest && bytesOf(young, young.turns) < youngBytesMax) return 0
  const turns = hasRest ? young.turns : await turn(database, young.turns)
  return turns === null ? 0 : carryOver(database, clock, turns, { pauseShare, signal })
}

/** The batches under way hold a share of the lock: when it is ours, none of them writes to the old young table any more. */
function turn(database: Database, turns: number): Promise<number | null> {
  return database.transaction(async (session) => {
    await session.run(lockKeysSql)
    const [moved] = await session.run<{ turns: number }>(turnSql, [turns])
    return moved?.turns ?? null // another process was first
  })
}

type Place = { shop_id: number; hash: string }

const carrySql = (from: string, to: string) => `
  with slice as materialized (
    select * from ${from} where (shop_id, hash) > ($1::integer, $2::uuid) order by shop_id, hash limit $3
  ), carried as (
    insert into ${to} (shop_id, hash, request, result_id, taken_by)
    select shop_id, hash, request, result_id, taken_by from slice order by shop_id, hash on conflict do nothing returning 1
  )
  select shop_id, hash, (select count(*) from carried) as carried from slice order by shop_id desc, hash desc limit 1`

/** In slices, each followed by a pause in proportion. A key stands in both tables until the old one is emptied. */
async function carryOver(
  database: Database,
  clock: Clock,
  turns: number,
  { pauseShare, signal }: { pauseShare: number; signal: AbortSignal | undefined },
): Promise<number> {
  let place: Place | null = { shop_id: 0, hash: '00000000-0000-0000-0000-000000000000' }
  let carried = 0
  while (place !== null) {
    if (signal?.aborted) return carried // what is left is carried over by the next run
    const startedAt = clock.elapsedMs()
    const from: Place = place
    const slice: (Place & { carried: number }) | null = await database.transaction((session) =>
      carrySlice(session, turns, from),
    )
    carried += slice?.carried ?? 0
    place = slice
    await clock.sleep((clock.elapsedMs() - startedAt) * pauseShare, signal)
  }
  await database.transaction((session) => emptyOld(session, turns))
  return carried
}

async function carrySlice(session: Session, turns: number, { shop_id, hash }: Place) {
  const [current] = await session.run<{ generation: number }>('select generation from orders.key_generation for share')
  const [from, to] = [youngTableAt(turns - 1), generationTables[current!.generation]!]
  const [last] = await session.run<Place & { carried: number }>(carrySql(from, to), [
    shop_id,
    hash,
    limits.carriedKeysMax,
  ])
  return last ?? null
}

/** Unless the tables have changed places again meanwhile: then it was another process that carried over and emptied. */
async function emptyOld(session: Session, turns: number): Promise<void> {
  await session.run(lockKeysSql)
  const [young] = await session.run<{ turns: number }>('select turns from orders.key_generation')
  if (young!.turns === turns) await session.run(`truncate ${youngTableAt(turns - 1)}`)
}
