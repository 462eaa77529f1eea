// The decisions of a batch, by property: whatever commands come, in whatever batches, units are never oversold, refusals leave
// no trace, a batch is as its commands one by one, and the events tell every movement. And the lives of holds and orders, whole.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Uuid } from '../../../src/base/ids.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import type { Submission } from '../../../src/modules/orders/types.ts'
import { availableOf } from '../../../src/modules/stock/sourcing.ts'
import type { HoldStatus } from '../../../src/modules/stock/types.ts'
import { told } from '../../support/engine.ts'
import { anyBatches } from './decide-any.ts'
import {
  cancelOrder,
  carryOn,
  extendHold,
  freshState,
  holdOf,
  orderOf,
  placeHold,
  releaseHold,
  submit,
  traceOf,
} from './decide-given.ts'

/** A property of every batch of a random history; `before` is the state the batch was given. */
function inEveryHistory(
  check: (batch: { before: ReturnType<typeof freshState>; submissions: Submission[] }) => void,
): void {
  fc.assert(
    fc.property(anyBatches, (batches) => {
      let state = freshState()
      for (const { elapsedMs, submissions } of batches) {
        const before = carryOn(state, elapsedMs)
        check({ before: carryOn(before, 0), submissions })
        decideBatch(before, submissions)
        state = before
      }
    }),
    { numRuns: 150 },
  )
}

describe('whatever is asked', () => {
  test('nothing is oversold: whoever takes units finds them there', () => {
    inEveryHistory(({ before, submissions }) => {
      let state = before
      for (const submission of submissions) {
        state = carryOn(state, 0)
        decideBatch(state, []) // what is due has gone
        state = carryOn(state, 0)
        const availableBefore = new Map([...state.rows].map(([key, rows]) => [key, availableOf(rows)]))
        const [outcome] = decideBatch(state, [submission])
        const { command } = submission
        if (!outcome?.ok || (command.kind !== 'place_hold' && command.kind !== 'place_order')) continue
        if (outcome.value.kind === 'earlier' || (command.kind === 'place_order' && command.holdId !== null)) continue
        const wanted = new Map<string, number>()
        for (const { sku, quantity } of command.lines) wanted.set(`1 ${sku}`, (wanted.get(`1 ${sku}`) ?? 0) + quantity)
        for (const [key, units] of wanted) expect(availableBefore.get(key)).toBeGreaterThanOrEqual(units)
      }
    })
  })

  test('a refusal leaves no trace', () => {
    inEveryHistory(({ before, submissions }) => {
      let state = before
      for (const submission of submissions) {
        state = carryOn(state, 0)
        decideBatch(state, [])
        state = carryOn(state, 0)
        const trace = traceOf(state)
        const [outcome] = decideBatch(state, [submission])
        if (!outcome!.ok) expect(traceOf(state)).toEqual(trace)
      }
    })
  })

  test('a batch is as its commands one by one, in the same order', () => {
    inEveryHistory(({ before, submissions }) => {
      const together = carryOn(before, 0)
      const answers = decideBatch(together, submissions)
      let state = before
      const alone = submissions.map((submission) => {
        state = carryOn(state, 0)
        return decideBatch(state, [submission])[0]!
      })
      expect(told(answers)).toEqual(told(alone))
      expect(traceOf(carryOn(together, 0))).toEqual(traceOf(carryOn(state, 0)))
    })
  })

  test('the events tell every movement of units, and count each subject on from one', () => {
    inEveryHistory(({ before, submissions }) => {
      const counters = () =>
        new Map(
          [...before.rowById.values()].map((row) => [row.id, [row.onHand, row.reserved, row.committed, row.shipped]]),
        )
      const sums = counters()
      decideBatch(before, submissions)
      const seen = new Map<string, number>()
      for (const event of before.events) {
        const last = seen.get(event.subject)
        if (last !== undefined) expect(event.subjectVersion).toBe(last + 1)
        seen.set(event.subject, event.subjectVersion)
        for (let at = 0; at < event.moves.length; at += 5) {
          const row = sums.get(event.moves[at] as never)!
          for (let column = 0; column < 4; column++) row[column]! += event.moves[at + 1 + column]!
        }
      }
      expect(sums).toEqual(counters())
    })
  })

  test('counters are the sums over live holds, unpaid and confirmed orders, row by row', () => {
    inEveryHistory(({ before, submissions }) => {
      decideBatch(before, submissions)
      const { reserved, committed } = sumsOfThings(before)
      for (const row of before.rowById.values()) {
        expect([row.reserved, row.committed]).toEqual([reserved.get(row.id) ?? 0, committed.get(row.id) ?? 0])
        expect(row.onHand).toBeGreaterThanOrEqual(0)
      }
    })
  })
})

