// A flash sale: a hundred pairs of shoes, five hundred shoppers at the same second. Baskets are holds, made in the shoppers'
// browsers; the shop's server turns a basket that was paid for into an order. No pair is sold twice, and none is left over.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient, type Hold, HoldfastError } from '../../sdk/src/client.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell } from '../support/http-cell.ts'

const pairs = 100
const shoppers = 500
const price = { amount: 12_900, currency: 'EUR' }
const line = { sku: 'shoe-42', quantity: 1 }

let cell: HttpCell
let shop: Client

beforeAll(async () => {
  cell = await openHttpCell()
  shop = createClient({ url: cell.url, key: 'sk_dev' })
})

afterAll(() => cell.stop())

/** Undefined: sold out. */
async function intoTheBasket(): Promise<Hold | undefined> {
  const browser = createClient({ url: cell.url, key: 'pk_dev' })
  try {
    return await browser.holds.place({ lines: [line], ttl_seconds: 600 })
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'insufficient_stock') return undefined
    throw error
  }
}

const buy = (basket: Hold) =>
  shop.orders.place(
    {
      currency: 'EUR',
      lines: [{ ...line, unit_price: price }],
      hold_id: basket.id,
      payment: { provider: 'none' },
      reference: basket.id,
    },
    { idempotencyKey: `order of ${basket.id}`.replaceAll(' ', '-') },
  )

test('a hundred pairs go to a hundred of five hundred shoppers, whatever they do', async () => {
  await shop.stock.adjust([{ sku: line.sku, delta: pairs, reason: 'received' }])

  const baskets = (await Promise.all(Array.from({ length: shoppers }, intoTheBasket))).filter(
    (hold) => hold !== undefined,
  )
  expect(baskets).toHaveLength(pairs)
  expect(await shop.stock.get(line.sku)).toMatchObject({ reserved: pairs, available: 0 })

  // Sixty pay, and every third of them clicks twice; thirty change their minds; ten are asked if they are still there, and
  // say nothing for a second.
  const paying = baskets.slice(0, 60)
  const orders = await Promise.all(
    paying.flatMap((basket, n) => (n % 3 === 0 ? [buy(basket), buy(basket)] : [buy(basket)])),
  )
  expect(new Set(orders.map(({ id }) => id)).size).toBe(60)
  await Promise.all(baskets.slice(60, 90).map(({ id }) => shop.holds.release(id)))
  expect(await shop.stock.get(line.sku)).toMatchObject({ committed: 60, reserved: 10, available: 30 })
  await Promise.all(baskets.slice(90).map(({ id }) => shop.holds.extend(id, { ttl_seconds: 1 })))

  // Those who were too late try again until the last pair, the ten that were left lying included, is sold.
  let late = 0
  await eventually(async () => {
    const basket = await intoTheBasket()
    if (basket) {
      await buy(basket)
      late++
    }
    return late === 40
  }, 10_000)
  expect(await intoTheBasket()).toBeUndefined()
  expect(await shop.stock.get(line.sku)).toMatchObject({ on_hand: pairs, committed: pairs, reserved: 0, available: 0 })
  expect(await shop.audit({ fresh: true })).toMatchObject({ consistent: true })
})
