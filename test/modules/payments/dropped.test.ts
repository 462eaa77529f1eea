// Operations that somebody drops: their orders wait for them no longer, and what a provider says later still counts.
import { beforeEach, expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import { defaultTerms } from '../../../src/modules/orders/life.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import { deadOperations } from '../../../src/modules/payments/service.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { newUuid, shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  age,
  fails,
  openBank,
  operationsOf,
  type Process,
  placeWith,
  type scriptedProvider,
  whenOrder,
} from './process.ts'

let database: Database
let bank: ReturnType<typeof scriptedProvider>
let process: Process
beforeEach(async () => {
  const opened = await openBank()
  ;({ database, bank, process } = opened)
  process.consume()
  return async () => {
    expect(process.errors).toEqual([])
    await opened.close()
  }
})

const dead = () => deadOperations(database, process.run)
const paymentOf = (order: Order) => order.life!.payments.at(-1)!

/** The dead letter of the operation that nobody answers for. */
async function givenUp(kind: string) {
  await eventually(async () => (await operationsOf(database))[0]?.last_error?.includes('connection') ?? false)
  await age(database, limits.operationMsMax)
  await process.takeDue()
  const [one, ...others] = await dead().list(shopId, { after: null, limit: 10 })
  expect(one).toMatchObject({ kind })
  expect(others).toEqual([])
  return one!.id
}

test('of an attempt to pay the order is told that it failed; another may follow, and late money goes back', async () => {
  bank.always(fails)
  const order = await placeWith(process, 'bank')
  const id = await givenUp('authorize')
  expect(paymentOf(await process.order(order.id)).status).toBe('pending')
  const pay = { id: newUuid(), provider: 'bank', method: 'x' }
  const again = () => process.run({ kind: 'start_payment', shopId, orderId: order.id, payment: pay, ifVersion: null })
  expect(await again()).toMatchObject({ ok: false, code: 'payment_in_progress' })

  expect(await dead().drop(2 as typeof shopId, id)).toBe(false)
  expect(await dead().drop(shopId, id)).toBe(true)
  expect(paymentOf(await process.order(order.id))).toMatchObject({ status: 'failed', error: 'given_up' })
  expect(await operationsOf(database)).toHaveLength(0)
  expect(await dead().drop(shopId, id)).toBe(false)

  bank.always(undefined)
  expect(await again()).toMatchObject({ ok: true })
  await whenOrder(process, order.id, ({ status }) => status === 'confirmed')
  const late = {
    of: 'payment',
    id: paymentOf(order).id,
    says: 'captured',
    reference: null,
    amount: paymentOf(order).amount,
  } as const
  await process.run({ kind: 'settle', shopId, orderId: order.id, settlement: late })
  expect((await process.order(order.id)).life!.refunds).toMatchObject([{ amount: 1000 }])
})

test('of a capture the order is told that nobody asks for it, and it may be asked for anew', async () => {
  const terms = { ...defaultTerms, captureRule: 'at_shipment' as const }
  const order = await placeWith(process, 'bank', 'x', { terms })
  await whenOrder(process, order.id, ({ status }) => status === 'confirmed')
  bank.always(fails)
  const capture = () => process.run({ kind: 'capture_order', shopId, orderId: order.id, ifVersion: null })
  expect(await capture()).toMatchObject({ ok: true })
  const id = await givenUp('capture')
  expect(await capture()).toMatchObject({ ok: false, code: 'nothing_to_capture' }) // it is asked for already
  expect(await dead().drop(shopId, id)).toBe(true)
  expect(paymentOf(await process.order(order.id))).toMatchObject({ status: 'authorized', asked: null })
  bank.always(undefined)
  expect(await capture()).toMatchObject({ ok: true })
  await whenOrder(process, order.id, (one) => paymentOf(one).status === 'captured')
})

test('of an order that cannot be told stands until it can', async () => {
  bank.always(fails)
  await placeWith(process, 'bank')
  const id = await givenUp('authorize')
  const away = deadOperations(database, async () => {
    throw new Error('draining')
  })
  await expect(away.drop(shopId, id)).rejects.toThrow('draining')
  expect(await dead().get(shopId, id)).toMatchObject({ kind: 'authorize' })
  expect(await dead().drop(shopId, id)).toBe(true)
})
