// Attempts that the process which placed their order calls at once, on a real database: what is answered needs no row, and what
// is not is taken up by whoever reads the log, asked after first.
import { beforeEach, expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import { operationOf } from '../../../src/modules/payments/consumer.ts'
import { authorizationOf } from '../../../src/modules/payments/decide.ts'
import type { LogEvent } from '../../../src/runtime/event-log.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  age,
  declines,
  fails,
  openBank,
  openProcess,
  operationsOf,
  type Process,
  placeWith,
  type scriptedProvider,
  triesAgain,
  whenOrder,
} from './process.ts'

let database: Database
let bank: ReturnType<typeof scriptedProvider>
let process: Process

beforeEach(async () => {
  const opened = await openBank({ isPrompt: true })
  ;({ database, bank, process } = opened)
  return opened.close
})

const isConfirmed = ({ status }: Order) => status === 'confirmed'
const isFailed = ({ life }: Order) => life!.payments[0]!.status === 'failed'

/** From now on a row is an error. */
const forbidRows = () =>
  database.transaction((session) =>
    session.run('alter table payments.operations add constraint no_row check (false) not valid'),
  )

/** The consumer has read all that there is. */
const caughtUp = (): Promise<void> =>
  eventually(async () => {
    const [row] = await database.query<{ behind: number }>(
      "select (select max(seq) from runtime.events where type = 'payment.requested') - seq as behind from runtime.consumers where name = 'payments'",
    )
    return row !== undefined && row.behind <= 0
  })

async function expectChargedOnce(order: Order): Promise<void> {
  expect(bank.chargesOf(order.id)).toMatchObject([{ captured: 1000, refunded: 0 }])
  expect((await process.order(order.id)).life!.payments[0]).toMatchObject({ status: 'captured', captured: 1000 })
}

test('what is answered at once needs no row', async () => {
  await forbidRows()
  process.consume()
  const orders = await Promise.all(Array.from({ length: 5 }, () => placeWith(process, 'bank')))
  for (const order of orders) await whenOrder(process, order.id, isConfirmed)
  await caughtUp()
  expect(process.errors).toEqual([])
  expect(bank.calls).toEqual(Array(5).fill('send authorize'))
  for (const order of orders) await expectChargedOnce(order)
})

test('the order is committed, with its payment pending, before the provider hears of it', async () => {
  let seen: Order | undefined
  bank.script(async (operation) => {
    seen = await process.order(operation.orderId)
    return bank.perform(operation)
  })
  process.consume()
  const order = await placeWith(process, 'bank')
  await whenOrder(process, order.id, isConfirmed)
  expect(seen).toMatchObject({ status: 'pending', life: { payments: [{ status: 'pending' }] } })
})

test('a decline is told, and leaves no row', async () => {
  await forbidRows()
  bank.script(declines)
  process.consume()
  const order = await placeWith(process, 'bank')
  await whenOrder(process, order.id, isFailed)
  await caughtUp()
  expect(process.errors).toEqual([])
})

test('an answer that is lost gets a row, and is asked after, never sent again unasked', async () => {
  bank.script(async (operation) => {
    bank.perform(operation)
    throw new Error('the connection was lost after it was charged')
  })
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationsOf(database))[0]?.state === 'unknown')
  await age(database, limits.operationLeaseMs)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'look up authorize'])
  await expectChargedOnce(order)
})

test('a call that takes its time gets a row, whose lease nobody touches, and which goes with the answer', async () => {
  let answer = (): void => {}
  bank.script(async (operation) => {
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    return bank.perform(operation)
  })
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationsOf(database)).length === 1)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize'])
  answer()
  await whenOrder(process, order.id, isConfirmed)
  await eventually(async () => (await operationsOf(database)).length === 0)
  expect(bank.calls).toEqual(['send authorize'])
  await expectChargedOnce(order)
})

test('what died with the process between commit and call is found in the log, and asked after first', async () => {
  const next = await openProcess(database, [bank.provider])
  const order = await placeWith(await openProcessThatNeverCalls(), 'bank')
  next.consume()
  await eventually(async () => (await operationsOf(database)).length === 1)
  expect(bank.calls).toEqual([])
  await next.takeDue()
  await next.takeDue()
  expect(bank.calls).toEqual(['look up authorize', 'send authorize'])
  await expectChargedOnce(order)
  await next.stop()
})

/** It commits the order and is gone. */
async function openProcessThatNeverCalls(): Promise<Pick<Process, 'run'>> {
  const dying = await openProcess(database, [])
  return {
    async run(command) {
      const outcome = await dying.run(command)
      await dying.stop()
      return outcome
    },
  }
}

test('a process that reads the log leaves to another what that one has called, and finds it settled', async () => {
  const reader = await openProcess(database, [bank.provider], { isPrompt: true })
  reader.consume()
  const order = await placeWith(process, 'bank')
  await whenOrder(process, order.id, isConfirmed)
  await caughtUp()
  expect(await operationsOf(database)).toEqual([])
  expect(bank.calls).toEqual(['send authorize'])
  await reader.stop()
})

test('an order that cannot be told is told later, and nobody is charged twice', async () => {
  const dying = await openProcess(database, [bank.provider], {
    isPrompt: true,
    wrap: () => async () => {
      throw new Error('died')
    },
  })
  dying.consume()
  const order = await placeWith(dying, 'bank')
  await eventually(async () => (await operationsOf(database))[0]?.state === 'unknown')
  await dying.stop()
  await age(database, limits.operationLeaseMs)
  await process.takeDue()
  expect(bank.calls).toEqual(['send authorize', 'look up authorize'])
  await expectChargedOnce(order)
})

test('what there is no room for gets a row, and is taken up as soon as there is', async () => {
  process.consume()
  const orders = await Promise.all(Array.from({ length: 30 }, () => placeWith(process, 'bank')))
  for (const order of orders) await whenOrder(process, order.id, isConfirmed)
  expect(bank.calls).toEqual(Array(30).fill('send authorize'))
  for (const order of orders) await expectChargedOnce(order)
  await eventually(async () => (await operationsOf(database)).length === 0)
})

test.each([
  ['said that it did nothing', triesAgain],
  ['was never heard of', fails],
])('an attempt that %s is not sent again once its order is cancelled', async (_, script) => {
  bank.script(script)
  process.consume()
  const order = await placeWith(process, 'bank')
  await eventually(async () => (await operationsOf(database)).length === 1)
  const cancel = {
    kind: 'cancel_order',
    shopId,
    orderId: order.id,
    reason: 'buyer',
    lines: null,
    ifVersion: null,
  } as const
  await process.run(cancel)
  await age(database, limits.operationLeaseMs)
  for (let turn = 0; turn < 3; turn++) await process.takeDue()
  expect(bank.calls.filter((call) => call === 'send authorize')).toHaveLength(1)
  expect(bank.charges.size).toBe(0)
  const { life } = await process.order(order.id)
  expect(life!.payments).toMatchObject([{ status: 'failed', error: 'order_cancelled' }])
  expect(await operationsOf(database)).toEqual([])
})

test('what is called at once is what the event asks for', async () => {
  const order = await placeWith(process, 'none of ours', 'tok_of_theirs')
  const [event] = await database.query<LogEvent>(
    'select shop_id as "shopId", event_id as "eventId", type, at, data::text as data from runtime.events where type = \'payment.requested\'',
  )
  expect(authorizationOf(order, order.life!.payments[0]!)).toEqual(operationOf(event!))
})
