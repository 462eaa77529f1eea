// The traps of DESIGN.md's engine on real PostgreSQL: what went wrong there in another order of locks or statements is
// stepped here, two lanes or two processes against each other, and must come out right.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { CellName } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { EngineTx } from '../../../src/modules/orders/engine.ts'
import { carryKeysOver, rotateKeys } from '../../../src/modules/orders/key-tables.ts'
import { keysLock, keyTables } from '../../../src/modules/orders/store.ts'
import type { Submission } from '../../../src/modules/orders/types.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { failureClass } from '../../../src/runtime/pg-failure.ts'
import {
  countersOf,
  newKey,
  openEngine,
  openTestCell,
  placeHold,
  placeOrder,
  receive,
  shopId,
  submission,
  told,
} from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'

let database: Database
const opened: { close(): Promise<unknown> }[] = []
const engineOf = (wrap?: (tx: EngineTx) => EngineTx) => {
  const engine = openEngine(database, wrap)
  opened.push(engine)
  return engine
}

beforeAll(async () => {
  database = await openTestCell()
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()))
})
afterAll(() => database.close())

const sku = () => `sku-${randomUUID().slice(0, 8)}`
const count = async (table: string, where: string, param: string): Promise<number> =>
  (await database.query<{ n: number }>(`select count(*)::bigint as n from ${table} where ${where}`, [param]))[0]!.n

/** Stops a transaction after one of its steps until `go` is called. */
function paused(step: 'lookUp' | 'lockHolds') {
  const reached = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const pause = async () => {
    reached.resolve()
    await gone.promise
  }
  const wrap = (tx: EngineTx): EngineTx => ({
    ...tx,
    [step]: async (...args: never[]) => {
      const answer = await (tx[step] as (...args: never[]) => Promise<unknown>)(...args)
      await pause()
      return answer
    },
  })
  return { wrap, atStep: reached.promise, go: () => gone.resolve() }
}

/** The server process that waits for a lock that another holds. */
const somebodyWaits = () =>
  eventually(async () => {
    const [row] = await database.query<{ n: number }>(
      `select count(*)::bigint as n from pg_stat_activity
       where datname = current_database() and application_name like '%lane%' and wait_event_type = 'Lock'`,
    )
    return row!.n > 0
  })

