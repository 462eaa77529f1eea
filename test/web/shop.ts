// A small shop for the control room to show: units received, orders in every state, an endpoint that is told of them.
import { type Client, createClient } from '@holdfast/sdk'
import { eventually } from '../support/eventually.ts'
import type { Receiver } from '../support/webhook-receiver.ts'

export const shopSku = 'TEE-BLACK-M'

const price = { amount: 1900, currency: 'EUR' }

export type Shop = { shipped: string; paid: string; pending: string }

/** `urls` of cells by name. Answers the ids of orders in some states. */
export async function fillShop(urls: Readonly<Record<string, string>>): Promise<Shop> {
  const clients = Object.values(urls).map((url) => createClient({ url, key: 'sk_dev' }))
  const [first] = clients as [Client]
  await first.stock.adjust([
    { sku: shopSku, delta: 400, reason: 'received' },
    { sku: 'MUG-01', delta: 90, reason: 'received' },
  ])
  const placed = await Promise.all(
    Array.from({ length: 70 }, (_, at) =>
      clients[at % clients.length]!.orders.place(
        {
          currency: 'EUR',
          lines: [{ sku: at % 3 === 0 ? 'MUG-01' : shopSku, quantity: 1, unit_price: price }],
          customer: { email: `buyer-${at}@example.com` },
          reference: `WEB-${1000 + at}`,
          ...(at % 7 === 6 ? {} : { payment: { provider: 'test', method: at % 9 === 8 ? 'tok_declined' : 'tok_ok' } }),
        },
        { wait: 10 },
      ),
    ),
  )
  const [shipped, paid] = placed.filter(({ status }) => status === 'confirmed').map(({ id }) => id)
  await first.orders.ship(shipped!, { carrier: 'DHL', tracking_number: 'JD014600001' })
  return { shipped: shipped!, paid: paid!, pending: placed.find(({ status }) => status === 'pending')!.id }
}

/** Endpoints: one that takes everything, one that fails for now, and two that are gone, whose messages are given up. */
export async function fillWebhooks(url: string, receiver: Receiver): Promise<void> {
  receiver.answer(({ path }) => ({ status: path === '/taken' ? 200 : path.startsWith('/gone') ? 410 : 500 }))
  const client = createClient({ url, key: 'sk_dev' })
  for (const path of ['/taken', '/failing', '/gone', '/gone-too'])
    await client.webhookEndpoints.make({ url: receiver.url + path, types: ['order.confirmed'] })
  await placeOrder(url)
  const seen = async (status: 'delivered' | 'pending' | 'dead'): Promise<number> =>
    (await client.webhookDeliveries.list({ status })).data.filter(({ attempt_count }) => attempt_count > 0).length
  await eventually(
    async () => (await seen('delivered')) > 0 && (await seen('pending')) > 0 && (await seen('dead')) > 1,
    20_000,
  )
}

/** Paid and confirmed. */
export const placeOrder = (url: string): Promise<{ id: string }> =>
  createClient({ url, key: 'sk_dev' }).orders.place(
    {
      currency: 'EUR',
      lines: [{ sku: shopSku, quantity: 1, unit_price: price }],
      payment: { provider: 'test', method: 'tok_ok' },
    },
    { wait: 10 },
  )

/** By a caller whose trace is sampled. */
export async function placeTracedOrder(url: string, traceId: string): Promise<{ id: string }> {
  const answer = await fetch(`${url}/v1/orders`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer sk_dev',
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify({ currency: 'EUR', lines: [{ sku: shopSku, quantity: 1, unit_price: price }] }),
  })
  return (await answer.json()) as { id: string }
}
