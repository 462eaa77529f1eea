// The part of the engine's contract that takes two transactions at once: each is stopped at a step while the other goes on.
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { EngineTx } from '../../src/modules/orders/engine.ts'
import { failureClass } from '../../src/runtime/pg-failure.ts'
import { newKey, placeHold, placeOrder, receive, submission, told } from '../support/engine.ts'
import type { EngineBench, TestProcess } from './engine-bench.ts'

export function lanesContract(benchOf: () => EngineBench): void {
  const opened: TestProcess[] = []
  const processOf = (wrap?: (tx: EngineTx) => EngineTx): TestProcess => {
    const process = benchOf().process(wrap)
    opened.push(process)
    return process
  }
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((process) => process.close()))
  })

  const sku = () => `sku-${randomUUID().slice(0, 8)}`
  const countersOf = async (of: string) => {
    const rows = (await benchOf().readState()).rows.filter((row) => row.sku === of)
    return rows.map(({ location, onHand, reserved }) => [location, onHand, reserved])
  }

  describe('two lanes at once', () => {
    test('the last unit goes to one of them', async () => {
      const last = sku()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [last]: 1 })))
      const one = first.run(submission(placeOrder({ [last]: 1 })))
      await slow.reached
      const other = second.run(submission(placeOrder({ [last]: 1 })))
      await benchOf().somebodyWaits()
      slow.go()
      expect([told(await one), told(await other)]).toEqual([['order'], ['insufficient_stock']])
      expect(await countersOf(last)).toEqual([['main', 1, 1]])
    })

    test('one key makes one order: whoever waited for the rows finds the key of the other', async () => {
      const hot = sku()
      const key = newKey()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [hot]: 9 })))
      const order = placeOrder({ [hot]: 1 })
      const one = first.run(submission(order, key))
      await slow.reached
      const other = second.run(submission(placeOrder({ [hot]: 1 }), key))
      await benchOf().somebodyWaits()
      slow.go()
      expect(told(await one)).toEqual(['order'])
      expect(await other).toMatchObject([
        { ok: true, replayed: true, value: { kind: 'earlier', resultId: order.orderId } },
      ])
      expect(await countersOf(hot)).toEqual([['main', 9, 1]])
    })

    test('one key over rows that do not meet is unique all the same: the loser rolls back, reloads and is refused', async () => {
      const [left, right] = [sku(), sku()]
      const key = newKey()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [left]: 5, [right]: 5 })))
      const losing = [submission(placeOrder({ [left]: 1 }), key), submission(placeOrder({ [left]: 1 }))] as const
      const one = first.run(...losing).catch((error: unknown) => error)
      await slow.reached
      const body = newKey().request
      expect(told(await second.run(submission(placeOrder({ [right]: 1 }), { ...key, request: body })))).toEqual([
        'order',
      ])
      slow.go()
      expect(await one).toMatchObject({ code: '23505' })
      expect(failureClass(await one)).toBe('fail')
      expect(await countersOf(left)).toEqual([['main', 5, 0]])
      expect(told(await first.run(...losing))).toEqual(['idempotency_key_reused', 'order'])
    })

    test('a row that is added while its SKU’s others are waited for makes the batch start again', async () => {
      const a = sku()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [a]: 1 })))
      const adding = first.run(submission(receive({ [a]: 5 }, 'east')))
      await slow.reached
      const order = submission(placeOrder({ [a]: 4 }))
      const waiting = second.run(order).catch((error: unknown) => error)
      await benchOf().somebodyWaits()
      slow.go()
      expect(told(await adding)).toEqual(['adjusted'])
      expect(failureClass(await waiting)).toBe('rerun')
      expect(told(await second.run(order))).toEqual(['order'])
    })

    test('two that make the same row make one', async () => {
      const a = sku()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      const one = first.run(submission(receive({ [a]: 1 })))
      await slow.reached
      const other = second.run(submission(receive({ [a]: 2 })))
      await benchOf().somebodyWaits()
      slow.go()
      expect([told(await one), told(await other)]).toEqual([['adjusted'], ['adjusted']])
      expect(await countersOf(a)).toEqual([['main', 3, 0]])
    })

    test('and when the first is refused, the second makes it after all', async () => {
      const a = sku()
      const slow = stopAfter('lookUp')
      const [first, second] = [processOf(slow.wrap), processOf()]
      const one = first.run(submission(receive({ [a]: -1 })))
      await slow.reached
      const other = second.run(submission(receive({ [a]: 2 })))
      await benchOf().somebodyWaits()
      slow.go()
      expect([told(await one), told(await other)]).toEqual([['insufficient_stock'], ['adjusted']])
      expect(await countersOf(a)).toEqual([['main', 2, 0]])
    })

    test('a due hold that another has locked is passed over, not waited for, while there are units enough', async () => {
      const [a, b] = [sku(), sku()]
      const slow = stopAfter('lockHolds')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [a]: 1, [b]: 2 })))
      await second.run(submission(placeHold({ [a]: 1, [b]: 1 }, 1)))
      await benchOf().elapse(10)
      const one = first.run(submission(placeOrder({ [a]: 1 })))
      await slow.reached
      expect(told(await second.run(submission(placeOrder({ [b]: 1 }))))).toEqual(['order'])
      slow.go()
      expect(told(await one)).toEqual(['order'])
    })

    test('and waited for by an order that lacks its units', async () => {
      const [a, b] = [sku(), sku()]
      const slow = stopAfter('lockHolds')
      const [first, second] = [processOf(slow.wrap), processOf()]
      await second.run(submission(receive({ [a]: 1, [b]: 1 })))
      await second.run(submission(placeHold({ [a]: 1, [b]: 1 }, 1)))
      await benchOf().elapse(10)
      const one = first.run(submission(placeOrder({ [a]: 1 })))
      await slow.reached
      const other = second.run(submission(placeOrder({ [b]: 1 })))
      await benchOf().somebodyWaits()
      slow.go()
      expect([told(await one), told(await other)]).toEqual([['order'], ['order']])
    })

    test('a transaction whose work fails leaves nothing and frees its locks', async () => {
      const a = sku()
      const failing = processOf((tx) => ({ ...tx, write: cannotBegin }))
      const second = processOf()
      await second.run(submission(receive({ [a]: 1 })))
      const east = submission(receive({ [a]: 5 }, 'east'))
      await expect(failing.run(east, submission(placeOrder({ [a]: 1 })))).rejects.toThrow('stopped before')
      expect(await countersOf(a)).toEqual([['main', 1, 0]])
      expect(told(await second.run(submission(placeOrder({ [a]: 1 }))))).toEqual(['order'])
    })
  })
}

const cannotBegin = (): never => {
  throw new Error('stopped before the write')
}

/** Holds the next transaction after one of its steps until `go`. */
function stopAfter(step: 'lookUp' | 'lockHolds') {
  const reached = Promise.withResolvers<void>()
  const gone = Promise.withResolvers<void>()
  const wrap = (tx: EngineTx): EngineTx => ({
    ...tx,
    [step]: async (...args: never[]) => {
      const answer = await (tx[step] as (...args: never[]) => Promise<unknown>)(...args)
      reached.resolve()
      await gone.promise
      return answer
    },
  })
  return { wrap, reached: reached.promise, go: gone.resolve }
}
