// What was dropped: the letter as it was, why, and by which key.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { DeadLetter } from './types.ts'

const keepSql = `
  insert into deadletters.dropped (shop_id, id, letter, reason, key_id) values ($1, $2, $3, $4, $5) returning number`
const forgetSql = 'delete from deadletters.dropped where number = $1'
const listSql = `
  select number, letter, reason, dropped_at as "droppedAt", key_id as "droppedBy" from deadletters.dropped
  where shop_id = $1 and ($2::bigint is null or number < $2) order by number desc limit $3`

export type Drop = { shopId: ShopId; letter: DeadLetter; reason: string; keyId: Uuid | null }

/** Answers the number of the record. */
export async function keepDrop(
  database: Pick<Database, 'transaction'>,
  { shopId, letter, reason, keyId }: Drop,
): Promise<number> {
  const params = [shopId, letter.id, JSON.stringify(letter), reason, keyId]
  const [row] = await database.transaction((session) => session.run<{ number: number }>(keepSql, params))
  return row!.number
}

/** Of a drop that did not come about. */
export const forgetDrop = (database: Pick<Database, 'transaction'>, number: number) =>
  database.transaction((session) => session.run(forgetSql, [number]))

export type DropRecord = {
  number: number
  letter: DeadLetter
  reason: string
  droppedAt: Instant
  droppedBy: Uuid | null
}

/** Newest first. */
export const listDrops = (
  database: Pick<Database, 'query'>,
  shopId: ShopId,
  { before, limit }: { before: number | null; limit: number },
) => database.query<DropRecord>(listSql, [shopId, before, limit])
