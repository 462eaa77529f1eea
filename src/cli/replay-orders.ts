// Sells the invoices of a file through a running server: stock first, then an order each. Every key is made from the file
// alone, so that running it again changes nothing.
import { createHash } from 'node:crypto'
import type { Adjustment, BulkOrder, BulkOrderAnswer, Client } from '@holdfast/sdk'
import { limits } from '../base/limits.ts'
import { lineAmount, wholePennies } from './replay-amount.ts'
import type { Invoice, SaleLine } from './replay-online-retail.ts'
import { countryCode, londonToUtc } from './replay-place.ts'

const currency = 'GBP'

/** Sums over orders that stand, as the server tells them. */
export type Sums = { orders: number; lines: number; units: number; pennies: number }
export type Sold = Sums & {
  created: number
  replayed: number
  /** Orders that were refused, by code. */
  refused: Record<string, number>
  byCountry: Map<string, Sums>
  /** The order of each invoice, by its number. */
  ids: Map<string, string>
}

export const noSums = (): Sums => ({ orders: 0, lines: 0, units: 0, pennies: 0 })

/** Receives what each file sells. Answers how many units were received now, and not by an earlier run. */
export async function receiveStock(
  client: Client,
  receipts: readonly Map<string, number>[],
  onUnits: (units: number) => void,
): Promise<number> {
  let done = 0
  let received = 0
  for (const adjustments of receipts.flatMap(chunksOf)) {
    const units = adjustments.reduce((sum, { delta = 0 }) => sum + delta, 0)
    const idempotencyKey = `online-retail.stock.${createHash('sha256').update(JSON.stringify(adjustments)).digest('hex').slice(0, 32)}`
    await client.stock.adjust(adjustments, {
      idempotencyKey,
      onAnswer: ({ replayed }) => {
        if (!replayed) received += units
      },
    })
    done += units
    onUnits(done)
  }
  return received
}

function chunksOf(receipt: Map<string, number>): Extract<Adjustment, { delta?: number }>[][] {
  const all = [...receipt].map(([sku, delta]) => ({ sku, delta, reason: 'received' as const }))
  const chunks = []
  for (let at = 0; at < all.length; at += limits.adjustmentsMax) chunks.push(all.slice(at, at + limits.adjustmentsMax))
  return chunks
}

/** `onOrders` hears how many are answered. */
export async function sellInvoices(
  client: Client,
  invoices: ReadonlyMap<string, Invoice>,
  { concurrency, onOrders }: { concurrency: number; onOrders: (orders: number) => void },
): Promise<Sold> {
  const sold: Sold = { ...noSums(), created: 0, replayed: 0, refused: {}, byCountry: new Map(), ids: new Map() }
  let answered = 0
  for await (const answer of client.orders.bulk(ordersOf(invoices.values()), { inFlight: concurrency })) {
    countAnswer(sold, answer, invoices.get(answer.item.reference!)!)
    onOrders(++answered)
  }
  return sold
}

function* ordersOf(invoices: Iterable<Invoice>): Generator<BulkOrder> {
  for (const invoice of invoices) yield orderOf(invoice)
}

/** Paid elsewhere, at its own time. A country without a code is kept as a note on the order: it is no address. */
export function orderOf(invoice: Invoice): BulkOrder {
  const country = countryCode(invoice.country)
  return {
    idempotency_key: `online-retail.${invoice.number}`,
    currency,
    reference: invoice.number,
    placed_at: londonToUtc(invoice.time),
    lines: invoice.lines.map(orderLineOf),
    payment: { provider: 'none' },
    ...(invoice.customer === '' ? {} : { customer: { external_id: invoice.customer } }),
    ...(country === undefined ? { metadata: { country: invoice.country } } : { shipping_address: { country } }),
  }
}

function orderLineOf({ sku, quantity, price }: SaleLine): BulkOrder['lines'][number] {
  const pennies = wholePennies(price)
  if (pennies !== undefined) return { sku, quantity, unit_price: { amount: pennies, currency } }
  return { sku, quantity, amount: { amount: lineAmount(price, quantity), currency } }
}

function countAnswer(sold: Sold, { status, order, problem, replayed }: BulkOrderAnswer, invoice: Invoice): void {
  if (order === undefined) {
    const code = problem?.code ?? `status_${status}`
    sold.refused[code] = (sold.refused[code] ?? 0) + 1
    return
  }
  if (replayed) sold.replayed++
  else sold.created++
  sold.ids.set(invoice.number, order.id)
  const country = sold.byCountry.get(invoice.country) ?? noSums()
  sold.byCountry.set(invoice.country, country)
  for (const sums of [sold, country]) {
    sums.orders++
    sums.lines += order.lines.length
    sums.units += order.lines.reduce((sum, { quantity }) => sum + quantity, 0)
    sums.pennies += order.amounts.total.amount
  }
}
