// Callers who wait for an order: told by batches of this process, by a slow look at the tables, and let go when they leave.
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type CellName, type ShopId, toWireId, type Uuid } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { accepted } from '../../../src/base/result.ts'
import { instant } from '../../../src/base/time.ts'
import type { Payment } from '../../../src/modules/orders/life.ts'
import { emptyLife } from '../../../src/modules/orders/money.ts'
import type { PaymentStatus } from '../../../src/modules/orders/states.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import { createWaiting, isSettled } from '../../../src/modules/orders/waiting.ts'
import type { LogEvent } from '../../../src/runtime/event-log.ts'
import { type TypeFilter, wantsType } from '../../../src/runtime/event-types.ts'
import { newUuid } from '../../support/engine.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const shopId = 1 as ShopId

function orderWith(statuses: PaymentStatus[], more: Partial<Order> = {}): Order {
  const payments = statuses.map((status): Payment => {
    const amounts = { amount: 500 as MinorUnits, captured: 0 as MinorUnits, openedAt: instant(0) }
    const rest = { capture: 'now', asked: null, reference: null, error: null, nextAction: null } as const
    return { id: newUuid(), provider: 'test', method: 'tok_ok', status, ...amounts, ...rest }
  })
  const life = statuses.length === 0 ? null : { ...emptyLife, payments }
  return { id: newUuid(), shopId, status: 'pending', version: 1, life, ...more } as Order
}

const later = (order: Order, statuses: PaymentStatus[], status: Order['status'] = 'pending'): Order => ({
  ...orderWith(statuses),
  id: order.id,
  status,
  version: order.version + 1,
})

class Caller extends EventEmitter {
  destroyed = false
  leave() {
    this.destroyed = true
    this.emit('close')
  }
}

/** Someone who waits ten seconds for the order, and what they have been answered so far. */
function waiterFor(order: Order, read: () => Promise<Order | undefined> = async () => undefined) {
  const reads = vi.fn(read)
  const waiting = createWaiting(reads)
  const caller = new Caller()
  const watch = waiting.watch('wait=10', shopId, order.id)!
  const state: { answer?: Order } = {}
  const wait = () =>
    watch.settled(order, caller as never).then((answer) => {
      state.answer = answer
      watch.end()
    })
  return { waiting, caller, watch, wait, state, reads }
}

/** A log that tells of events one by one; answered when it has been read. */
function logOf() {
  const events: LogEvent[] = []
  let moved = Promise.withResolvers<void>()
  return {
    attendants: 0,
    get horizon() {
      return events.length
    },
    attend() {
      this.attendants++
      return () => void this.attendants--
    },
    beyond: async (seq: number, signal: AbortSignal) => {
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      while (events.length <= seq && !signal.aborted) await Promise.race([moved.promise, aborted])
    },
    read: async (seq: number, { types }: { types?: TypeFilter }) => ({
      events: events.slice(seq).filter(({ type }) => wantsType(types, type)),
      seq: events.length,
    }),
    async tell(type: string, order: Uuid, subjectVersion: number) {
      const subject = toWireId('ord', 'eu1' as CellName, order)
      const rest = { seq: events.length + 1, shopId, eventId: newUuid(), at: instant(0), data: '{}' }
      events.push({ ...rest, type, subject, subjectVersion })
      moved.resolve()
      moved = Promise.withResolvers()
      await vi.advanceTimersByTimeAsync(1)
    },
  }
}

describe('an order is settled', () => {
  it.each<[boolean, string, Order]>([
    [true, 'without an attempt', orderWith([])],
    [false, 'no longer while one is pending', orderWith(['failed', 'pending'])],
    [false, 'not yet when one is authorized and about to be captured', orderWith(['authorized'])],
    [true, 'when the buyer has to act', orderWith(['requires_action'])],
    [true, 'when the attempt has failed', orderWith(['failed'])],
    [true, 'when it has left pending', orderWith(['pending'], { status: 'cancelled' })],
  ])('%s: %s', (settled, _, order) => {
    expect(isSettled(order)).toBe(settled)
  })
})

