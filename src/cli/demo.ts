// holdfast demo: the whole life of orders on a running server, story by story: paid, declined, a provider that never answers,
// two parcels, a return, a cancellation. In the end the books have to agree with what the provider says that it took.
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { type Client, createClient, type Order, type PlaceOrder } from '@holdfast/sdk'
import { usage } from './failure.ts'
import { startProgress } from './progress.ts'
import { makeDemo } from './seed.ts'
import { formatTable } from './table.ts'

export const demoHelp = `Usage: holdfast demo [--url URL] [--key KEY] [--json]

Fills a running server with the demonstration shop and lets orders live their whole life in it, with the test provider.
Each run makes new orders. The server has to run in the development profile, as npm start does.

  --url URL   a running server [http://127.0.0.1:8080]
  --key KEY   its key [sk_dev]
  --json      the last line of standard output is one JSON object`

const waitSeconds = 20
const currency = 'EUR'

/** Answers 0 when every story ended as it should and the audit finds the books consistent. */
export async function demo(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      key: { type: 'string', default: 'sk_dev' },
      json: { type: 'boolean', default: false },
    },
  })
  if (!URL.canParse(values.url)) throw usage(`--url ${values.url} is no address.`)
  const client = createClient({ url: values.url, key: values.key })
  await makeDemo(client)
  await client.stock.adjust([{ sku, delta: 20, reason: 'received', location: 'rotterdam' }])
  const told = await tellAll(client)
  const { consistent, money } = await settledAudit(client)
  console.log(
    formatTable(
      ['What happens', 'Order', 'Payment', 'Goods', ''].map((head) => ({ head })),
      told.map(({ story, order, isRight }) => [
        story.title,
        order.status,
        order.payment.status,
        order.fulfilment.status,
        isRight ? '' : `expected ${story.ends.join(', ')}`,
      ]),
    ),
  )
  for (const { currency: of, captured, refunded, providers } of money.sums) {
    const { ours = 0, theirs = 0 } = providers.test ?? {}
    console.log(
      `${of}: ${unitsOf(captured)} captured and ${unitsOf(refunded)} refunded in all; the test provider holds ${unitsOf(theirs ?? 0)}, by our books ${unitsOf(ours)}.`,
    )
  }
  console.log(`The audit finds the books ${consistent ? 'consistent' : 'NOT consistent'}.`)
  const isRight = consistent && told.every((one) => one.isRight)
  const orders = told.map(({ story, order }) => ({ story: story.title, id: order.id, status: order.status }))
  if (values.json) console.log(JSON.stringify({ orders, consistent, right: isRight }))
  return isRight ? 0 : 1
}

const unitsOf = (cents: number): string => (cents / 100).toFixed(2)

/** The states in which the order, its payment and its goods end. */
type Ends = [order: string, payment: string, goods: string]
type Story = { title: string; ends: Ends; tell(client: Client): Promise<string> }

async function tellAll(client: Client) {
  const progress = startProgress('stories', { total: stories.length })
  let done = 0
  const told = await Promise.all(
    stories.map(async (story) => {
      const order = await settled(client, await story.tell(client), story.ends)
      progress.set(++done)
      const ended = [order.status, order.payment.status, order.fulfilment.status]
      return { story, order, isRight: ended.every((state, at) => state === story.ends[at]) }
    }),
  )
  progress.end()
  return told
}

/** The order once it has ended as the story says; as it is when it has not after a while. */
async function settled(client: Client, id: string, [status, payment]: Ends): Promise<Order> {
  const until = performance.now() + 1_000 * 2 * waitSeconds
  for (;;) {
    const order = await client.orders.get(id)
    if ((order.status === status && order.payment.status === payment) || performance.now() > until) return order
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** Once the ledger has booked all that the log tells. */
async function settledAudit(client: Client) {
  for (;;) {
    const audit = await client.audit({ fresh: true })
    if (audit.money.behind === 0) return audit
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function orderOf(sku: string, quantity: number, method: string): PlaceOrder {
  return {
    currency,
    lines: [{ sku, quantity, unit_price: { amount: 1_900, currency } }],
    customer: { email: `${method.replaceAll('_', '-')}@example.com` },
    shipping_address: { name: 'A. Buyer', line1: 'Coolsingel 40', city: 'Rotterdam', country: 'NL' },
    payment: { provider: 'test', method },
    tags: ['demo'],
    reference: `DEMO-${randomUUID().slice(0, 8)}`,
  }
}

const sku = 'TEE-WHITE-M'
const parcel = () => ({ carrier: 'PostNL', tracking_number: `3S${randomUUID().slice(0, 8).toUpperCase()}` })
const place = async (client: Client, quantity: number, method = 'tok_ok'): Promise<string> =>
  (await client.orders.place(orderOf(sku, quantity, method), { wait: waitSeconds })).id

const stories: Story[] = [
  {
    title: 'paid, shipped, delivered',
    ends: ['completed', 'captured', 'fulfilled'],
    async tell(client) {
      const id = await place(client, 1)
      const shipment = await client.orders.ship(id, parcel())
      await client.shipments.deliver(shipment.id)
      return id
    },
  },
  {
    title: 'declined, then paid with another card',
    ends: ['confirmed', 'captured', 'unfulfilled'],
    async tell(client) {
      const id = await place(client, 1, 'tok_declined')
      await client.orders.pay(id, { provider: 'test', method: 'tok_ok' }, { wait: waitSeconds })
      return id
    },
  },
  {
    title: 'the provider charges and never answers',
    ends: ['confirmed', 'captured', 'unfulfilled'],
    tell: (client) => place(client, 1, 'tok_timeout'),
  },
  {
    title: 'the provider fails twice, then works',
    ends: ['confirmed', 'captured', 'unfulfilled'],
    tell: (client) => place(client, 1, 'tok_flaky'),
  },
  {
    title: 'sent in two parcels',
    ends: ['completed', 'captured', 'fulfilled'],
    async tell(client) {
      const id = await place(client, 3)
      await client.orders.ship(id, { ...parcel(), lines: [{ sku, quantity: 1 }] })
      await client.orders.ship(id, parcel())
      return id
    },
  },
  {
    title: 'one of two sent back and refunded',
    ends: ['completed', 'partially_refunded', 'fulfilled'],
    async tell(client) {
      const id = await place(client, 2)
      await client.orders.ship(id, parcel())
      const back = await client.orders.return(id, { lines: [{ sku, quantity: 1 }], reason: 'too small' })
      await client.returns.receive(back.id, { lines: [{ sku, quantity: 1, resellable: true }] })
      return id
    },
  },
  {
    title: 'cancelled before it was sent',
    ends: ['cancelled', 'refunded', 'unfulfilled'],
    async tell(client) {
      const id = await place(client, 2)
      await client.orders.cancel(id, { reason: 'buyer' })
      return id
    },
  },
  {
    title: 'one of three cancelled, the rest sent',
    ends: ['completed', 'partially_refunded', 'fulfilled'],
    async tell(client) {
      const id = await place(client, 3)
      await client.orders.cancel(id, { reason: 'buyer', lines: [{ sku, quantity: 1 }] })
      await client.orders.ship(id, parcel())
      return id
    },
  },
  {
    title: 'the buyer has to confirm, and is thinking',
    ends: ['pending', 'requires_action', 'unfulfilled'],
    tell: (client) => place(client, 1, 'tok_requires_action'),
  },
]
