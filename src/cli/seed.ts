// holdfast seed: fills a running server with a small shop to look at: goods, a concert hall of seats, hotel nights, and a
// few orders. Its keys are fixed, so that running it again changes nothing.
import { parseArgs } from 'node:util'
import { type Adjustment, type Client, createClient, type PlaceOrder } from '@holdfast/sdk'
import { usage } from './failure.ts'
import { startProgress } from './progress.ts'

export const seedHelp = `Usage: holdfast seed --demo [--url URL] [--key KEY] [--json]

  --demo      goods at two locations, a concert hall of 200 seats, 30 nights of a hotel, and twelve orders
  --url URL   a running server [http://127.0.0.1:8080]
  --key KEY   its key [sk_dev]
  --json      the last line of standard output is one JSON object`

const currency = 'EUR'

export async function seed(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      demo: { type: 'boolean', default: false },
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      key: { type: 'string', default: 'sk_dev' },
      json: { type: 'boolean', default: false },
    },
  })
  if (!values.demo) throw usage('Say what to make: --demo is all there is.')
  if (!URL.canParse(values.url)) throw usage(`--url ${values.url} is no address.`)
  const client = createClient({ url: values.url, key: values.key })
  const made = await makeDemo(client)
  console.log(
    `The demo shop has ${made.skus} SKUs with ${made.units} units. Orders: ${made.created} placed, ${made.replayed} were there already.`,
  )
  console.log(`Look at them: curl -s '${values.url}/v1/orders' -H 'Authorization: Bearer ${values.key}'`)
  if (values.json) console.log(JSON.stringify(made))
  return 0
}

type Made = { skus: number; units: number; orders: number; created: number; replayed: number }

/** Its keys are fixed: making it again changes nothing. */
export async function makeDemo(client: Client): Promise<Made> {
  for (const { code, ...location } of demoLocations) await client.locations.put(code, location)
  const stock = [...demoGoods(), ...demoSeats(), ...demoNights()]
  await client.stock.adjust(stock, { idempotencyKey: 'demo.stock' })
  for (const { sku, ...policy } of demoPolicies()) await client.stock.setPolicy(sku, policy)
  const orders = demoOrders()
  const progress = startProgress('orders', { total: orders.length })
  const made = {
    skus: new Set(stock.map(({ sku }) => sku)).size,
    units: 0,
    orders: orders.length,
    created: 0,
    replayed: 0,
  }
  made.units = stock.reduce((sum, { delta = 0 }) => sum + delta, 0)
  for (const [at, order] of orders.entries()) {
    const count = (replayed: boolean) => (replayed ? made.replayed++ : made.created++)
    await client.orders.place(order, {
      idempotencyKey: `demo.order.${at + 1}`,
      onAnswer: ({ replayed }) => count(replayed),
    })
    progress.set(at + 1)
  }
  progress.end()
  return made
}

const demoLocations = [
  {
    code: 'rotterdam',
    name: 'Warehouse Rotterdam',
    priority: 10,
    address: { city: 'Rotterdam', country: 'NL' },
    lat: 51.92,
    lon: 4.48,
  },
  {
    code: 'milano',
    name: 'Magazzino Milano',
    priority: 10,
    address: { city: 'Milano', country: 'IT' },
    lat: 45.46,
    lon: 9.19,
  },
  { code: 'konzerthaus', name: 'Konzerthaus, Großer Saal', priority: 0, address: { city: 'Wien', country: 'AT' } },
  { code: 'hotel-alfama', name: 'Hotel Alfama', priority: 0, address: { city: 'Lisboa', country: 'PT' } },
]

const goods = {
  'TEE-WHITE-M': 1_900,
  'TEE-WHITE-L': 1_900,
  'MUG-BLUE': 1_250,
  'LAMP-BRASS': 8_900,
  'POSTER-A2': 1_500,
} as const
const ticketPrice = 4_500
const nightPrice = 12_900
const concert = 'BRAHMS-4'
const hotel = 'ALFAMA'
const rows = 10
const seatsPerRow = 20
const nights = 30
const roomsPerNight = 8
const firstNight = Date.UTC(2027, 4, 1)

