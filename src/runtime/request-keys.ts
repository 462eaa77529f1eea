// Idempotency keys of requests that no engine decides: those of operators. What such a request does is the same when it is done
// twice at once, so its key is remembered after it; a key that comes later does nothing any more. A refusal leaves no key.
import { limits } from '../base/limits.ts'
import { type Outcome, refused, replayed } from '../base/result.ts'
import type { KeyHashes } from './idempotency.ts'
import type { Database } from './pg.ts'

type KeyDatabase = Pick<Database, 'query' | 'transaction'>
type Keyed = { shopId: number; key: KeyHashes }

const findSql = 'select request, answer from runtime.request_keys where shop_id = $1 and hash = $2'
const rememberSql = `
  insert into runtime.request_keys (shop_id, hash, request, answer) values ($1, $2, $3, $4)
  on conflict (shop_id, hash) do nothing`
const forgetSql = `
  delete from runtime.request_keys where (shop_id, hash) in (
    select shop_id, hash from runtime.request_keys
    where at < clock_timestamp() - $1 * interval '1 day' order by at limit $2)`

/** Does it, unless the key has: then what was answered. Refused: `idempotency_key_reused`, and whatever `work` refuses. */
export async function once(
  database: KeyDatabase,
  { shopId, key }: Keyed,
  work: () => Promise<Outcome<string>>,
): Promise<Outcome<string>> {
  const [earlier] = await database.query<{ request: string; answer: string }>(findSql, [shopId, key.hash])
  if (earlier) return earlier.request === key.request ? replayed(earlier.answer) : refused('idempotency_key_reused')
  const done = await work()
  if (done.ok)
    await database.transaction((session) => session.run(rememberSql, [shopId, key.hash, key.request, done.value]))
  return done
}

/** Of some days ago; the rest at the next turn. */
export async function forgetRequestKeys(database: Pick<Database, 'transaction'>): Promise<void> {
  const bounds = [limits.requestKeyDaysKept, limits.requestKeysForgottenMax]
  await database.transaction((session) => session.run(forgetSql, bounds))
}