describe('two processes on one database', () => {
  test('the last unit goes to one of them, since the second reads the row after the first has committed', async () => {
    const last = sku()
    const slow = paused('lookUp')
    const first = engineOf(slow.wrap)
    const second = engineOf()
    await second.run(submission(receive({ [last]: 1 })))
    const one = first.run(submission(placeOrder({ [last]: 1 })))
    await slow.atStep
    const other = second.run(submission(placeOrder({ [last]: 1 })))
    await somebodyWaits()
    slow.go()
    expect([told(await one), told(await other)]).toEqual([['order'], ['insufficient_stock']])
    expect(await countersOf(database, last)).toEqual({ on_hand: 1, reserved: 1, committed: 0 })
  })

  test('the same key sent to both makes one order: keys are looked up after the locks, in a later statement', async () => {
    const hot = sku()
    const key = newKey()
    const slow = paused('lookUp')
    const first = engineOf(slow.wrap)
    const second = engineOf()
    await second.run(submission(receive({ [hot]: 10 })))
    const order = placeOrder({ [hot]: 1 })
    const one = first.run(submission(order, key))
    await slow.atStep
    const other = second.run(submission({ ...placeOrder({ [hot]: 1 }) }, key))
    await somebodyWaits()
    slow.go()
    expect(told(await one)).toEqual(['order'])
    const [replay] = await other
    expect(replay).toMatchObject({ ok: true, replayed: true, value: { kind: 'earlier', resultId: order.orderId } })
    expect(await countersOf(database, hot)).toEqual({ on_hand: 10, reserved: 1, committed: 0 })
  })

  test('one key over different SKUs collides on the unique index; the batch that lost reloads and refuses it', async () => {
    const [left, right] = [sku(), sku()]
    const key = newKey()
    const slow = paused('lookUp')
    const first = engineOf(slow.wrap)
    const second = engineOf()
    await second.run(submission(receive({ [left]: 5, [right]: 5 })))
    const losing: Submission[] = [submission(placeOrder({ [left]: 1 }), key)]
    const one = first.run(...losing)
    await slow.atStep
    expect(
      told(await second.run(submission(placeOrder({ [right]: 1 }), { ...key, request: newKey().request }))),
    ).toEqual(['order'])
    slow.go()
    const error = await one.catch((failed) => failed)
    expect(error.code).toBe('23505')
    expect(failureClass(error)).toBe('fail') // which the batcher reruns once, reloaded
    expect(told(await first.run(...losing))).toEqual(['idempotency_key_reused'])
    expect(await countersOf(database, left)).toEqual({ on_hand: 5, reserved: 0, committed: 0 })
  })

  test('the same rows asked for in opposite orders never deadlock: locks are taken sorted by id', async () => {
    const skus = [sku(), sku(), sku()]
    const engines = [engineOf(), engineOf()]
    await engines[0]!.run(submission(receive(Object.fromEntries(skus.map((one) => [one, 1_000])))))
    const forward = Object.fromEntries(skus.map((one) => [one, 1]))
    const backward = Object.fromEntries(skus.toReversed().map((one) => [one, 1]))
    const answers = [forward, backward].map(async (units, at) => {
      for (let round = 0; round < 40; round++) {
        expect(told(await engines[at]!.run(submission(placeOrder(units))))).toEqual(['order'])
      }
    })
    await Promise.all(answers)
    expect(await countersOf(database, skus[0]!)).toEqual({ on_hand: 1_000, reserved: 80, committed: 0 })
  })

  test('cancelling and expiring one order at once gives its units back once', async () => {
    const held = sku()
    const [canceller, sweeper] = [engineOf(), engineOf()]
    await canceller.run(submission(receive({ [held]: 5 })))
    const order = placeOrder({ [held]: 3 })
    await canceller.run(submission(order))
    await database.transaction((session) =>
      session.run(`update orders.states set expires_at = now() - interval '1 second' where id = $1`, [order.orderId]),
    )
    const [cancelled, expired] = await Promise.all([
      canceller.run(
        submission({
          kind: 'cancel_order',
          shopId,
          orderId: order.orderId,
          reason: 'buyer',
          lines: null,
          ifVersion: null,
        }),
      ),
      sweeper.run(submission({ kind: 'expire_due', limit: 10 }, null)),
    ])
    expect(told(expired)).toEqual(['expired'])
    expect(['order', 'order_cancelled']).toContain(told(cancelled)[0])
    expect(await countersOf(database, held)).toEqual({ on_hand: 5, reserved: 0, committed: 0 })
    expect(
      await count(
        'runtime.events',
        `type = 'order.cancelled' and data ->> 'order_id' like '%' and moves[1] = (select id from stock.rows where sku = $1)`,
        held,
      ),
    ).toBe(1)
  })
})

