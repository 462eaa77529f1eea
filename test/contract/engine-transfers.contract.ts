// The part of the engine's contract that concerns units between cells: totals, what is credited once, what is split, and what a
// count finds missing that others hold the right to.
import { describe, expect, test } from 'vitest'
import type { CellName, LocationCode, Sku } from '../../src/base/ids.ts'
import type {
  Ask,
  CellShare,
  Elsewhere,
  HandOverUnits,
  ReceiveUnits,
  Remembered,
  SendUnits,
  Sent,
  Stand,
} from '../../src/modules/stock/types.ts'
import { placeOrder, receive, shopId, told } from '../support/engine.ts'
import type { EngineBench } from './engine-bench.ts'
import { adjust, type Hands, policy, sku } from './engine-hands.ts'

const [eu1, us1, ap1] = ['eu1', 'us1', 'ap1'] as CellName[] as [CellName, CellName, CellName]
const nothingAsked: Ask = {
  need: 0,
  wanted: 0,
  rate: 0,
  available: 0,
  location: null,
  evenIfGrouped: false,
  isKnown: true,
}
const atRest: Stand = { rate: 0, safety: 0, isElder: false }

const send = (of: string, ask: Partial<Ask>, own: Partial<Stand> = {}, to = us1): SendUnits => ({
  ...{ kind: 'send_units', shopId, sku: of as Sku, to },
  ...{ ask: { ...nothingAsked, ...ask }, own: { ...atRest, ...own } },
})
const handOver = (of: string, to: CellName[], isLeaving = true): HandOverUnits => ({
  ...{ kind: 'hand_over_units', shopId, sku: of as Sku, isLeaving },
  shares: to.map((cell) => ({ cell, weight: 1 })),
})
const take = (of: string, units: number, { allowance = 0, location = 'main', from = us1 } = {}): ReceiveUnits => ({
  ...{ kind: 'receive_units', shopId, from, tracking: 'counted' },
  totals: [{ sku: of as Sku, location: location as LocationCode, units, allowance }],
})

