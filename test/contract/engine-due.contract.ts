// What time does to orders whose money is set aside, on every store: it is found when it is due, and done once.
import { describe, expect, test } from 'vitest'
import { toWireId, type Uuid } from '../../src/base/ids.ts'
import { defaultTerms, type Terms } from '../../src/modules/orders/life.ts'
import type { Settlement } from '../../src/modules/orders/types.ts'
import { cell, newUuid, placeOrder, shopId, told } from '../support/engine.ts'
import type { EngineBench } from './engine-bench.ts'
import { type Hands, keyless, sku } from './engine-hands.ts'

const sweep = keyless({ kind: 'expire_due', limit: 500 })
/** An authorization of 1 s with its deadline half-way. */
const briefly: Terms = { ...defaultTerms, captureRule: 'at_shipment', authorizationMs: 1_000, captureLeadMs: 500 }

export function dueContract(benchOf: () => EngineBench, { run, counters, types, given, placed }: Hands): void {
  describe('time', () => {
    async function authorized(
      units: Record<string, number>,
      terms: Partial<Terms> = {},
      review: string[] | null = null,
    ) {
      await given(units)
      const payment = { id: newUuid(), provider: 'test', method: 'tok_ok' }
      const { id } = await placed(units, { payment, review, terms: { ...briefly, ...terms } })
      await settle(id, { of: 'payment', id: payment.id, says: 'authorized', reference: 'ch_1' })
      return { id, paymentId: payment.id, subject: toWireId('ord', cell, id) }
    }
    const settle = (orderId: Uuid, settlement: Settlement) =>
      run(keyless({ kind: 'settle', shopId, orderId, settlement }))
    const countOf = async (subject: string, type: string) => (await types(subject)).filter((one) => one === type).length

    test('asks for a capture when it is due and not before, once, however many sweep', async () => {
      const a = sku()
      const { subject } = await authorized({ [a]: 2 }, { authorizationMs: 3_600_000, captureLeadMs: 60_000 })
      await run(sweep)
      expect(await countOf(subject, 'payment.capture_requested')).toBe(0)
      const b = sku()
      const due = await authorized({ [b]: 2 })
      await benchOf().elapse(600)
      const other = benchOf().process()
      await Promise.all([run(sweep), other.run(sweep)])
      await run(sweep)
      await other.close()
      expect(await countOf(due.subject, 'payment.capture_requested')).toBe(1)
      expect(await countOf(subject, 'payment.capture_requested')).toBe(0)
      expect(await counters(b)).toEqual([2, 0, 2])
    })

    test('units of an order that is cancelled at its deadline are there for the very next command', async () => {
      const a = sku()
      const { subject } = await authorized({ [a]: 2 }, { atCaptureDeadline: 'cancel' })
      expect(told(await run(placeOrder({ [a]: 2 })))).toEqual(['insufficient_stock'])
      await benchOf().elapse(600)
      expect(told(await run(placeOrder({ [a]: 2 })))).toEqual(['order'])
      expect((await types(subject)).slice(-2)).toEqual(['order.cancelled', 'payment.void_requested'])
    })

    test('an order in review waits for money again when its authorization has run out, and not for ever', async () => {
      const a = sku()
      const { id, paymentId, subject } = await authorized({ [a]: 2 }, { reservationMs: 10 }, ['amount'])
      await benchOf().elapse(1_100)
      await run(sweep)
      expect((await types(subject)).slice(-2)).toEqual(['payment.void_requested', 'order.unpaid'])
      expect(await counters(a)).toEqual([2, 2, 0])
      await settle(id, { of: 'payment', id: paymentId, says: 'voided' })
      // Its time is over soon, perhaps by the time that the void was told; a sweep takes so many at once, and others may be due before it.
      for (let turn = 0; turn < 50 && (await countOf(subject, 'order.cancelled')) === 0; turn++) {
        await benchOf().elapse(20)
        await run(sweep)
      }
      expect(await countOf(subject, 'order.cancelled')).toBe(1)
      expect(await counters(a)).toEqual([2, 0, 0])
    })
  })
}
