// The load, the same in every bench: an order of two lines over fifty SKUs by one of 100,000 customers, unpaid unless a
// method says otherwise, each with a random v4 key. `orders.lua` says the same to wrk.

export const skusSpread = 50
export const customers = 100_000
export const unitsOnHand = 100_000_000_000
export const unitPrice = 1_999

export const skuOf = (at: number): string => `SKU-${String(at).padStart(2, '0')}`
export const customerOf = (at: number): string => `customer-${String(at).padStart(6, '0')}`

/** Two different SKUs out of so many; of one, the same twice, so that the order is as large. */
export function pickTwo(skus: number): [number, number] {
  const first = Math.floor(Math.random() * skus)
  const second = skus === 1 ? first : (first + 1 + Math.floor(Math.random() * (skus - 1))) % skus
  return [first, second]
}

/** The body as JSON; the places that vary have a fixed width. */
function orderBody(skus: readonly [number, number], customer: number, method: string | undefined): string {
  const line = (sku: number) =>
    `{"sku":"${skuOf(sku)}","quantity":1,"unit_price":{"amount":${unitPrice},"currency":"EUR"}}`
  const payment = method === undefined ? '' : `,"payment":{"provider":"test","method":"${method}"}`
  return `{"currency":"EUR","lines":[${line(skus[0])},${line(skus[1])}],"customer":{"external_id":"${customerOf(customer)}"}${payment}}`
}

/** A text that holds an order, written over and over in place: many thousand requests a second cost next to nothing. */
export type Stencil = { bytes: Buffer; key: number; skus: [number, number]; customer: number }

/** `wrap` puts the request or the line around key and body. */
export function makeStencil(wrap: (key: string, body: string) => string, method?: string): Stencil {
  const bytes = Buffer.from(wrap('K'.repeat(36), orderBody([98, 99], 123_456, method)), 'latin1')
  return {
    bytes,
    key: bytes.indexOf('K'.repeat(36)),
    skus: [bytes.indexOf('SKU-98') + 4, bytes.indexOf('SKU-99') + 4],
    customer: bytes.indexOf('customer-123456') + 9,
  }
}

/** So many orders, one behind the other. */
export function stamp(stencil: Stencil, count: number, skus: number): Buffer {
  const size = stencil.bytes.length
  const out = Buffer.allocUnsafe(size * count)
  for (let at = 0; at < count; at++) {
    const start = at * size
    stencil.bytes.copy(out, start)
    out.write(crypto.randomUUID(), start + stencil.key, 'latin1')
    const two = pickTwo(skus)
    digits(out, start + stencil.skus[0], two[0], 2)
    digits(out, start + stencil.skus[1], two[1], 2)
    digits(out, start + stencil.customer, Math.floor(Math.random() * customers), 6)
  }
  return out
}

function digits(out: Buffer, start: number, value: number, width: number): void {
  let rest = value
  for (let at = start + width - 1; at >= start; at--) {
    out[at] = 48 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}