describe('what time has freed', () => {
  test('units of a hold that is over are sold by the very batch that asks for them', async () => {
    const held = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [held]: 2 })))
    expect(told(await engine.run(submission(placeHold({ [held]: 2 }, 1))))).toEqual(['hold'])
    await eventually(async () => told(await engine.run(submission(placeOrder({ [held]: 2 }))))[0] === 'order', 1_000)
    expect(await countersOf(database, held)).toEqual({ on_hand: 2, reserved: 2, committed: 0 })
    expect(
      await count(
        'runtime.events',
        `type = 'hold.expired' and moves[1] = (select id from stock.rows where sku = $1)`,
        held,
      ),
    ).toBe(1)
  })

  test('a due hold over two SKUs is expired whole by a batch that asks for one of them', async () => {
    const [asked, other] = [sku(), sku()]
    const engine = engineOf()
    await engine.run(submission(receive({ [asked]: 1, [other]: 1 })))
    await engine.run(submission(placeHold({ [asked]: 1, [other]: 1 }, 1)))
    await eventually(async () => told(await engine.run(submission(placeOrder({ [asked]: 1 }))))[0] === 'order', 1_000)
    expect(await countersOf(database, other)).toEqual({ on_hand: 1, reserved: 0, committed: 0 })
  })

  test('a due order that another batch has locked is passed over, not waited for', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 5 })))
    const due = placeOrder({ [hot]: 1 })
    await engine.run(submission(due))
    await database.transaction((session) =>
      session.run(`update orders.states set expires_at = now() - interval '1 second' where id = $1`, [due.orderId]),
    )
    const slow = paused('lockHolds')
    const sweeper = engineOf(slow.wrap)
    const sweeping = sweeper.run(submission({ kind: 'expire_due', limit: 10 }, null))
    await slow.atStep
    expect(told(await engine.run(submission(placeOrder({ [hot]: 1 }))))).toEqual(['order'])
    slow.go()
    await sweeping
    expect(await countersOf(database, hot)).toEqual({ on_hand: 5, reserved: 1, committed: 0 })
  })

  test('units that another batch is freeing are waited for when they are missing, in one order with what is named', async () => {
    const [hot, other] = [sku(), sku()]
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 2, [other]: 1 })))
    const [due, named] = [placeOrder({ [hot]: 1 }), placeOrder({ [other]: 1 })]
    await engine.run(submission(due), submission(named), submission(placeHold({ [hot]: 1 }, 1)))
    await database.transaction((session) =>
      session.run(`update orders.states set expires_at = now() - interval '1 second' where id = $1`, [due.orderId]),
    )
    await eventually(
      async () =>
        (await count(
          'stock.holds',
          'expires_at < now() and row_ids && array(select id from stock.rows where sku = $1)',
          hot,
        )) === 1,
    )
    const slow = paused('lockHolds')
    const sweeping = engineOf(slow.wrap).run(submission({ kind: 'expire_due', limit: 10 }, null))
    await slow.atStep
    const cancel = {
      kind: 'cancel_order',
      shopId,
      orderId: named.orderId,
      reason: 'buyer',
      lines: null,
      ifVersion: null,
    }
    const asking = engine.run(submission(cancel as Submission['command']), submission(placeOrder({ [hot]: 2 })))
    await somebodyWaits()
    slow.go()
    expect(told(await sweeping)).toEqual(['expired'])
    expect(told(await asking)).toEqual(['order', 'order'])
    expect(await countersOf(database, hot)).toEqual({ on_hand: 2, reserved: 2, committed: 0 })
    expect(await countersOf(database, other)).toEqual({ on_hand: 1, reserved: 0, committed: 0 })
  })
})

describe('a refusal leaves nothing behind', () => {
  test('neither its key, nor rows it would have created', async () => {
    const unknown = sku()
    const engine = engineOf()
    const key = newKey()
    const refused = submission({ ...receive({ [unknown]: -1 }) }, key)
    expect(told(await engine.run(refused))).toEqual(['insufficient_stock'])
    expect(await count('stock.rows', 'sku = $1', unknown)).toBe(0)
    expect(told(await engine.run(submission(receive({ [unknown]: 4 }), key)))).toEqual(['adjusted'])
    expect(await countersOf(database, unknown)).toEqual({ on_hand: 4, reserved: 0, committed: 0 })
  })

  test('and its neighbours in the batch are answered as if it had not been there', async () => {
    const scarce = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [scarce]: 3 })))
    const outcomes = await engine.run(
      submission(placeOrder({ [scarce]: 2 })),
      submission(placeOrder({ [scarce]: 2 })),
      submission(placeOrder({ [scarce]: 1 })),
    )
    expect(told(outcomes)).toEqual(['order', 'insufficient_stock', 'order'])
  })
})

