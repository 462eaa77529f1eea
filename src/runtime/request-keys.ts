// Idempotency keys of requests that no engine decides: those of operators. The key is taken before the work and has its answer
// after it; who comes meanwhile waits. What such a request does is the same when it is done twice, so that a key whose process
// has died may be taken again by the same request. A refusal leaves no key.
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type Outcome, refused, replayed } from '../base/result.ts'
import type { KeyHashes } from './idempotency.ts'
import type { Database } from './pg.ts'

type KeyDatabase = Pick<Database, 'query' | 'transaction'>
type Keyed = { shopId: number; key: KeyHashes }

const findSql = 'select request, answer from runtime.request_keys where shop_id = $1 and hash = $2'
const takeSql = `
  insert into runtime.request_keys as held (shop_id, hash, request) values ($1, $2, $3)
  on conflict (shop_id, hash) do update set at = clock_timestamp()
    where held.answer is null and held.request = excluded.request
      and held.at < clock_timestamp() - $4 * interval '1 millisecond'
  returning true as taken`
const answerSql = 'update runtime.request_keys set answer = $3 where shop_id = $1 and hash = $2 and answer is null'
const giveBackSql = 'delete from runtime.request_keys where shop_id = $1 and hash = $2 and answer is null'
const forgetSql = `
  delete from runtime.request_keys where (shop_id, hash) in (
    select shop_id, hash from runtime.request_keys
    where at < clock_timestamp() - $1 * interval '1 day' order by at limit $2)`

/**
 * Does it, unless the key has: then what was answered. Refused: `idempotency_key_reused`, `idempotency_key_in_flight`, and
 * whatever `work` refuses.
 */
export async function once(
  database: KeyDatabase,
  keyed: Keyed,
  work: () => Promise<Outcome<string>>,
): Promise<Outcome<string>> {
  const { shopId, key } = keyed
  for (let polls = 0; polls <= limits.requestKeyPollsMax; polls++) {
    if (polls > 0) await delay(limits.requestKeyPollMs)
    const [earlier] = await database.query<{ request: string; answer: string | null }>(findSql, [shopId, key.hash])
    if (earlier && earlier.request !== key.request) return refused('idempotency_key_reused')
    if (earlier && earlier.answer !== null) return replayed(await heldBack(database, keyed, earlier.answer))
    if (await take(database, keyed)) return workTaken(database, keyed, work)
  }
  return refused('idempotency_key_in_flight')
}

/** An answer that was committed a moment ago, and may not leave a `geo` cell yet: an empty write waits as it does. */
async function heldBack(database: KeyDatabase, keyed: Keyed, answer: string): Promise<string> {
  await take(database, keyed)
  return answer
}

async function take(database: KeyDatabase, { shopId, key }: Keyed): Promise<boolean> {
  const params = [shopId, key.hash, key.request, limits.requestKeyMsLeft]
  const rows = await database.transaction((session) => session.run(takeSql, params))
  return rows.length > 0
}

async function workTaken(
  database: KeyDatabase,
  { shopId, key }: Keyed,
  work: () => Promise<Outcome<string>>,
): Promise<Outcome<string>> {
  const giveBack = () => database.transaction((session) => session.run(giveBackSql, [shopId, key.hash]))
  let done: Outcome<string>
  try {
    done = await work()
  } catch (error) {
    await giveBack().catch(() => {}) // the fault of the work is told; the key is free when its time is over
    throw error
  }
  if (!done.ok) {
    await giveBack()
    return done
  }
  const { value } = done
  await database.transaction((session) => session.run(answerSql, [shopId, key.hash, value]))
  return done
}

/** Of some days ago; the rest at the next turn. */
export async function forgetRequestKeys(database: Pick<Database, 'transaction'>): Promise<void> {
  const bounds = [limits.requestKeyDaysKept, limits.requestKeysForgottenMax]
  await database.transaction((session) => session.run(forgetSql, bounds))
}
