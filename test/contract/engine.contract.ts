// What every store of the engine does, told as given / when / then: the Postgres store and the memory store that the simulator
// runs on pass the same suite, so that what the simulator finds holds for both.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CellName, type ShopId, toWireId } from '../../src/base/ids.ts'
import { cell, newKey, newUuid, placeHold, placeOrder, receive, submission, told } from '../support/engine.ts'
import type { EngineBench, EngineState, TestProcess } from './engine-bench.ts'
import { dueContract } from './engine-due.contract.ts'
import { cancel, extend, handsOn, keyless, release, sku } from './engine-hands.ts'
import { lanesContract } from './engine-lanes.contract.ts'
import { stockContract } from './engine-stock.contract.ts'
import { transfersContract } from './engine-transfers.contract.ts'

/** The bench has the locations `main` and `east`, in this priority. */
export function engineContract(storeName: string, open: () => Promise<EngineBench>): void {
  describe(`the engine on ${storeName}`, () => {
    let bench: EngineBench
    let engine: TestProcess
    beforeAll(async () => {
      bench = await open()
    })
    beforeEach(() => {
      engine = bench.process()
    })
    afterEach(async () => {
      thenBooksBalance(await bench.readState())
      await engine.close()
    })
    afterAll(() => bench.close())

    const hands = handsOn(
      () => bench,
      () => engine,
    )
    const { run, counters, types, given, placed, held } = hands

    describe('orders', () => {
      test('given units, an order without a provider reserves them', async () => {
        const a = sku()
        await given({ [a]: 5 })
        const order = await placed({ [a]: 3 })
        expect(order).toMatchObject({ status: 'pending', total: 1500, version: 1 })
        expect(await counters(a)).toEqual([5, 3, 0])
        expect(await types(toWireId('ord', cell, order.id))).toEqual(['order.placed'])
      })

      test('one paid elsewhere is confirmed at once, its units committed', async () => {
        const a = sku()
        await given({ [a]: 5 })
        const order = await placed({ [a]: 3 }, { provider: 'none' })
        expect(order).toMatchObject({ status: 'confirmed', version: 2, expiresAt: null })
        expect(await counters(a)).toEqual([5, 0, 3])
        expect(await types(toWireId('ord', cell, order.id))).toEqual(['order.placed', 'order.confirmed'])
      })

      test('given 3 units, 2 and 2 in two lines are refused together, and nothing is kept', async () => {
        const a = sku()
        await given({ [a]: 3 })
        const twice = placeOrder({ [a]: 2 })
        twice.lines.push({ ...twice.lines[0]! })
        const key = newKey()
        const [refusal] = await run(submission(twice, key))
        const missing = { code: 'insufficient_stock', sku: a, requested: 4, available: 3 }
        expect(refusal).toMatchObject({
          ok: false,
          code: 'insufficient_stock',
          errors: [
            { pointer: '/lines/0', ...missing },
            { pointer: '/lines/1', ...missing },
          ],
        })
        expect(await counters(a)).toEqual([3, 0, 0])
        const state = await bench.readState()
        expect(state.orders.some((order) => order.id === twice.orderId)).toBe(false)
        expect(state.keys.some((one) => one.hash === key.hash)).toBe(false)
      })

      test('all lines or none: a line that is short leaves the others their units', async () => {
        const [a, b] = [sku(), sku()]
        await given({ [a]: 5, [b]: 1 })
        const [refusal] = await run(placeOrder({ [a]: 5, [b]: 2 }))
        expect(refusal).toMatchObject({ code: 'insufficient_stock', errors: [{ pointer: '/lines/1', sku: b }] })
        expect(await counters(a)).toEqual([5, 0, 0])
      })

      test('an unknown SKU is refused by name', async () => {
        const a = sku()
        const [refusal] = await run(placeOrder({ [a]: 1 }))
        expect(refusal).toMatchObject({ code: 'sku_not_found', errors: [{ pointer: '/lines/0', sku: a }] })
      })

      test('a line may be split over locations, by their priority', async () => {
        const a = sku()
        await given({ [a]: 2 }, 'east')
        await given({ [a]: 2 })
        const order = await placed({ [a]: 3 })
        expect(order.lines[0]!.allocations.map(({ location, quantity }) => [location, quantity])).toEqual([
          ['main', 2],
          ['east', 1],
        ])
        expect(told(await run(placeOrder({ [a]: 2 })))).toEqual(['insufficient_stock'])
        expect([await counters(a), await counters(a, 'east')]).toEqual([
          [2, 2, 0],
          [2, 1, 0],
        ])
      })

      test('commands of one batch see what those before them did', async () => {
        const a = sku()
        await given({ [a]: 2 })
        const first = placeOrder({ [a]: 2 })
        expect(
          told(
            await run(
              first,
              placeOrder({ [a]: 1 }),
              receive({ [a]: 1 }),
              placeOrder({ [a]: 1 }),
              placeOrder({ [a]: 1 }),
            ),
          ),
        ).toEqual(['order', 'insufficient_stock', 'adjusted', 'order', 'insufficient_stock'])
        expect(await counters(a)).toEqual([3, 3, 0])
      })

      test('a reference belongs to one order, in one batch and later', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const reference = `R-${a}`
        const two = await run(placeOrder({ [a]: 1 }, { reference }), placeOrder({ [a]: 1 }, { reference }))
        expect(told(two)).toEqual(['order', 'reference_taken'])
        expect(told(await run(placeOrder({ [a]: 1 }, { reference })))).toEqual(['reference_taken'])
        expect(await counters(a)).toEqual([9, 1, 0])
      })

      test('what was written is what is read: content, personal data and annotations', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const more = {
          customer: 'c-1',
          reference: `R-${a}`,
          personal: { email: 'a@example.com', address: { country: 'DE', city: 'Köln' }, note: 'ring twice' },
          annotations: { tags: ['gift'], metadata: { channel: 'shop' } },
        }
        const order = await placed({ [a]: 2 }, more)
        const [outcome] = await run(cancel(order.id, { [a]: 1 }))
        const stored = outcome!.ok && outcome!.value.kind === 'order' ? outcome!.value.order : null
        const changed = { cancelled: [1], version: 2, updatedAt: stored!.updatedAt, life: stored!.life }
        expect(stored!.life).toMatchObject({ credited: 500, creditedUnits: [1], payments: [], open: null })
        expect(stored).toEqual({ ...order, ...changed })
      })
    })

    describe('keys', () => {
      test('the same key and body answers the first thing, in one batch and in later ones', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const key = newKey()
        const first = placeOrder({ [a]: 1 })
        const again = () => submission(placeOrder({ [a]: 1 }), key)
        const earlier = { ok: true, replayed: true, value: { kind: 'earlier', resultId: first.orderId } }
        expect(await run(submission(first, key), again())).toMatchObject([{ replayed: false }, earlier])
        expect(await run(again())).toMatchObject([earlier])
        expect(await counters(a)).toEqual([9, 1, 0])
      })

      test('with another body it is refused, and nothing happens', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const key = newKey()
        await run(submission(placeOrder({ [a]: 1 }), key))
        const other = { ...key, request: newKey().request }
        expect(told(await run(submission(placeHold({ [a]: 1 }, 1_000), other)))).toEqual(['idempotency_key_reused'])
        expect(await counters(a)).toEqual([9, 1, 0])
      })

      test('our own first try, whose answer was lost, is no replay', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const once = submission(placeOrder({ [a]: 1 }))
        await run(once)
        expect(await run(once)).toMatchObject([{ ok: true, replayed: false, value: { kind: 'earlier' } }])
      })

      test('a refusal leaves no key: the same key succeeds after a restock', async () => {
        const a = sku()
        await given({ [a]: 1 })
        const once = submission(placeOrder({ [a]: 2 }))
        expect(told(await run(once))).toEqual(['insufficient_stock'])
        await given({ [a]: 1 })
        expect(told(await run(once))).toEqual(['order'])
      })

      test('one that another cell has taken is answered with that cell, and what was taken here stays here', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const [taken, own] = [newKey(), newKey()]
        const there = placeOrder({ [a]: 1 })
        const remember = (key: typeof taken) =>
          submission(
            {
              kind: 'remember_key',
              shopId: there.shopId,
              resultId: there.orderId,
              takenBy: 'e2u1' as CellName, // digits may stand anywhere in a name
            },
            key,
          )
        expect(told(await run(remember(taken)))).toEqual(['key_remembered'])
        const earlier = {
          ok: true,
          replayed: true,
          value: { kind: 'earlier', resultId: there.orderId, takenBy: 'e2u1' },
        }
        expect(await run(remember(taken), submission(placeOrder({ [a]: 1 }), taken))).toMatchObject([earlier, earlier])
        const other = { ...taken, request: newKey().request }
        expect(told(await run(submission(placeOrder({ [a]: 1 }), other)))).toEqual(['idempotency_key_reused'])
        expect(await counters(a)).toEqual([9, 0, 0])

        const here = placeOrder({ [a]: 1 })
        await run(submission(here, own))
        const value = { kind: 'earlier', resultId: here.orderId, takenBy: null }
        expect(await run(remember(own), submission(placeOrder({ [a]: 1 }), own))).toMatchObject([{ value }, { value }])
      })

      test('shops do not share keys', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const key = newKey()
        await run(submission(placeOrder({ [a]: 1 }), key))
        const foreign = { ...placeOrder({ [a]: 1 }), shopId: 2 as ShopId }
        expect(told(await run(submission(foreign, key)))).toEqual(['sku_not_found'])
      })

      test('an adjustment is done once', async () => {
        const a = sku()
        const once = submission(receive({ [a]: 4 }))
        expect(told(await run(once))).toEqual(['adjusted'])
        expect(told(await run(once))).toEqual(['earlier'])
        expect(await counters(a)).toEqual([4, 0, 0])
      })
    })

    describe('holds', () => {
      test('a hold reserves, releasing it gives back, and doing so twice is no error', async () => {
        const a = sku()
        await given({ [a]: 5 })
        const hold = await held({ [a]: 2 })
        expect(await counters(a)).toEqual([5, 2, 0])
        expect(told(await run(keyless(release(hold.id))))).toEqual(['hold'])
        expect(told(await run(keyless(release(hold.id))))).toEqual(['hold'])
        expect(await counters(a)).toEqual([5, 0, 0])
        expect(await types(toWireId('hld', cell, hold.id))).toEqual(['hold.created', 'hold.released'])
      })

      test('an order uses it: what the order takes stays, the rest is released', async () => {
        const a = sku()
        await given({ [a]: 5 })
        const hold = await held({ [a]: 5 })
        await placed({ [a]: 2 }, { holdId: hold.id })
        expect(await counters(a)).toEqual([5, 2, 0])
        expect(
          told(
            await run(placeOrder({ [a]: 1 }, { holdId: hold.id }), keyless(release(hold.id)), extend(hold.id, 1_000)),
          ),
        ).toEqual(['hold_consumed', 'hold_consumed', 'hold_consumed'])
      })

      test('a hold that is too small, released, or not there is refused, and stays as it is', async () => {
        const [a, b] = [sku(), sku()]
        await given({ [a]: 5, [b]: 5 })
        const hold = await held({ [a]: 2 })
        expect(
          told(
            await run(
              placeOrder({ [a]: 3 }, { holdId: hold.id }),
              placeOrder({ [b]: 1 }, { holdId: hold.id }),
              placeOrder({ [a]: 1 }, { holdId: newUuid() }),
              extend(newUuid(), 1_000),
              keyless(release(newUuid())),
            ),
          ),
        ).toEqual(['hold_too_small', 'hold_too_small', 'hold_not_found', 'not_found', 'not_found'])
        await run(keyless(release(hold.id)))
        expect(told(await run(placeOrder({ [a]: 1 }, { holdId: hold.id }), extend(hold.id, 1_000)))).toEqual([
          'hold_released',
          'hold_released',
        ])
      })

      test('units of an expired hold are there for the very next command', async () => {
        const a = sku()
        await given({ [a]: 2 })
        const hold = await held({ [a]: 2 }, 500)
        expect(told(await run(placeOrder({ [a]: 2 })))).toEqual(['insufficient_stock'])
        await bench.elapse(550)
        expect(told(await run(placeOrder({ [a]: 2 })))).toEqual(['order'])
        expect(told(await run(extend(hold.id, 1_000), placeOrder({ [a]: 1 }, { holdId: hold.id })))).toEqual([
          'hold_expired',
          'hold_expired',
        ])
        expect(await types(toWireId('hld', cell, hold.id))).toEqual(['hold.created', 'hold.expired'])
      })

      test('extending counts from now, and keeps the hold alive', async () => {
        const a = sku()
        await given({ [a]: 2 })
        const hold = await held({ [a]: 2 }, 200)
        expect(told(await run(extend(hold.id, 60_000)))).toEqual(['hold'])
        await bench.elapse(250)
        expect(told(await run(placeOrder({ [a]: 2 }), placeOrder({ [a]: 2 }, { holdId: hold.id })))).toEqual([
          'insufficient_stock',
          'order',
        ])
      })

      test('the sweeper expires what is due, whatever its SKU', async () => {
        const a = sku()
        await given({ [a]: 2 })
        await held({ [a]: 2 }, 1)
        await bench.elapse(10)
        const [outcome] = await run(keyless({ kind: 'expire_due', limit: 500 }))
        expect(outcome).toMatchObject({ ok: true, value: { kind: 'expired' } })
        expect(await counters(a)).toEqual([2, 0, 0])
      })
    })

    describe('cancelling', () => {
      test('gives back what was reserved, and what was committed', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const [pending, confirmed] = [await placed({ [a]: 2 }), await placed({ [a]: 3 }, { provider: 'none' })]
        expect(await counters(a)).toEqual([9, 2, 3])
        expect(told(await run(cancel(pending.id), cancel(confirmed.id), cancel(pending.id)))).toEqual([
          'order',
          'order',
          'order_cancelled',
        ])
        expect(await counters(a)).toEqual([9, 0, 0])
      })

      test('by line takes those units only; the last of them cancels the order', async () => {
        const [a, b] = [sku(), sku()]
        await given({ [a]: 9, [b]: 9 })
        const order = await placed({ [a]: 3, [b]: 2 })
        const id = toWireId('ord', cell, order.id)
        expect(told(await run(cancel(order.id, { [a]: 4 }), cancel(order.id, { [sku()]: 1 })))).toEqual([
          'quantity_too_large',
          'line_not_found',
        ])
        expect(told(await run(cancel(order.id, { [a]: 2 })))).toEqual(['order'])
        expect(await counters(a)).toEqual([9, 1, 0])
        expect(told(await run(cancel(order.id, { [a]: 1, [b]: 2 })))).toEqual(['order'])
        expect([await counters(a), await counters(b)]).toEqual([
          [9, 0, 0],
          [9, 0, 0],
        ])
        expect(await types(id)).toEqual(['order.placed', 'order.lines_cancelled', 'order.cancelled'])
      })

      test('another version, another shop, another order: refused', async () => {
        const a = sku()
        await given({ [a]: 9 })
        const order = await placed({ [a]: 1 })
        expect(
          told(await run(cancel(order.id, null, 7), { ...cancel(order.id), shopId: 2 as ShopId }, cancel(newUuid()))),
        ).toEqual(['precondition_failed', 'not_found', 'not_found'])
        expect(await counters(a)).toEqual([9, 1, 0])
      })
    })

    transfersContract(() => bench, hands)
    stockContract(() => bench, hands)
    dueContract(() => bench, hands)
    lanesContract(() => bench)
  })
}

/** What must be so after whatever commands: the log tells every count, and versions have no gaps. */
function thenBooksBalance({ rows, events }: EngineState): void {
  const sums = new Map<number, number[]>()
  const versions = new Map<string, number>()
  for (const event of events) {
    expect(event.subjectVersion, event.subject).toBe((versions.get(event.subject) ?? 0) + 1)
    versions.set(event.subject, event.subjectVersion)
    for (let at = 0; at < event.moves.length; at += 5) {
      const before = sums.get(event.moves[at]!) ?? [0, 0, 0, 0]
      sums.set(
        event.moves[at]!,
        before.map((sum, column) => sum + event.moves[at + 1 + column]!),
      )
    }
  }
  for (const row of rows) {
    expect([row.onHand, row.reserved, row.committed, row.shipped], row.sku).toEqual(sums.get(row.id) ?? [0, 0, 0, 0])
  }
}
