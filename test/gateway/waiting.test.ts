// `Prefer: wait` where another process has the last word: its event wakes who waits here.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseWireId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import type { MinorUnits } from '../../src/base/money.ts'
import { openEngine, shopId, submission } from '../support/engine.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
let elsewhere: ReturnType<typeof openEngine>
beforeAll(async () => {
  cell = await openHttpCell()
  elsewhere = openEngine(cell.database)
  await receive(cell, 'A-1', 10)
})
afterAll(async () => {
  await elsewhere.close()
  await cell.stop()
})

it('an order that another process settles is answered as it is then, before its provider answers here', async () => {
  const body = orderBody('A-1', 1, { reference: 'R-1', payment: { provider: 'test', method: 'tok_slow' } })
  let answer: Answer | undefined
  const placed = cell.call('POST', '/v1/orders', { body, headers: { prefer: 'wait=20' } }).then((one) => {
    answer = one
  })
  const find = async () => (await cell.call('GET', '/v1/orders?reference=R-1')).json.data[0]
  await eventually(async () => (await find()) !== undefined)
  const { id } = await find()
  const [payment] = (await cell.call('GET', `/v1/orders/${id}/payments`)).json.data
  const [orderId, paymentId] = [parseWireId(id)!.uuid, parseWireId(payment.id)!.uuid]
  const settlement = {
    of: 'payment',
    id: paymentId,
    says: 'captured',
    reference: null,
    amount: 500 as MinorUnits,
  } as const
  await elsewhere.run(submission({ kind: 'settle', shopId, orderId, settlement }, null))
  await eventually(() => answer !== undefined, limits.testProviderSlowMs - 1_000)
  expect(answer!.json).toMatchObject({ id, status: 'confirmed', payment: { status: 'captured' } })
  await placed
})
