// Payments when things go wrong at each step, on a real database: whatever dies, each order is charged once.
import { beforeEach, expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { instant } from '../../../src/base/time.ts'
import { defaultTerms } from '../../../src/modules/orders/life.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import { emptyReport, reconcileCharges, reconcileOrders } from '../../../src/modules/payments/reconcile.ts'
import { deadOperations } from '../../../src/modules/payments/service.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  age,
  deadBeforeCall,
  declines,
  fails,
  openBank,
  openProcess,
  operationsOf,
  type Process,
  placeWith,
  scriptedProvider,
  triesAgain,
  whenOrder,
} from './process.ts'

let database: Database
let bank: ReturnType<typeof scriptedProvider>
let process: Process

beforeEach(async () => {
  const opened = await openBank()
  ;({ database, bank, process } = opened)
  return opened.close
})

const hour = 60 * 60 * 1000
const isConfirmed = ({ status }: Order) => status === 'confirmed'
const operationCount = async () => (await operationsOf(database)).length
const paymentOf = (order: Order) => order.life!.payments[0]!

async function expectChargedOnce(order: Order): Promise<void> {
  expect(bank.chargesOf(order.id)).toMatchObject([{ captured: 1000, refunded: 0 }])
  expect(paymentOf(await process.order(order.id))).toMatchObject({ status: 'captured', captured: 1000 })
}

test('an operation is committed before the provider hears of it, and gone once the order knows', async () => {
  let seen = 0
  bank.script(async (operation) => {
    seen = (await operationsOf(database)).filter(({ id, state }) => id === operation.id && state === 'unknown').length
    return bank.perform(operation)
  })
  process.consume()
  const order = await placeWith(process, 'bank')
  await whenOrder(process, order.id, isConfirmed)
  expect(seen).toBe(1)
  await eventually(async () => (await operationCount()) === 0)
  expect(bank.calls).toEqual(['send authorize'])
})

test('a process that dies before the call leaves it to the next, which asks first', async () => {
  process.consume(deadBeforeCall)
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationCount()) === 1)
  await process.takeDue()
  expect(bank.calls).toEqual([]) // its lease holds
  await age(database, limits.operationLeaseMs)
  await process.takeDue()
  expect(bank.calls).toEqual(['look up authorize'])
  await age(database, 1_000)
  await process.takeDue()
  expect(bank.calls).toEqual(['look up authorize', 'send authorize'])
  await expectChargedOnce(order)
  expect(await operationCount()).toBe(0)
})

test('a process that dies between the answer and the order leaves it to the next, which does not charge again', async () => {
  const dying = await openProcess(database, [bank.provider], {
    wrap: () => async () => {
      throw new Error('died')
    },
  })
  process.consume({ ...deadBeforeCall, carryOut: dying.executor.carryOut })
  const order = await placeWith(process, 'bank')
  await eventually(() => bank.charges.size === 1)
  await dying.stop()
  expect((await process.order(order.id)).status).toBe('pending')
  await age(database, limits.operationLeaseMs)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'look up authorize'])
  await expectChargedOnce(order)
})

test('an answer that is lost is asked after, and never sent again unasked', async () => {
  bank.script(async (operation) => {
    bank.perform(operation)
    throw new Error('the connection was lost after it was charged')
  })
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationsOf(database))[0]?.last_error?.includes('connection') ?? false)
  expect((await process.order(order.id)).status).toBe('pending')
  await age(database, hour)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'look up authorize'])
  await expectChargedOnce(order)
})

test('two processes on one database do each operation once', async () => {
  const other = await openProcess(database, [bank.provider])
  const orders = await Promise.all(Array.from({ length: 30 }, () => placeWith(process, 'bank')))
  const consumptions = [process.consume({ ...deadBeforeCall, room: () => 0 })] // all of them are left to be taken up
  await eventually(async () => (await operationCount()) === 30)
  await Promise.all([process.takeDue(), other.takeDue(), process.takeDue(), other.takeDue()])
  while ((await operationCount()) > 0) await Promise.all([process.takeDue(), other.takeDue()])
  expect(bank.calls).toEqual(Array(30).fill('send authorize'))
  for (const order of orders) await expectChargedOnce(order)
  await Promise.all(consumptions.map((one) => one.stop()))
  await other.stop()
})