export function transfersContract(bench: () => EngineBench, { run, row, counters, types, given }: Hands): void {
  async function sent(command: SendUnits | HandOverUnits): Promise<Sent> {
    const [outcome] = await run(command)
    if (!outcome?.ok || outcome.value.kind !== 'sent') throw new Error(`not sent: ${JSON.stringify(outcome)}`)
    return outcome.value.sent
  }
  async function credited(command: ReceiveUnits): Promise<number> {
    const [outcome] = await run(command)
    if (!outcome?.ok || outcome.value.kind !== 'received') throw new Error(`refused: ${JSON.stringify(outcome)}`)
    return outcome.value.received.units
  }
  const split = (of: string, delta: number, shares: CellShare[]) => {
    const command = receive({ [of]: delta })
    command.adjustments[0]!.shares = shares
    return command
  }
  /** With what the others have said to have of the place. */
  const lost = (of: string, delta: number, elsewhere: Elsewhere) => {
    const command = adjust(of, { delta }, 'lost')
    Object.assign(command.adjustments[0]!.change, { elsewhere })
    return command
  }
  const even = [eu1, us1, ap1].map((cell) => ({ cell, weight: 1 }))

  async function remembered(of: string, units: number, { allowance = 0, to = us1 } = {}): Promise<Remembered> {
    const totals = [{ sku: of as Sku, location: 'main' as LocationCode, units, allowance }]
    const [outcome] = await run({ kind: 'remember_sent', shopId, to, totals })
    if (!outcome?.ok || outcome.value.kind !== 'remembered') throw new Error(`refused: ${JSON.stringify(outcome)}`)
    return outcome.value.remembered
  }

  describe('a cell that was set back', () => {
    test('gives up what another has received of it, once, and tells later totals on top of that', async () => {
      const a = sku()
      await given({ [a]: 5 })
      expect(await remembered(a, 3)).toEqual({ units: 3, missing: 0, left: 0 })
      expect(await remembered(a, 3)).toEqual({ units: 0, missing: 0, left: 0 })
      expect(await remembered(a, 2)).toMatchObject({ units: 0 })
      expect(await counters(a)).toEqual([2, 0, 0])
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ given: 1, totals: [{ units: 4 }] })
    })

    test('is short of what it has sold and another has too, and never below zero', async () => {
      const a = sku()
      await given({ [a]: 3 })
      await run(placeOrder({ [a]: 2 }, { provider: 'none' }))
      expect(await remembered(a, 5)).toEqual({ units: 5, missing: 2, left: 0 })
      expect(await counters(a)).toEqual([0, 0, 2])
      expect(await run(placeOrder({ [a]: 1 }))).toMatchObject([{ ok: false, code: 'insufficient_stock' }])
      await credited(take(a, 3)) // two of them are missing, and one goes to who has bought it
      expect(await counters(a)).toEqual([1, 0, 2])
    })

    test('knows SKUs that it has forgotten, and says which places it does not know', async () => {
      const a = sku()
      expect(await remembered(a, 4)).toEqual({ units: 4, missing: 4, left: 0 })
      expect(await row(a)).toMatchObject({ onHand: 0, missing: 4 })
      const totals = [{ sku: a as Sku, location: 'nowhere' as LocationCode, units: 1, allowance: 0 }]
      const [outcome] = await run({ kind: 'remember_sent', shopId, to: us1, totals })
      expect(outcome).toMatchObject({ ok: true, value: { remembered: { left: 1 } } })
    })
  })

  describe('units between cells', () => {
    test('what is given leaves the row, and every answer tells all that ever left it', async () => {
      const a = sku()
      await given({ [a]: 5 })
      expect(await sent(send(a, { need: 2 }))).toMatchObject({ given: 2, left: 3, totals: [{ units: 2 }] })
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ given: 1, left: 2, totals: [{ units: 3 }] })
      expect(await sent(send(a, {}))).toMatchObject({ given: 0, totals: [{ units: 3, location: 'main' }] })
      expect(await counters(a)).toEqual([2, 0, 0])
    })

    test('units that are reserved or sold stay, and nobody gives what is not there', async () => {
      const a = sku()
      await given({ [a]: 5 })
      await run(placeOrder({ [a]: 2 }), placeOrder({ [a]: 1 }, { provider: 'none' }))
      expect(await sent(send(a, { need: 10 }))).toMatchObject({ given: 2, left: 0 })
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ given: 0, left: 0 })
      expect(await counters(a)).toEqual([3, 2, 1])
    })

    test('a total is credited once, however often and in whatever order it comes', async () => {
      const a = sku()
      expect(await credited(take(a, 3))).toBe(3)
      expect(await credited(take(a, 3))).toBe(0)
      expect(await credited(take(a, 5))).toBe(2)
      expect(await credited(take(a, 4))).toBe(0)
      expect(await credited(take(a, 1, { from: ap1 }))).toBe(1)
      expect(await counters(a)).toEqual([6, 0, 0])
    })

    test('totals of one message and of one batch are credited one after the other', async () => {
      const a = sku()
      const twice = take(a, 2)
      twice.totals.push({ ...twice.totals[0]!, units: 3 })
      expect(told(await run(twice, take(a, 3)))).toEqual(['received', 'received'])
      expect(await counters(a)).toEqual([3, 0, 0])
    })

    test('a SKU that others sell is known here from the first message on, units or not', async () => {
      const a = sku()
      expect(told(await run(placeOrder({ [a]: 1 })))).toEqual(['sku_not_found'])
      await credited(take(a, 0))
      expect(told(await run(placeOrder({ [a]: 1 })))).toEqual(['insufficient_stock'])
    })

    test('a total for a place that is not known here yet is left for later', async () => {
      const a = sku()
      expect(await credited(take(a, 2, { location: 'nowhere' }))).toBe(0)
      expect(await row(a, 'nowhere')).toBeUndefined()
    })

    test('a SKU that nobody sells is not known, and an ask makes none', async () => {
      const a = sku()
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ isKnown: false, given: 0, totals: [] })
      expect(await row(a)).toBeUndefined()
    })

    test('what is received is split at once, and what does not divide stays', async () => {
      const a = sku()
      await run(split(a, 100, even))
      expect(await counters(a)).toEqual([34, 0, 0])
      expect(await sent(send(a, {}, {}, ap1))).toMatchObject({ totals: [{ units: 33 }] })
      expect(await types(`stock:main:${a}`)).toEqual(['stock.adjusted', 'stock.transferred'])
    })

    test('what moved is told to the shop with the totals, by giver and taker', async () => {
      const a = sku()
      await given({ [a]: 5 })
      await sent(send(a, { need: 2 }))
      await credited(take(a, 3))
      const { events } = await bench().readState()
      const told = events.filter((event) => event.type === 'stock.transferred' && event.subject === `stock:main:${a}`)
      const place = { sku: a, location: 'main' }
      const moved = (units: number) => [{ cell: us1, units, allowance: 0, units_total: units, allowance_total: 0 }]
      expect(told.map(({ data }) => (typeof data === 'string' ? JSON.parse(data) : data))).toEqual([
        { ...place, sent: moved(2) },
        { ...place, received: moved(3) },
      ])
    })

    test('units of a group stay together, and are given away only to an order over several groups', async () => {
      const a = sku()
      const grouped = policy(a, 0)
      await run({ ...grouped, policy: { ...grouped.policy, group: 'event-7' } }, split(a, 9, even))
      expect(await counters(a)).toEqual([9, 0, 0])
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ livesHere: true, given: 0 })
      expect(await sent(send(a, { need: 1, evenIfGrouped: true }))).toMatchObject({ given: 1 })
    })

    test('units that a count did not find here are written off when the others give theirs back', async () => {
      const a = sku()
      await run(split(a, 9, even))
      expect(told(await run(lost(a, -5, { units: 6, sent: 6 })))).toEqual(['adjusted'])
      expect(await row(a)).toMatchObject({ onHand: 0, missing: 2 })
      expect(told(await run(placeOrder({ [a]: 1 })))).toEqual(['insufficient_stock'])
      await credited(take(a, 3))
      expect(await row(a)).toMatchObject({ onHand: 1, missing: 0 })
      expect(told(await run(placeOrder({ [a]: 1 })))).toEqual(['order'])
    })

    test('nothing is missing beyond what others hold, and what is found again is missing no more', async () => {
      const a = sku()
      await run(split(a, 9, even))
      expect(told(await run(lost(a, -10, { units: 6, sent: 6 })))).toEqual(['insufficient_stock'])
      await run(lost(a, -5, { units: 6, sent: 6 }), adjust(a, { delta: 1 }, 'counted'))
      expect(await row(a)).toMatchObject({ onHand: 0, missing: 1 })
    })

    test('what others have shipped, or have not said to have, is not missing', async () => {
      const a = sku()
      await run(split(a, 9, even))
      expect(told(await run(adjust(a, { delta: -4 }, 'lost')))).toEqual(['insufficient_stock'])
      expect(told(await run(lost(a, -5, { units: 1, sent: 6 })))).toEqual(['insufficient_stock'])
      expect(told(await run(lost(a, -4, { units: 1, sent: 6 })))).toEqual(['adjusted'])
      expect(await row(a)).toMatchObject({ onHand: 0, missing: 1 })
      expect(told(await run(lost(a, -1, { units: 1, sent: 6 })))).toEqual(['insufficient_stock'])
    })

    test('a count compares with what lies there, whoever may sell it', async () => {
      const a = sku()
      await run(split(a, 9, even))
      const count = adjust(a, { set: 10 }, 'counted')
      Object.assign(count.adjustments[0]!.change, { elsewhere: { units: 5, sent: 5 } }) // one more has left since
      await run(count)
      expect(await row(a)).toMatchObject({ onHand: 4, missing: 0 })
    })

    test('the allowance moves by totals too, and is never granted twice', async () => {
      const a = sku()
      await run(policy(a, 4))
      expect(await sent(send(a, { need: 3 }))).toMatchObject({ given: 3, totals: [{ units: 0, allowance: 3 }] })
      expect(told(await run(placeOrder({ [a]: 2 }), placeOrder({ [a]: 1 })))).toEqual(['insufficient_stock', 'order'])
      await run(policy(a, 2))
      expect(await row(a)).toMatchObject({ allowance: -1, reserved: 1 })
      await credited(take(a, 0, { allowance: 3 }))
      expect(await row(a)).toMatchObject({ allowance: 2 })
    })

    test('of one place only goods are given, not the right to sell what is still to come', async () => {
      const a = sku()
      await given({ [a]: 2 }, 'east')
      await run(policy(a, 5))
      const east = 'east' as LocationCode
      expect(await sent(send(a, { need: 4, location: east }))).toMatchObject({ given: 2 })
      expect(await row(a, 'east')).toMatchObject({ onHand: 0 })
    })

    test('a cell that leaves hands over all that nobody has reserved or bought, its share of the allowance too', async () => {
      const a = sku()
      await given({ [a]: 9 })
      await given({ [a]: 4 }, 'east')
      await run(policy(a, 3), placeOrder({ [a]: 2 }, { provider: 'none' }))
      expect(await sent(handOver(a, [us1, ap1]))).toMatchObject({ given: 14, left: 0 })
      expect(await row(a)).toMatchObject({ onHand: 2, committed: 2, allowance: 0 })
      expect(await row(a, 'east')).toMatchObject({ onHand: 0 })
      const [toUs, toAp] = [await sent(send(a, {}, {}, us1)), await sent(send(a, {}, {}, ap1))]
      const both = [...toUs.totals, ...toAp.totals]
      expect(both.reduce((sum, { units }) => sum + units, 0)).toBe(11)
      expect(both.reduce((sum, { allowance }) => sum + allowance, 0)).toBe(3)
      expect(await sent(handOver(a, [us1, ap1]))).toMatchObject({ given: 0 })
    })

    test('units of a group are handed over to one cell, the same for all SKUs of the group', async () => {
      const skus = [sku(), sku(), sku()]
      for (const a of skus) {
        const grouped = policy(a, 0)
        await run({ ...grouped, policy: { ...grouped.policy, group: 'event-8' } })
        await given({ [a]: 2 })
        await sent(handOver(a, [us1, ap1]))
      }
      const atUs: number[] = []
      for (const a of skus) atUs.push((await sent(send(a, { evenIfGrouped: true }))).totals[0]!.units)
      expect([0, 2]).toContain(atUs[0])
      expect(new Set(atUs).size).toBe(1)
    })

    test('what is not counted is handed over as it lies there', async () => {
      const a = sku()
      await given({ [a]: 3 })
      await run(policy(a, 0, 'none'))
      expect(await sent(handOver(a, [us1]))).toMatchObject({ given: 3 })
      expect(await row(a)).toMatchObject({ onHand: 0 })
    })

    test('what may be sold in some regions only is split over their cells, and others are given none', async () => {
      const a = sku()
      const inUs = policy(a, 0)
      await run({ ...inUs, policy: { ...inUs.policy, regions: ['us'] } }, split(a, 9, even))
      expect(await counters(a)).toEqual([0, 0, 0])
      expect(await sent(send(a, {}, {}, us1))).toMatchObject({ totals: [{ units: 9 }] })
      await credited(take(a, 4))
      expect(await sent(send(a, { need: 4 }, {}, ap1))).toMatchObject({
        isKnown: true,
        given: 0,
        totals: [{ units: 0 }],
      })
      expect(await sent(send(a, { need: 1 }, {}, us1))).toMatchObject({ given: 1 })
    })

    test('what is not sold here any more is handed over to those who sell it, and stays where nobody does', async () => {
      const a = sku()
      await given({ [a]: 3 })
      expect(await sent(handOver(a, [us1, ap1], false))).toMatchObject({ given: 0 })
      const elsewhere = policy(a, 0)
      await run({ ...elsewhere, policy: { ...elsewhere.policy, regions: ['sa'] } })
      expect(await sent(handOver(a, [us1, ap1], false))).toMatchObject({ given: 0 })
      await run({ ...elsewhere, policy: { ...elsewhere.policy, regions: ['sa', 'ap'] } })
      expect(await sent(handOver(a, [us1, ap1], false))).toMatchObject({ given: 3 })
      expect(told(await run(placeOrder({ [a]: 1 })))).toEqual(['insufficient_stock'])
    })

    test('units of a place that came from elsewhere are not missing where they never were', async () => {
      const a = sku()
      await credited(take(a, 5))
      expect(told(await run(adjust(a, { delta: -6 }, 'lost')))).toEqual(['insufficient_stock'])
      expect(await row(a)).toMatchObject({ onHand: 5, missing: 0 })
    })

    test('who is in want itself and was first keeps what it has', async () => {
      const a = sku()
      await given({ [a]: 1 })
      expect(await sent(send(a, { need: 1 }, { isElder: true }))).toMatchObject({ given: 0, left: 1 })
    })

    test('holds that are over free their units for an ask in the same batch', async () => {
      const a = sku()
      await given({ [a]: 1 })
      await run({
        kind: 'place_hold',
        shopId,
        holdId: placeOrder({}).orderId,
        lines: [{ sku: a as Sku, quantity: 1 }],
        ttlMs: 50,
      })
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ given: 0 })
      await bench().elapse(100)
      expect(await sent(send(a, { need: 1 }))).toMatchObject({ given: 1 })
    })
  })
}