/** Written apart from decide: units of an order's line leave from the end of its allocations. */
function sumsOfThings(state: ReturnType<typeof freshState>) {
  const reserved = new Map<number, number>()
  const committed = new Map<number, number>()
  const add = (sums: Map<number, number>, row: number, units: number) => sums.set(row, (sums.get(row) ?? 0) + units)
  for (const hold of state.holds.values()) {
    if (hold.status !== 'active') continue
    for (const line of hold.lines) for (const { row, quantity } of line.allocations) add(reserved, row, quantity)
  }
  for (const order of state.orders.values()) {
    if (order.status === 'cancelled') continue
    for (const [index, line] of order.lines.entries()) {
      let left = line.quantity - (order.cancelled?.[index] ?? 0)
      for (const { row, quantity } of line.allocations) {
        add(order.status === 'pending' ? reserved : committed, row, Math.min(left, quantity))
        left -= Math.min(left, quantity)
      }
    }
  }
  return { reserved, committed }
}

describe('the life of a hold, whole', () => {
  const commands = {
    extend: (id: Uuid) => extendHold(id, 5_000),
    release: (id: Uuid) => releaseHold(id),
    order: (id: Uuid) => orderOf({ A: 1 }, { holdId: id }),
  }
  const expected: Record<HoldStatus | 'due', Record<keyof typeof commands, string>> = {
    active: { extend: 'hold', release: 'hold', order: 'order' },
    due: { extend: 'hold_expired', release: 'hold', order: 'hold_expired' },
    expired: { extend: 'hold_expired', release: 'hold', order: 'hold_expired' },
    released: { extend: 'hold_released', release: 'hold', order: 'hold_released' },
    consumed: { extend: 'hold_consumed', release: 'hold_consumed', order: 'hold_consumed' },
  }
  for (const [status, answers] of Object.entries(expected)) {
    for (const [name, answer] of Object.entries(answers)) {
      test(`${name} of a hold that is ${status}: ${answer}`, () => {
        let state = freshState()
        const hold = placeHold({ A: 2 }, 1_000)
        decideBatch(state, [submit(hold)])
        if (status === 'released') decideBatch(state, [submit(releaseHold(hold.holdId))])
        if (status === 'consumed') decideBatch(state, [submit(orderOf({ A: 1 }, { holdId: hold.holdId }))])
        state = carryOn(state, status === 'due' || status === 'expired' ? 1_000 : 999)
        if (status === 'expired') decideBatch(state, [])
        expect(told(decideBatch(state, [submit(commands[name as keyof typeof commands](hold.holdId))]))).toEqual([
          answer,
        ])
        expect(holdOf(state, hold.holdId).status).not.toBe('due')
      })
    }
  }
})

describe('cancelling by line', () => {
  test('takes units from the last lines of a SKU first, and whatever the parts, the whole comes back', () => {
    const parts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(parts, fc.boolean(), (quantities, isPaid) => {
        const state = freshState()
        const order = orderOf({ A: 3 }, { provider: isPaid ? 'none' : null })
        order.lines.push({ ...order.lines[0]!, quantity: 2 }, { ...order.lines[0]!, quantity: 4 })
        decideBatch(state, [submit(order)])
        const placed = state.orders.get(order.orderId)!
        let left = 9
        for (const quantity of quantities) {
          const [answer] = told(decideBatch(state, [submit(cancelOrder(order.orderId, { A: quantity }))]))
          const expected = left === 0 ? 'order_cancelled' : quantity > left ? 'quantity_too_large' : 'order'
          expect(answer).toBe(expected)
          if (expected === 'order') left -= quantity
          const rows = [...state.rowById.values()].filter((row) => row.sku === 'A')
          const counted = rows.reduce((sum, row) => sum + (isPaid ? row.committed : row.reserved), 0)
          expect(counted).toBe(left)
          if (placed.cancelled && placed.status !== 'cancelled')
            expect(placed.cancelled).toEqual(fromTheEnd([3, 2, 4], 9 - left))
        }
      }),
    )
  })
})

function fromTheEnd(lines: number[], units: number): number[] {
  let left = units
  return lines
    .toReversed()
    .map((quantity) => {
      const taken = Math.min(left, quantity)
      left -= taken
      return taken
    })
    .toReversed()
}