describe('a waiter', () => {
  it('is answered by the batch that settles the order, and by none before', async () => {
    const order = orderWith(['pending'])
    const { waiting, wait, state, reads } = waiterFor(order)
    const done = wait()
    waiting.saw([accepted({ kind: 'order', order: later(order, ['authorized']) })])
    waiting.saw([accepted({ kind: 'order', order: orderWith(['captured'], { status: 'confirmed' }) })])
    await vi.advanceTimersByTimeAsync(10)
    expect(state.answer).toBeUndefined()
    const confirmed = { ...later(order, ['captured'], 'confirmed'), version: 3 }
    waiting.saw([accepted({ kind: 'order', order: confirmed })])
    await done
    expect(state.answer).toBe(confirmed)
    expect(waiting.size).toBe(0)
    expect(reads).not.toHaveBeenCalled()
  })

  it('misses nothing that happened between the command and the wait', async () => {
    const order = orderWith(['pending'])
    const { waiting, wait, state } = waiterFor(order)
    const confirmed = later(order, ['captured'], 'confirmed')
    waiting.saw([accepted({ kind: 'order', order: confirmed })])
    await wait()
    expect(state.answer).toBe(confirmed)
  })

  it('learns from the tables what another process has settled; an outage of theirs is waited out', async () => {
    const order = orderWith(['pending'])
    const confirmed = later(order, ['captured'], 'confirmed')
    const tables: (Order | undefined | Error)[] = [new Error('gone'), order, confirmed]
    const { wait, state, reads } = waiterFor(order, async () => {
      const next = tables.shift()
      if (next instanceof Error) throw next
      return next
    })
    const done = wait()
    await vi.advanceTimersByTimeAsync(limits.orderPollMs * 3)
    expect(state.answer).toBeUndefined()
    await vi.advanceTimersByTimeAsync(limits.orderPollMs)
    await done
    expect(state.answer).toBe(confirmed)
    expect(reads).toHaveBeenCalledTimes(3)
    await vi.advanceTimersByTimeAsync(limits.orderPollMs * 10)
    expect(reads).toHaveBeenCalledTimes(3) // nobody waits, nobody looks
    expect(vi.getTimerCount()).toBe(0)
  })

  it('hears of it by the log when another process has settled it, and reads no order that it has seen', async () => {
    const order = orderWith(['pending'])
    const log = logOf()
    const confirmed = later(order, ['captured'], 'confirmed')
    const reads = vi.fn(async () => confirmed)
    const waiting = createWaiting(reads, log)
    expect(log.attendants).toBe(0)
    const watch = waiting.watch('wait=10', shopId, order.id)!
    const answer = watch.settled(order, new Caller() as never)
    expect(log.attendants).toBe(1)
    await log.tell('order.confirmed', newUuid(), 2) // of nobody here
    await log.tell('order.confirmed', order.id, order.version) // seen already
    await log.tell('payment.authorized', order.id, 9) // settles nothing
    expect(reads).not.toHaveBeenCalled()
    await log.tell('order.confirmed', order.id, confirmed.version)
    expect(await answer).toBe(confirmed)
    expect(reads).toHaveBeenCalledOnce()
    watch.end()
    await log.tell('order.confirmed', newUuid(), 2)
    expect(log.attendants).toBe(0) // nobody waits, nobody listens

    const next = orderWith(['pending'])
    const again = waiting.watch('wait=10', shopId, next.id)!
    const cut = again.settled(next, new Caller() as never)
    expect(log.attendants).toBe(1)
    waiting.stop()
    expect(await cut).toBe(next)
    again.end()
    await vi.waitFor(() => expect(log.attendants).toBe(0))
  })

  it('is answered with what is known when the time is over', async () => {
    const order = orderWith(['pending'])
    const { waiting, wait, state } = waiterFor(order)
    const done = wait()
    const newer = later(order, ['authorized'])
    waiting.saw([accepted({ kind: 'order', order: newer })])
    await vi.advanceTimersByTimeAsync(9_999)
    expect(state.answer).toBeUndefined()
    await vi.advanceTimersByTimeAsync(1)
    await done
    expect(state.answer).toBe(newer)
    expect(waiting.size).toBe(0)
  })

  it('is forgotten when they leave, before or while they wait', async () => {
    const order = orderWith(['pending'])
    const { waiting, caller, wait } = waiterFor(order)
    const done = wait()
    caller.leave()
    await done
    expect(waiting.size).toBe(0)
    expect(caller.listenerCount('close')).toBe(0)
    const gone = waiterFor(order)
    gone.caller.leave()
    await gone.wait()
    expect(gone.waiting.size).toBe(0)
    await vi.advanceTimersByTimeAsync(limits.orderPollMs)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is answered at once when the server drains, and nobody waits from then on', async () => {
    const order = orderWith(['pending'])
    const { waiting, wait, state } = waiterFor(order)
    const done = wait()
    waiting.stop()
    await done
    expect(state.answer).toBe(order)
    expect(waiting.watch('wait=10', shopId, order.id)).toBeNull()
  })

  it('follows the order that the key had made before', async () => {
    const [mine, earlier] = [orderWith(['pending']), orderWith(['pending'])]
    const { waiting, watch } = waiterFor(mine)
    const answer = watch.settled(earlier, new Caller() as never)
    const confirmed = later(earlier, ['captured'], 'confirmed')
    waiting.saw([accepted({ kind: 'order', order: later(mine, ['captured'], 'confirmed') })])
    waiting.saw([accepted({ kind: 'order', order: confirmed })])
    expect(await answer).toBe(confirmed)
    watch.end()
    expect(waiting.size).toBe(0)
  })

  it('shares an order with others, and each is answered', async () => {
    const order = orderWith(['pending'])
    const { waiting, watch } = waiterFor(order)
    const other = waiting.watch('wait=5', shopId, order.id)!
    const answers = Promise.all([watch, other].map((one) => one.settled(order, new Caller() as never)))
    const confirmed = later(order, ['captured'], 'confirmed')
    waiting.saw([accepted({ kind: 'order', order: confirmed })])
    expect(await answers).toEqual([confirmed, confirmed])
  })
})

it('no more than so many wait; the next are answered at once', () => {
  const waiting = createWaiting(async () => undefined)
  const watches = Array.from({ length: limits.orderWatchersMax }, () => waiting.watch('wait=1', shopId, newUuid()))
  expect(watches.every((watch) => watch !== null)).toBe(true)
  expect(waiting.watch('wait=1', shopId, newUuid())).toBeNull()
  watches[0]!.end()
  expect(waiting.watch('wait=1', shopId, newUuid())).not.toBeNull()
})