describe('a batch commits whole or not at all', () => {
  test('when a pipelined write fails, COMMIT answers ROLLBACK: the batch rejects and nothing of it stays', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 5 })))
    const twice = placeOrder({ [hot]: 1 })
    await engine.run(submission(twice))
    const good = placeOrder({ [hot]: 1 })
    const error = await engine.run(submission(good), submission(twice)).catch((failed) => failed)
    expect(error.code).toBe('23505') // the same order id again, under another key
    expect(await count('orders.states', 'id = $1', good.orderId)).toBe(0)
    expect(await countersOf(database, hot)).toEqual({ on_hand: 5, reserved: 1, committed: 0 })
    expect(told(await engine.run(submission(good)))).toEqual(['order']) // the lane is clean again
  })

  test('when a statement touches another number of rows than expected, the commit behind it does not commit', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 5 })))
    const failed = await database
      .transaction(async (session) => {
        await session.run(`update stock.rows set reserved = 1 where sku = $1`, [hot])
        await session.run('select runtime.expect_rows($1, $2)', [1, 2])
      })
      .catch((error) => error)
    expect(failed.code).toBe('HF001')
    expect(await countersOf(database, hot)).toEqual({ on_hand: 5, reserved: 0, committed: 0 })
  })

  test('when its connection dies before the commit, the lane opens another and the rerun is the only one that counts', async () => {
    const hot = sku()
    let kill = true
    const engine = engineOf((tx) => ({
      ...tx,
      async now() {
        const now = await tx.now()
        if (kill) {
          kill = false
          await database.transaction((session) =>
            session.run(
              `select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name like '%lane%' and state <> 'idle'`,
            ),
          )
        }
        return now
      },
    }))
    const seeded = engineOf()
    await seeded.run(submission(receive({ [hot]: 5 })))
    const order = submission(placeOrder({ [hot]: 2 }))
    const lost = await engine.run(order).catch((error) => error)
    expect(failureClass(lost)).toBe('reconnect')
    expect(told(await engine.run(order))).toEqual(['order'])
    expect(await countersOf(database, hot)).toEqual({ on_hand: 5, reserved: 2, committed: 0 })
  })

  test('our own try whose answer was lost is answered as the first, another request with the key as a replay', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 5 })))
    const order = submission(placeOrder({ [hot]: 1 }))
    await engine.run(order)
    const [rerun] = await engine.run(order)
    expect(rerun).toMatchObject({ ok: true, replayed: false, value: { kind: 'earlier' } })
    const [again] = await engine.run({ ...order, command: { ...placeOrder({ [hot]: 1 }) } })
    expect(again).toMatchObject({ ok: true, replayed: true, value: { kind: 'earlier' } })
  })
})