test.each([
  ['at once', 0],
  ['a while later', hour],
])('reading the log again from its start, %s, changes no charge', async (_, ms) => {
  const first = process.consume()
  const paid = await placeWith(process, 'bank')
  await whenOrder(process, paid.id, isConfirmed)
  const cancelled = await placeWith(process, 'bank')
  await whenOrder(process, cancelled.id, isConfirmed)
  await process.run({
    kind: 'cancel_order',
    shopId,
    orderId: cancelled.id,
    reason: 'buyer',
    lines: null,
    ifVersion: null,
  })
  await whenOrder(process, cancelled.id, ({ life }) => life?.refunds[0]?.status === 'refunded')
  await eventually(async () => (await operationCount()) === 0)
  await first.stop()
  const before = [...bank.charges.values()]
  const versions = [(await process.order(paid.id)).version, (await process.order(cancelled.id)).version]

  await age(database, ms)
  await database.transaction((session) =>
    session.script('delete from runtime.inbox; delete from runtime.inbox_subjects; delete from runtime.consumers'),
  )
  const again = await openProcess(database, [bank.provider])
  again.consume()
  const [last] = await database.query<{ seq: number }>('select max(seq) as seq from runtime.events')
  await eventually(async () => {
    const [at] = await database.query<{ seq: number }>("select seq from runtime.consumers where name = 'payments'")
    return (at?.seq ?? 0) >= last!.seq && (await operationCount()) === 0
  })
  await again.stop()
  expect([...bank.charges.values()]).toEqual(before)
  expect([(await process.order(paid.id)).version, (await process.order(cancelled.id)).version]).toEqual(versions)
})

test('a provider that says it did nothing is asked again with the same key', async () => {
  bank.script(triesAgain, triesAgain)
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(() => bank.calls.length === 1)
  for (let turn = 0; turn < 2; turn++) {
    await eventually(async () => (await operationsOf(database))[0]?.state === 'not_done')
    await age(database, 10_000)
    await process.takeDue()
  }
  expect(bank.calls).toEqual(Array(3).fill('send authorize'))
  await expectChargedOnce(order)
})

test('a charge that its provider never did fails, and one that turns up later all the same is given back', async () => {
  bank.always(fails)
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationsOf(database))[0]?.last_error?.includes('connection') ?? false)
  await age(database, 24 * hour)
  await process.takeDue() // asked after: never heard
  await age(database, hour)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'look up authorize'])
  expect(paymentOf(await process.order(order.id))).toMatchObject({ status: 'failed' })
  expect(await operationCount()).toBe(0)

  await process.run({ kind: 'cancel_order', shopId, orderId: order.id, reason: 'buyer', lines: null, ifVersion: null })
  bank.always(undefined)
  bank.perform(operationFor(order))
  const report = emptyReport()
  await reconcileCharges(process.parts, shopId, instant(Date.now() + 1), report)
  expect(report).toMatchObject({ charges: 1, told: 1, differenceCount: 0 })
  await whenOrder(process, order.id, ({ life }) => life?.refunds[0]?.status === 'refunded')
  expect(bank.chargesOf(order.id)).toMatchObject([{ captured: 1000, refunded: 1000 }])
})

test('what there is no room for is taken up as soon as there is', async () => {
  process.consume()
  const orders = await Promise.all(Array.from({ length: 40 }, () => placeWith(process, 'bank')))
  for (const { id } of orders) await whenOrder(process, id, isConfirmed)
  expect(bank.calls).toEqual(Array(40).fill('send authorize'))
  await eventually(async () => (await operationCount()) === 0)
})

test('a provider that is slow takes only its own slots', async () => {
  const slow = scriptedProvider('slow')
  slow.always(
    (_, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('gave up')))),
  )
  const both = await openProcess(database, [bank.provider, slow.provider])
  both.consume()
  const held = await Promise.all(Array.from({ length: 40 }, () => placeWith(both, 'slow')))
  await eventually(() => slow.calls.length === 8)
  const order = await placeWith(both, 'bank')
  await whenOrder(both, order.id, isConfirmed)
  expect(slow.calls).toHaveLength(8)
  expect((await operationsOf(database)).filter(({ state }) => state === 'unsent')).toHaveLength(held.length - 8)
  await both.stop()
})

test('a provider that fails most calls is left alone for a while, and its operations wait unsent', {
  timeout: 30_000,
}, async () => {
  bank.always(fails)
  process.consume()
  const sent = 120 // breakerCallsPerSecondMin over breakerWindowMs, and some
  await Promise.all(Array.from({ length: sent }, () => placeWith(process, 'bank')))
  await eventually(async () => {
    await process.executor.takeDue()
    return process.open.has('bank')
  }, 20_000)
  expect(process.executor.room('bank')).toBe(0)
  const calls = bank.calls.length
  const order = await placeWith(process, 'bank')
  await eventually(async () =>
    (await operationsOf(database)).some(({ id, state }) => id === paymentOf(order).id && state === 'unsent'),
  )
  await process.executor.takeDue()
  expect(bank.calls.length).toBe(calls)
  bank.always(undefined)
  await eventually(async () => {
    await process.executor.takeDue()
    return isConfirmed(await process.order(order.id))
  }, 20_000)
})

