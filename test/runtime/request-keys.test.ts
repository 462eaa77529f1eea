// One key, many requests: the work is done once, whoever comes meanwhile waits for its answer, and a refusal leaves no key.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { accepted, type Outcome, refused } from '../../src/base/result.ts'
import { once } from '../../src/runtime/request-keys.ts'
import { createEventLog, type EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'

let log: EventLog
beforeAll(async () => {
  log = await createEventLog()
})
afterAll(() => log.database.close())

const aKey = (request = 'this') => ({ shopId: 1, key: { hash: randomBytes(16).toString('hex'), request } })
type Keyed = ReturnType<typeof aKey>
const other = ({ shopId, key }: Keyed): Keyed => ({ shopId, key: { ...key, request: 'another' } })

/** Work that ends when it is told to. */
function held() {
  const ends: ((outcome: Outcome<string>) => void)[] = []
  return {
    ends,
    work: () => new Promise<Outcome<string>>((resolve) => ends.push(resolve)),
    begun: () => eventually(async () => ends.length === 1),
  }
}

test('of two at once one does it, and the other answers the same', async () => {
  const keyed = aKey()
  const { ends, work, begun } = held()
  const both = [once(log.database, keyed, work), once(log.database, keyed, work)]
  await begun()
  expect(await once(log.database, other(keyed), work)).toMatchObject({ ok: false, code: 'idempotency_key_reused' })
  ends[0]!(accepted('did it'))
  const outcomes = await Promise.all(both)
  expect(outcomes).toMatchObject([
    { ok: true, value: 'did it' },
    { ok: true, value: 'did it' },
  ])
  expect(outcomes.filter((one) => one.ok && one.replayed)).toHaveLength(1)
  expect(ends).toHaveLength(1)
})

test('whoever waited for one that was refused, or has failed, does it itself', async () => {
  for (const end of ['refused', 'failed'] as const) {
    const keyed = aKey()
    const { ends, work, begun } = held()
    const first = once(log.database, keyed, async () => {
      const outcome = await work()
      if (end === 'failed') throw new Error('broken')
      return outcome
    }).catch((error: Error) => error.message)
    await begun()
    const second = once(log.database, keyed, async () => accepted('did it'))
    ends[0]!(refused('not_found'))
    expect(await first).toEqual(end === 'failed' ? 'broken' : refused('not_found'))
    expect(await second).toEqual(accepted('did it'))
  }
})

test('a key under way is refused in the end, and free for the same request when its process must have died', async () => {
  const keyed = aKey()
  const { key } = keyed
  await log.database.transaction((session) =>
    session.run('insert into runtime.request_keys (shop_id, hash, request) values (1, $1, $2)', [
      key.hash,
      key.request,
    ]),
  )
  const attempt = (as: Keyed) => once(log.database, as, async () => accepted('did it'))
  expect(await attempt(keyed)).toMatchObject({ ok: false, code: 'idempotency_key_in_flight' })
  await log.database.transaction((session) =>
    session.run(`update runtime.request_keys set at = at - $2 * interval '1 millisecond' where hash = $1`, [
      key.hash,
      limits.requestKeyMsLeft,
    ]),
  )
  expect(await attempt(other(keyed))).toMatchObject({ code: 'idempotency_key_reused' })
  expect(await attempt(keyed)).toEqual(accepted('did it'))
}, 20_000)