describe('keys in generations', () => {
  test('a key is found in every generation that is kept, and forgotten only when the ring comes round', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 10 })))
    const order = placeOrder({ [hot]: 1 })
    const key = newKey()
    const again = async () => told(await engine.run(submission({ ...placeOrder({ [hot]: 1 }) }, key)))
    await engine.run(submission(order, key))
    expect(await again()).toEqual(['earlier'])
    await carryKeysOver(database, systemClock, everything)
    expect(await keysIn('orders.keys_young_0', 'orders.keys_young_1')).toBe(0)
    expect(await again()).toEqual(['earlier'])
    for (let turn = 0; turn < 2; turn++) {
      expect(await rotateKeys(database, 0)).toBe(true)
      expect(await again()).toEqual(['earlier'])
    }
    await rotateKeys(database, 0)
    expect(await again()).toEqual(['order'])
  })

  test('that another cell has taken a key is kept with it', async () => {
    const engine = engineOf()
    const key = newKey()
    const order = placeOrder({ [sku()]: 1 })
    const remembered = { kind: 'remember_key', shopId: order.shopId, resultId: order.orderId } as const
    await engine.run(submission({ ...remembered, takenBy: 'us1' as CellName }, key))
    await carryKeysOver(database, systemClock, everything)
    expect(await keysIn('orders.keys_young_0', 'orders.keys_young_1')).toBe(0)
    expect(await engine.run(submission(order, key))).toMatchObject([{ value: { kind: 'earlier', takenBy: 'us1' } }])
  })

  test('keys of many slices are carried over whole, and found at every moment', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 10 })))
    const key = newKey()
    await engine.run(submission(placeOrder({ [hot]: 1 }), key))
    const manySql = `insert into orders.keys_young_${await youngNow()} select 9, gen_random_uuid(), gen_random_uuid(), null
      from generate_series(1, $1)`
    await database.transaction((session) => session.run(manySql, [2 * limits.carriedKeysMax + 1]))
    const before = await keysIn(...keyTables)
    let isOver = false
    const carrying = carryKeysOver(database, systemClock, { ...everything, pauseShare: 1 }).then((count) => {
      isOver = true
      return count
    })
    while (!isOver)
      expect(told(await engine.run(submission({ ...placeOrder({ [hot]: 1 }) }, key)))).toEqual(['earlier'])
    expect(await carrying).toBeGreaterThan(2 * limits.carriedKeysMax)
    expect(await keysIn(...keyTables)).toBe(before)
    expect(await keysIn('orders.keys_young_0', 'orders.keys_young_1')).toBe(0)
  })

  test('a carrier that was cut off is followed by one that carries the rest, and does not change the tables’ places again', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 10 })))
    const key = newKey()
    await engine.run(submission(placeOrder({ [hot]: 1 }), key))
    const old = await youngNow()
    await database.transaction((session) => session.run('update orders.key_generation set turns = turns + 1'))
    expect(await youngNow()).toBe(1 - old)
    expect(await carryKeysOver(database, systemClock)).toBeGreaterThan(0)
    expect(await youngNow()).toBe(1 - old)
    expect(await keysIn(`orders.keys_young_${old}`)).toBe(0)
    expect(told(await engine.run(submission({ ...placeOrder({ [hot]: 1 }) }, key)))).toEqual(['earlier'])
    expect(await carryKeysOver(database, systemClock)).toBe(0)
  })

  test('a batch that waited while the young tables changed places writes to the new one', async () => {
    const hot = sku()
    const engine = engineOf()
    await engine.run(submission(receive({ [hot]: 10 })))
    await carryKeysOver(database, systemClock, everything)
    const old = await youngNow()
    const key = newKey()
    const waiting = await database.transaction(async (session) => {
      await session.run(`select pg_advisory_xact_lock(${keysLock})`)
      await session.run('update orders.key_generation set turns = turns + 1')
      const order = engine.run(submission(placeOrder({ [hot]: 1 }), key))
      await somebodyWaitsForKeys()
      return { order }
    })
    expect(told(await waiting.order)).toEqual(['order'])
    expect(await keysIn(`orders.keys_young_${old}`)).toBe(0)
    expect(await keysIn(`orders.keys_young_${1 - old}`)).toBe(1)
  })

  test('the rotator waits for batches under way, so that none looks a key up in one generation and writes it to none', async () => {
    const hot = sku()
    const slow = paused('lookUp')
    const engine = engineOf(slow.wrap)
    const other = engineOf()
    await other.run(submission(receive({ [hot]: 10 })))
    const order = engine.run(submission(placeOrder({ [hot]: 1 })))
    await slow.atStep
    let rotated = false
    const rotation = rotateKeys(database, 0).then(() => {
      rotated = true
    })
    await somebodyWaitsForKeys()
    expect(rotated).toBe(false)
    slow.go()
    expect(told(await order)).toEqual(['order'])
    await rotation
    expect(rotated).toBe(true)
  })
})

const everything = { youngBytesMax: 0, pauseShare: 0 }

const somebodyWaitsForKeys = () =>
  eventually(async () => {
    const [row] = await database.query<{ n: number }>(
      `select count(*)::bigint as n from pg_locks where locktype = 'advisory' and not granted`,
    )
    return row!.n > 0
  })

async function youngNow(): Promise<number> {
  const [row] = await database.query<{ young: number }>(
    'select (turns % 2)::integer as young from orders.key_generation',
  )
  return row!.young
}

async function keysIn(...tables: string[]): Promise<number> {
  const counts = await Promise.all(
    tables.map((table) => database.query<{ n: number }>(`select count(*)::bigint as n from ${table}`)),
  )
  return counts.reduce((sum, [row]) => sum + row!.n, 0)
}
