// Matches credit notes (C… invoices) to units sold earlier: same customer, SKU and unit price, each unit once.
import type { CreditLine, Invoice } from './replay-online-retail.ts'

/** A line is matched when all of its units were found; `partly` are those among the unmatched that found some. */
export type CreditMatch = {
  matched: number
  unmatched: number
  partly: number
  units: { matched: number; unmatched: number }
  invoices: { matched: number; unmatched: number }
  /** Units that were found, each with the sale it is of. */
  found: GivenBack[]
}

/** Units of a sale that a credit note gives back, at its own time. */
export type GivenBack = { sale: string; credit: string; time: string; sku: string; quantity: number }

/** Units of a sale that nobody has given back yet. */
type Unreturned = { sale: string; quantity: number }

/** Guests cannot be told apart, so what a guest gives back is unmatched. A sale of the same minute is not earlier. */
export function matchCredits(invoices: Iterable<Invoice>, credits: readonly CreditLine[]): CreditMatch {
  const sales = [...invoices].filter((invoice) => invoice.customer !== '').sort(byTime)
  const unreturned = new Map<string, Unreturned[]>()
  const result: CreditMatch = {
    matched: 0,
    unmatched: 0,
    partly: 0,
    units: { matched: 0, unmatched: 0 },
    invoices: { matched: 0, unmatched: 0 },
    found: [],
  }
  const open = new Set<string>()
  let next = 0
  // In order of time every later credit could use all that an earlier one could, so taking whatever is left loses nothing.
  for (const credit of credits.toSorted(byTime)) {
    for (; next < sales.length && sales[next]!.time < credit.time; next++) addUnits(unreturned, sales[next]!)
    const wanted = Math.max(0, credit.quantity)
    const taken = takeUnits(unreturned.get(unitKey(credit.customer, credit)) ?? [], wanted)
    const { invoice, time, sku } = credit
    for (const { sale, quantity } of taken) result.found.push({ sale, credit: invoice, time, sku, quantity })
    const found = taken.reduce((sum, { quantity }) => sum + quantity, 0)
    result.units.matched += found
    result.units.unmatched += wanted - found
    if (found === wanted && wanted > 0) {
      result.matched++
      continue
    }
    result.unmatched++
    if (found > 0) result.partly++
    open.add(credit.invoice)
  }
  result.invoices.unmatched = open.size
  result.invoices.matched = new Set(credits.map((credit) => credit.invoice)).size - open.size
  return result
}

const byTime = (a: { time: string }, b: { time: string }): number => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)

const unitKey = (customer: string, { sku, price }: { sku: string; price: bigint }): string =>
  `${customer}\n${price}\n${sku}`

function addUnits(unreturned: Map<string, Unreturned[]>, { number, customer, lines }: Invoice): void {
  for (const line of lines) {
    const key = unitKey(customer, line)
    const sales = unreturned.get(key) ?? []
    unreturned.set(key, sales)
    sales.push({ sale: number, quantity: line.quantity })
  }
}

/** At most so many units, of the oldest sales first; `sales` keeps the rest. */
function takeUnits(sales: Unreturned[], wanted: number): Unreturned[] {
  const taken: Unreturned[] = []
  for (let left = wanted; left > 0 && sales.length > 0; ) {
    const first = sales[0]!
    const quantity = Math.min(left, first.quantity)
    taken.push({ sale: first.sale, quantity })
    left -= quantity
    first.quantity -= quantity
    if (first.quantity === 0) sales.shift()
  }
  return taken
}
