// Orders to be carried through their life over HTTP, each with a SKU of its own, and refusals that must have changed nothing.
import { expect } from 'vitest'
import { type Answer, type HttpCell, orderBody, receive } from './http-cell.ts'

export const eur = (amount: number) => ({ amount, currency: 'EUR' })
export const units = (sku: string, quantity: number) => ({ sku, quantity })
export const parcel = { carrier: 'post', tracking_number: 'T-1' }

let made = 0
export const newSku = (): string => `life-${++made}`

/** Of a cell that is there once a test runs. */
export function orderSteps(cellOf: () => HttpCell) {
  const post = (path: string, body?: unknown, options = {}): Promise<Answer> =>
    cellOf().call('POST', path, { body, ...options })

  async function stockOf(sku: string) {
    const { cells: _, ...counters } = (await cellOf().call('GET', `/v1/stock/${sku}`)).json // `cells` tells when, too
    return counters
  }

  return {
    post,
    stockOf,

    /** An order of so many units of a SKU of its own, 5.00 each, paid elsewhere unless `more` says otherwise. */
    async placed(quantity: number, more: object = { payment: { provider: 'none' } }) {
      const sku = newSku()
      await receive(cellOf(), sku, quantity)
      const { json, status } = await post('/v1/orders', orderBody(sku, quantity, more))
      expect(status).toBe(201)
      return { sku, id: json.id as string, path: `/v1/orders/${json.id}`, json }
    },

    /** Refused with the code, and neither the order nor its SKU's units have changed. */
    async expectRefused(
      order: { path: string; sku: string },
      status: number,
      code: string,
      send: () => Promise<Answer>,
    ): Promise<Answer> {
      const before = [(await cellOf().call('GET', order.path)).json, await stockOf(order.sku)]
      const answer = await send()
      expect(answer.json).toMatchObject({ status, code })
      expect(answer.status).toBe(status)
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect([(await cellOf().call('GET', order.path)).json, await stockOf(order.sku)]).toEqual(before)
      return answer
    },
  }
}