const received = (sku: string, delta: number, location: string): Adjustment & { delta: number } => ({
  sku,
  delta,
  reason: 'received',
  location,
})

/** The nearer location sells first; `LAMP-BRASS` is scarce and lies in one place. */
function demoGoods() {
  const plenty = Object.keys(goods).filter((sku) => sku !== 'LAMP-BRASS')
  return [
    ...plenty.flatMap((sku) => [received(sku, 120, 'rotterdam'), received(sku, 80, 'milano')]),
    received('LAMP-BRASS', 6, 'milano'),
  ]
}

const seatOf = (row: number, seat: number): string => `${concert}:${String.fromCharCode(64 + row)}${seat}`
const nightOf = (nth: number): string =>
  `${hotel}:DOUBLE:${new Date(firstNight + nth * 24 * 60 * 60 * 1000).toISOString().slice(0, 10)}`

/** A seat is a SKU with one unit. */
const demoSeats = () =>
  Array.from({ length: rows * seatsPerRow }, (_, at) =>
    received(seatOf(1 + Math.floor(at / seatsPerRow), 1 + (at % seatsPerRow)), 1, 'konzerthaus'),
  )

/** A room type on one night is a SKU. */
const demoNights = () =>
  Array.from({ length: nights }, (_, nth) => received(nightOf(nth), roomsPerNight, 'hotel-alfama'))

/** Posters may be back-ordered; on the first night the hotel overbooks by one room. */
const demoPolicies = () => [
  { sku: 'POSTER-A2', allowance: 50 },
  { sku: nightOf(0), allowance: 1 },
]

type Line = PlaceOrder['lines'][number]
const line = (sku: string, quantity: number, amount: number): Line => ({
  sku,
  quantity,
  unit_price: { amount, currency },
})
const good = (sku: keyof typeof goods, quantity: number): Line => line(sku, quantity, goods[sku])
const stay = (from: number, count: number): Line[] =>
  Array.from({ length: count }, (_, nth) => line(nightOf(from + nth), 1, nightPrice))
const seats = (row: number, first: number, count: number): Line[] =>
  Array.from({ length: count }, (_, nth) => line(seatOf(row, first + nth), 1, ticketPrice))

/** All but the last two are paid; those keep their units for 15 minutes. */
function demoOrders(): PlaceOrder[] {
  const baskets: { lines: Line[]; country: string }[] = [
    { lines: [good('TEE-WHITE-M', 2), good('MUG-BLUE', 1)], country: 'DE' },
    { lines: [good('TEE-WHITE-L', 1)], country: 'IT' },
    { lines: [good('MUG-BLUE', 6), good('POSTER-A2', 2)], country: 'FR' },
    { lines: [good('LAMP-BRASS', 1)], country: 'AT' },
    { lines: [good('POSTER-A2', 150)], country: 'NL' },
    { lines: seats(1, 9, 2), country: 'AT' },
    { lines: seats(1, 11, 4), country: 'AT' },
    { lines: seats(5, 1, 3), country: 'HU' },
    { lines: stay(0, 3), country: 'PT' },
    { lines: stay(2, 7), country: 'GB' },
    { lines: seats(2, 10, 2), country: 'AT' },
    { lines: [...stay(5, 2), good('MUG-BLUE', 1)], country: 'ES' },
  ]
  return baskets.map(({ lines, country }, at) => ({
    currency,
    lines,
    reference: `DEMO-${at + 1}`,
    customer: { external_id: `demo-${(at % 7) + 1}` },
    shipping_address: { country },
    ...(at < baskets.length - 2 ? { payment: { provider: 'none' } } : {}),
  }))
}
