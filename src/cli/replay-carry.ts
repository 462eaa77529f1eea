// Carries every order of a replay to its end. What was credited on the day of its sale was never sent: those units are
// cancelled. The rest is shipped; what was credited later comes back as a return, is resellable, and its price is refunded.
// Every key is made from the file alone, so that running it again changes nothing.
import type { Client, Order } from '@holdfast/sdk'
import type { GivenBack } from './replay-credits.ts'
import type { Invoice } from './replay-online-retail.ts'

/** Orders by how they ended, and what went back. */
export type Carried = {
  completed: number
  cancelled: number
  /** Neither: something is left to do, which should not be. */
  open: number
  units: { cancelled: number; returned: number }
  refundedPennies: number
}

export type CarryOptions = {
  /** Requests on their way at once. */
  concurrency: number
  onOrders(orders: number): void
}

/** `ids`: the order of each invoice, by its number. */
export async function carryOrders(
  client: Client,
  invoices: ReadonlyMap<string, Invoice>,
  ids: ReadonlyMap<string, string>,
  found: readonly GivenBack[],
  { concurrency, onOrders }: CarryOptions,
): Promise<Carried> {
  const carried: Carried = {
    completed: 0,
    cancelled: 0,
    open: 0,
    units: { cancelled: 0, returned: 0 },
    refundedPennies: 0,
  }
  const backOf = Map.groupBy(found, ({ sale }) => sale)
  const waiting = ids.entries()
  let done = 0
  async function work(): Promise<void> {
    for (const [number, id] of waiting) {
      const order = await carryOne(client, { number, id, time: invoices.get(number)!.time }, backOf.get(number) ?? [])
      count(carried, order)
      onOrders(++done)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return carried
}

type Sale = { number: string; id: string; time: string }

async function carryOne(client: Client, { number, id, time }: Sale, back: readonly GivenBack[]): Promise<Order> {
  const key = (step: string) => ({ idempotencyKey: `online-retail.${number}.${step}` })
  const isEarly = (one: GivenBack) => one.time.slice(0, 10) === time.slice(0, 10)
  const early = unitsOf(back.filter(isEarly))
  const late = unitsOf(back.filter((one) => !isEarly(one)))
  if (early.length > 0) {
    const left = await client.orders.cancel(id, { reason: 'buyer', lines: early }, key('cancel'))
    if (left.status === 'cancelled') return left
  }
  await client.orders.ship(id, { carrier: 'replay', tracking_number: number }, key('ship'))
  if (late.length > 0) {
    const announced = await client.orders.return(id, { lines: late, reason: 'credit note' }, key('return'))
    const lines = late.map((line) => ({ ...line, resellable: true }))
    await client.returns.receive(announced.id, { lines }, key('receive'))
  }
  return client.orders.get(id)
}

/** Summed by SKU. */
function unitsOf(back: readonly GivenBack[]): { sku: string; quantity: number }[] {
  const sums = new Map<string, number>()
  for (const { sku, quantity } of back) sums.set(sku, (sums.get(sku) ?? 0) + quantity)
  return [...sums].map(([sku, quantity]) => ({ sku, quantity }))
}

function count(carried: Carried, order: Order): void {
  if (order.status === 'completed' || order.status === 'cancelled') carried[order.status]++
  else carried.open++
  for (const line of order.lines)
    carried.units.cancelled += order.status === 'cancelled' ? line.quantity : line.cancelled_quantity
  for (const { received } of order.returns) for (const { quantity } of received) carried.units.returned += quantity
  for (const { status, amount } of order.refunds) if (status === 'refunded') carried.refundedPennies += amount.amount
}