test('a refund that the provider refuses fails visibly, and a retry by hand uses another key', async () => {
  process.consume()
  const order = await placeWith(process, 'bank')
  await whenOrder(process, order.id, isConfirmed)
  bank.script(declines)
  await process.run({ kind: 'cancel_order', shopId, orderId: order.id, reason: 'buyer', lines: null, ifVersion: null })
  await whenOrder(process, order.id, ({ life }) => life?.refunds[0]?.status === 'failed')
  const dead = deadOperations(database, process.run)
  await eventually(async () => (await dead.list(shopId, { after: null, limit: 10 })).length === 1)
  const [one] = await dead.list(shopId, { after: null, limit: 10 })
  expect(one).toMatchObject({
    kind: 'refund',
    orderId: order.id,
    reason: 'card_declined',
    data: { amount: 1000, refused: true },
  })
  expect(await dead.get(shopId, one!.id)).toEqual(one)
  expect(await dead.list(shopId, { after: one!.id, limit: 10 })).toEqual([])

  const id = await dead.retry(shopId, one!.id)
  expect(id).not.toBe(one!.id)
  expect(await dead.retry(shopId, one!.id)).toBeUndefined()
  await process.takeDue()
  expect((await process.order(order.id)).life!.refunds).toMatchObject([{ status: 'refunded', amount: 1000 }])
  expect(bank.chargesOf(order.id)).toMatchObject([{ refunded: 1000 }])
  expect(await operationCount()).toBe(0)
})

test('a capture that nobody answers for three days is a dead letter, asked after when it is retried, and can be dropped', async () => {
  process.consume()
  const order = await placeWith(process, 'bank', 'x', {
    terms: { ...defaultTerms, captureRule: 'at_shipment', reservationMs: hour },
  })
  await whenOrder(process, order.id, isConfirmed)
  bank.always(fails)
  await process.run({ kind: 'capture_order', shopId, orderId: order.id, ifVersion: null })
  await eventually(async () => (await operationsOf(database))[0]?.last_error?.includes('connection') ?? false)
  await age(database, 73 * hour)
  await process.takeDue()
  const dead = deadOperations(database, process.run)
  const [one] = await dead.list(shopId, { after: null, limit: 10 })
  expect(one).toMatchObject({ kind: 'capture', data: { refused: false, refund_id: null } })
  expect(paymentOf(await process.order(order.id))).toMatchObject({ status: 'authorized', asked: 'capture' })
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'send capture'])

  bank.always(undefined)
  expect(await dead.retry(shopId, one!.id)).toBe(one!.id)
  await process.takeDue()
  await age(database, 60_000)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'send capture', 'look up capture', 'send capture'])
  await expectChargedOnce(order)
  expect(await dead.drop(shopId, one!.id)).toBe(false)
})

test('reconciliation tells an order what it does not know, asks after what is open, and names the rest', async () => {
  const quiet = await placeWith(process, 'bank') // nobody has consumed: there is no operation
  const known = await placeWith(process, 'bank')
  bank.perform(operationFor(known))
  bank.perform({ ...operationFor(known), paymentId: quiet.id, id: quiet.id })
  const report = emptyReport()
  const everything = { span: { after: null, before: null }, ordersMax: 100 }
  await reconcileOrders(process.parts, shopId, everything, report)
  await reconcileCharges(process.parts, shopId, instant(Date.now() + 1), report)
  expect(report).toMatchObject({ orders: 2, payments: 2, charges: 2, told: 1, asked: 1, differenceCount: 1 })
  expect(report.differences).toMatchObject([{ kind: 'payment_unknown', orderId: known.id, theirs: 'captured 1000' }])
  expect(isConfirmed(await process.order(known.id))).toBe(true)
  await process.takeDue()
  await age(database, 10_000)
  await process.takeDue()
  expect(isConfirmed(await process.order(quiet.id))).toBe(true)

  bank.charges.set(paymentOf(known).id, { ...bank.charges.get(paymentOf(known).id)!, captured: 700 as MinorUnits })
  bank.charges.delete(paymentOf(quiet).id)
  const later = emptyReport()
  await reconcileOrders(process.parts, shopId, everything, later)
  expect(later.differences.map(({ kind }) => kind).sort()).toEqual(['amount_differs', 'charge_missing'])
})

const operationFor = (order: Order) => {
  const { id, amount, provider, method } = paymentOf(order)
  return {
    shopId,
    id,
    kind: 'authorize' as const,
    provider,
    method,
    orderId: order.id,
    paymentId: id,
    amount,
    currency: order.currency,
    capture: 'now' as const,
    reference: null,
    askedAt: instant(0),
  }
}
