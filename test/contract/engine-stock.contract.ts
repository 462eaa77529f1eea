// The part of the engine's contract that concerns adjustments and policies: all or nothing, facts and decisions, who is short.
import { describe, expect, test } from 'vitest'
import { toWireId } from '../../src/base/ids.ts'
import { cell, placeOrder, receive, told } from '../support/engine.ts'
import type { EngineBench } from './engine-bench.ts'
import { adjust, cancel, type Hands, policy, sku } from './engine-hands.ts'

export function stockContract(bench: () => EngineBench, hands: Hands): void {
  const { run, row, counters, types, given, placed } = hands

  describe('adjustments and policies', () => {
    test('an adjustment is all or nothing, and a row made in vain is gone', async () => {
      const [a, b] = [sku(), sku()]
      await given({ [a]: 5 })
      const command = receive({ [a]: 1, [b]: -1 })
      const [refusal] = await run(command)
      expect(refusal).toMatchObject({ code: 'insufficient_stock', errors: [{ pointer: '/adjustments/1', sku: b }] })
      expect(await counters(a)).toEqual([5, 0, 0])
      expect(await row(b)).toBeUndefined()
    })

    test('what a refused adjustment would have made is unknown to the commands around it', async () => {
      const a = sku()
      expect(told(await run(placeOrder({ [a]: 1 }), receive({ [a]: -1 }), placeOrder({ [a]: 1 })))).toEqual([
        'sku_not_found',
        'insufficient_stock',
        'sku_not_found',
      ])
      expect(await row(a)).toBeUndefined()
    })

    test('an unknown location is refused, and its key may be used again', async () => {
      const a = sku()
      const [refusal] = await run(receive({ [a]: 1 }, 'nowhere'))
      expect(refusal).toMatchObject({ code: 'location_not_found', errors: [{ pointer: '/adjustments/0' }] })
      expect(await row(a, 'nowhere')).toBeUndefined()
    })

    test('a decision may not leave sold units short; a fact may, and names the orders it hits, newest first', async () => {
      const a = sku()
      await given({ [a]: 5 })
      const [older, newer] = [await placed({ [a]: 2 }), await placed({ [a]: 2 }, { provider: 'none' })]
      expect(told(await run(adjust(a, { delta: -2 }, 'correction')))).toEqual(['insufficient_stock'])
      expect(told(await run(adjust(a, { set: 1 }, 'counted')))).toEqual(['adjusted'])
      const state = await bench().readState()
      const short = state.events.find((event) => event.type === 'stock.short' && event.subject === `stock:main:${a}`)
      const newestFirst = [older, newer].toSorted((one, other) => (one.id < other.id ? 1 : -1)) // both may be of one ms
      const names = newestFirst.map((order) => toWireId('ord', cell, order.id))
      expect(short?.data).toMatchObject({ sku: a, short: 3, orders: names })
      expect(told(await run(placeOrder({ [a]: 1 }), cancel(older.id), placeOrder({ [a]: 1 })))).toEqual([
        'insufficient_stock',
        'order',
        'insufficient_stock',
      ])
    })

    test('orders of the same batch are named too, and those it has cancelled are not', async () => {
      const a = sku()
      await given({ [a]: 5 })
      const gone = await placed({ [a]: 2 })
      const fresh = placeOrder({ [a]: 3 })
      await run(fresh, cancel(gone.id), adjust(a, { set: 1 }, 'counted'))
      const { events } = await bench().readState()
      const short = events.find((event) => event.type === 'stock.short' && event.subject === `stock:main:${a}`)
      expect(short?.data).toMatchObject({ short: 2, orders: [toWireId('ord', cell, fresh.orderId)] })
    })

    test('a decision may not leave a SKU short over its locations either', async () => {
      const a = sku()
      await given({ [a]: 5 })
      await given({ [a]: 3 }, 'east')
      await placed({ [a]: 5 })
      await run(adjust(a, { set: 2 }, 'counted'))
      expect(told(await run(adjust(a, { delta: -1 }, 'correction', 'east')))).toEqual(['insufficient_stock'])
    })

    test('a count that is older than the last is ignored', async () => {
      const a = sku()
      await given({ [a]: 5 })
      await run(adjust(a, { set: 7 }, 'counted'))
      const old = adjust(a, { set: 2 }, 'counted')
      Object.assign(old.adjustments[0]!.change, { asOf: 1 })
      const [outcome] = await run(old)
      expect(outcome).toMatchObject({ ok: true, value: { rows: [{ ignored: true, row: { onHand: 7 } }] } })
      expect(await counters(a)).toEqual([7, 0, 0])
    })

    test('each step of an adjustment tells what it left on hand', async () => {
      const a = sku()
      const command = receive({ [a]: 4 })
      command.adjustments.push({ ...command.adjustments[0]!, change: { delta: 2 } })
      await run(command)
      const { events } = await bench().readState()
      const told = events.filter((event) => event.subject === `stock:main:${a}`)
      expect(told.map(({ data }) => [data.delta, data.on_hand])).toEqual([
        [4, 4],
        [2, 6],
      ])
    })

    test('an allowance is sold beyond what is there, once over all locations; untracked SKUs never run out', async () => {
      const [a, b] = [sku(), sku()]
      await given({ [a]: 1 })
      await given({ [a]: 1 }, 'east')
      expect(told(await run(policy(a, 3), placeOrder({ [a]: 6 }), placeOrder({ [a]: 5 })))).toEqual([
        'policy',
        'insufficient_stock',
        'order',
      ])
      expect(told(await run(policy(b, 0, 'none'), placeOrder({ [b]: 1_000 })))).toEqual(['policy', 'order'])
      expect(await counters(b)).toEqual([0, 1_000, 0])
    })

    test('a policy has versions', async () => {
      const a = sku()
      const outcomes = await run(policy(a, 1, 'counted', 0), policy(a, 2, 'counted', 0), policy(a, 2, 'counted', 1))
      expect(told(outcomes)).toEqual(['policy', 'precondition_failed', 'policy'])
      expect((await row(a))?.allowance).toBe(2)
      expect(await types(`sku:${a}`)).toEqual(['stock.policy_set', 'stock.policy_set'])
    })
  })
}
