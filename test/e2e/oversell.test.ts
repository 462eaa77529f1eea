// P1 under a crowd, on real servers: 400 attempts by 64 clients on 100 units sell exactly 100, at any bound of a batch, by one
// process and by two on one database. And P3: one key, sent to both processes at once, is one order.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, createClient, HoldfastError, type Order } from '../../sdk/src/client.ts'
import { type Embedded, startEmbedded } from '../../src/runtime/embedded.ts'
import { eur, lineOf, newKey, paidOrder, stocked } from '../support/api.ts'
import { makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'

const units = 100
const attempts = 400
const clients = 64

let data: string
let remove: () => Promise<void>
let postgres: Embedded

beforeAll(async () => {
  ;({ data, remove } = await makeDataFolder())
  postgres = await startEmbedded({ folder: `${data}/eu1` })
})

afterAll(async () => {
  await postgres.stop()
  await remove()
})

/** What one attempt wants; it answers whether it got it, and throws for any refusal but the one for want of stock. */
type Attempt = (client: Client, sku: string) => Promise<unknown>

const order: Attempt = (client, sku) => client.orders.place(paidOrder(lineOf(sku)))
const unpaidOrder: Attempt = (client, sku) => client.orders.place({ currency: 'EUR', lines: [lineOf(sku)] })
const hold: Attempt = (client, sku) => client.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 600 })
const orderFromHold: Attempt = async (client, sku) => {
  const { id } = await client.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 600 })
  return client.orders.place({ ...paidOrder(lineOf(sku)), hold_id: id })
}

/** All at once: each client begins its next attempt when its last one is answered. */
async function crowd(urls: string[], sku: string, kinds: Attempt[]): Promise<{ accepted: number; refused: number }> {
  let begun = 0
  let accepted = 0
  let refused = 0
  const buyer = async (number: number) => {
    const client = createClient({ url: urls[number % urls.length]!, key: 'sk_dev' })
    while (begun < attempts) {
      const attempt = kinds[begun++ % kinds.length]!
      try {
        await attempt(client, sku)
        accepted++
      } catch (error) {
        if (!(error instanceof HoldfastError) || error.code !== 'insufficient_stock') throw error
        refused++
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => buyer(number)))
  return { accepted, refused }
}

describe.each([1, 40, 1_500])('with at most %i rows a batch', (bound) => {
  let servers: Running[]
  let urls: string[]
  let client: Client

  beforeAll(async () => {
    servers = await Promise.all(
      ['one', 'two'].map((name) =>
        startHoldfast([
          `--data=${data}/${name}`,
          `--database-url=${postgres.url}`,
          `--batch-rows-max=${bound}`,
          '--log-level=fatal',
        ]),
      ),
    )
    urls = servers.map(({ url }) => url)
    client = createClient({ url: urls[0]!, key: 'sk_dev' })
  })

  afterAll(async () => {
    for (const server of servers) server.interrupt()
    await Promise.all(servers.map(({ ended }) => ended))
  })

  test('one process sells 100 of 100 units to 400 attempts', async () => {
    const sku = await stocked(client, units)
    expect(await crowd([urls[0]!], sku, [order])).toEqual({ accepted: units, refused: attempts - units })
    expect(await client.stock.get(sku)).toMatchObject({ on_hand: units, committed: units, reserved: 0, available: 0 })
  })

  test('two processes on one database do, by orders paid and unpaid, holds, and orders from holds', async () => {
    const sku = await stocked(client, units)
    const kinds = [order, unpaidOrder, hold, orderFromHold]
    expect(await crowd(urls, sku, kinds)).toEqual({ accepted: units, refused: attempts - units })
    const level = await client.stock.get(sku)
    expect(level).toMatchObject({ on_hand: units, available: 0, short: 0 })
    expect(level.reserved + level.committed).toBe(units)
  })

  test('one key at both processes at once is one order, forty times over', async () => {
    const sku = await stocked(client, units)
    const both = urls.map((url) => createClient({ url, key: 'sk_dev' }))
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const idempotencyKey = newKey()
        const twice = both.map((one) => one.orders.place(paidOrder(lineOf(sku)), { idempotencyKey }))
        const [first, second] = (await Promise.all(twice)) as [Order, Order]
        expect(second.id).toBe(first.id)
      }),
    )
    expect(await client.stock.get(sku)).toMatchObject({ committed: 40, available: 60 })
  })

  test('the last unit goes to one of two orders that each want it with another SKU', async () => {
    const last = await stocked(client, 1)
    const [left, right] = [await stocked(client, 10), await stocked(client, 10)]
    const want = (url: string, other: string) =>
      createClient({ url, key: 'sk_dev' })
        .orders.place({ currency: 'EUR', lines: [lineOf(other, 2), { sku: last, quantity: 1, unit_price: eur(1) }] })
        .then(
          () => 1,
          () => 0,
        )
    const won = await Promise.all([want(urls[0]!, left), want(urls[1]!, right)])
    expect(won[0]! + won[1]!).toBe(1)
    const sold = (await client.stock.list([left, right])).data.map(({ reserved }) => reserved)
    expect(sold).toEqual([won[0]! * 2, won[1]! * 2]) // nothing of the refused one is kept
  })

  test('the counters are what the log says', async () => {
    expect(await client.audit({ fresh: true })).toMatchObject({ consistent: true, differences: [] })
  })
})
