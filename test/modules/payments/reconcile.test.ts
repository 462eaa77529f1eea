// Reconciliation beside a cell that stops: it ends at once, and says nothing of what it has not seen.
import { expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import {
  emptyReport,
  type ReconcileParts,
  reconcileCharges,
  reconcileOrders,
} from '../../../src/modules/payments/reconcile.ts'
import { shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { authorize, goAhead, now, provider, standIn, useStripe } from './stripe-given.ts'

useStripe()

/** What reconciliation reads of an order whose payment we believe to have. */
function orderOf({ orderId: id, paymentId, amount, currency, method }: ReturnType<typeof authorize>): Order {
  const payment = { id: paymentId, provider: 'stripe', method, amount, captured: amount as MinorUnits }
  const life = { payments: [{ ...payment, status: 'captured', capture: 'now', openedAt: now() }], refunds: [] }
  return { shopId, id, currency, life } as unknown as Order
}

function partsOf(orders: Order[], stopping: AbortSignal): ReconcileParts {
  const nothing = { query: async () => [] } as unknown as ReconcileParts['database']
  return {
    database: nothing,
    providers: new Map([['stripe', provider]]),
    submit: () => expect.fail('nobody is to be told'),
    readOrder: async (_, id) => orders.find((one) => one.id === id),
    readOrders: async (_, __, { before }) => (before === null ? orders : []),
    stopping,
  }
}

const all = { span: { after: null, before: null }, ordersMax: 100 }

test.each([
  ['orders of today', 0],
  ['old orders', limits.stripeListedMs + 1],
])('of %s ends at once when it is stopped, and misses no charge for that', async (_, ageMs) => {
  const orders = [orderOf(authorize()), orderOf(authorize())]
  goAhead(ageMs)
  standIn.fail({ on: 'GET', does: 'vanish', times: 100 })
  const stopping = new AbortController()
  const report = emptyReport()
  const ended = reconcileOrders(partsOf(orders, stopping.signal), shopId, all, report)
  await eventually(() => standIn.requests.length > 0)
  stopping.abort()
  await ended
  expect(report).toMatchObject({ differenceCount: 0, asked: 0 })

  standIn.heal() // and unstopped it says that both are missing
  const whole = emptyReport()
  await reconcileOrders(partsOf(orders, new AbortController().signal), shopId, all, whole)
  expect(whole).toMatchObject({ payments: 2, differenceCount: 2 })
})

test('of all charges ends at once when it is stopped', async () => {
  standIn.fail({ on: 'GET', does: 'vanish', times: 100 })
  const stopping = new AbortController()
  const ended = reconcileCharges(partsOf([], stopping.signal), shopId, now(), emptyReport())
  await eventually(() => standIn.requests.length > 0)
  stopping.abort()
  await ended
})
