// What one worker of the crash test's client wants next, drawn from its seed and from what it has got so far: orders with every
// manner of paying, from stock and from holds; paid once more after a decline; cancelled whole and by line; shipped in parts,
// delivered, sent back, refunded; holds; receipts and corrections. No adjustment may leave a SKU short, so that nothing is ever
// sold beyond what is there.
import type { Hold, Order, Pay, PlaceOrder, Return, Shipment } from '../../sdk/src/client.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { Answer, Intent } from './journal.ts'

export const skus = Array.from({ length: 12 }, (_, index) => `crash-${index}`)

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
export type Wish = Without<Intent, 'key' | 'sends'>

export type Worker = {
  next(): Wish
  /** Tells the worker what became of its wish. */
  learn(wish: Wish, answer: Answer): void
}

const keptMax = 8
const waitSeconds = 1

/** `tok_timeout` charges and never answers; `tok_flaky` fails twice before it charges. */
const methods: readonly Pay[] = [
  ...['tok_ok', 'tok_ok', 'tok_ok', 'tok_flaky', 'tok_timeout', 'tok_declined'].map((method) => ({
    provider: 'test',
    method,
  })),
  ...['pm_card_visa', 'pm_card_visa', 'pm_card_mastercard', 'pm_card_chargeDeclined'].map((method) => ({
    provider: 'stripe',
    method,
  })),
]
export const isDecline = (method = ''): boolean => /[dD]eclined/.test(method)
/** Where there is no stand-in of Stripe. */
export const testMethods = methods.filter(({ provider }) => provider === 'test')

export function createWorker(random: Prng, payments: readonly Pay[] = methods): Worker {
  const goodPayments = payments.filter(({ method }) => !isDecline(method))
  const holds: Hold[] = []
  const unpaid: Order[] = []
  const paid: Order[] = []
  const paying = new Map<string, Order>()
  const shipments: Shipment[] = [] // on their way
  const delivered: Shipment[] = []
  const returns: Return[] = []

  const lines = (max: number) =>
    Array.from({ length: random.between(1, 3) }, () => ({ sku: random.pick(skus), quantity: random.between(1, max) }))
  const waits = () => (random.chance(0.5) ? { wait: waitSeconds } : {})
  const some = (list: readonly unknown[], share: number) => list.length > 0 && random.chance(share)

  function order(): Wish {
    const hold = some(holds, 0.5) ? take(holds, random) : undefined
    const wanted = hold ? hold.lines.slice(0, random.between(1, hold.lines.length)) : lines(3)
    const body: PlaceOrder = {
      currency: 'EUR',
      lines: wanted.map((line) => ({ ...line, unit_price: { amount: random.between(0, 5_000), currency: 'EUR' } })),
    }
    if (hold) body.hold_id = hold.id
    if (random.chance(0.7)) body.payment = random.pick(payments)
    else if (random.chance(0.5)) body.payment = { provider: 'none' }
    if (random.chance(0.3)) body.customer = { email: `buyer-${random.between(1, 99)}@example.com` }
    return { kind: 'order', body, ...waits() }
  }

  function cancel(): Wish {
    const orders = some(unpaid, 0.3) ? unpaid : paid
    const whole = random.chance(0.5)
    const { id, lines } = whole ? take(orders, random) : random.pick(orders)
    const body = whole
      ? { reason: 'buyer' as const }
      : { reason: 'merchant' as const, lines: [{ sku: random.pick(lines).sku, quantity: 1 }] }
    return { kind: 'cancel', orderId: id, body }
  }

  function holdAgain(): Wish {
    if (random.chance(0.5)) return { kind: 'release', holdId: take(holds, random).id }
    return { kind: 'extend', holdId: random.pick(holds).id, body: { ttl_seconds: random.between(1, 60) } }
  }

  function adjust(): Wish {
    const delta = random.chance(0.9) ? random.between(1, 12) : -random.between(1, 10)
    return {
      kind: 'adjust',
      body: { sku: random.pick(skus), delta, reason: delta > 0 ? 'received' : 'correction' },
    }
  }

  function pay(): Wish {
    const order = take(unpaid, random)
    paying.set(order.id, order)
    return {
      kind: 'pay',
      orderId: order.id,
      body: random.pick(random.chance(0.8) ? goodPayments : payments),
      ...waits(),
    }
  }

  /** All that is left, or a unit of it. */
  function ship(): Wish {
    const parcel = { carrier: 'post', tracking_number: `T-${random.between(1, 999_999)}` }
    if (random.chance(0.6)) return { kind: 'ship', orderId: take(paid, random).id, body: parcel }
    const { id, lines } = random.pick(paid)
    return { kind: 'ship', orderId: id, body: { ...parcel, lines: [{ sku: random.pick(lines).sku, quantity: 1 }] } }
  }

  function deliver(): Wish {
    const shipment = take(shipments, random)
    keep(delivered, shipment)
    return { kind: 'deliver', orderId: shipment.order_id, shipmentId: shipment.id }
  }

  function sendBack(): Wish {
    const { order_id, lines } = random.pick(delivered)
    const { sku, quantity } = random.pick(lines)
    const body = { lines: [{ sku, quantity: random.between(1, quantity) }], reason: 'too small' }
    return { kind: 'return', orderId: order_id, body }
  }

  /** Now and then less comes back than was announced, or it is broken. */
  function receive(): Wish {
    const { id, order_id, lines } = take(returns, random)
    const { sku, quantity } = lines[0]!
    const received = { sku, quantity: random.between(1, quantity), resellable: random.chance(0.7) }
    return { kind: 'receive', orderId: order_id, returnId: id, body: { lines: [received] } }
  }

  /** For nothing in particular: a part of the price, or all that is left of it. */
  function refund(): Wish {
    const amount = random.chance(0.7) ? { amount: { amount: random.between(1, 900), currency: 'EUR' } } : {}
    return { kind: 'refund', orderId: random.pick(paid).id, body: { reason: 'goodwill', ...amount } }
  }

  return {
    next() {
      if (random.chance(0.12)) return { kind: 'hold', body: { lines: lines(2), ttl_seconds: random.between(1, 20) } }
      if (some(holds, 0.08)) return holdAgain()
      if (some(paid, 0.08)) return cancel()
      if (random.chance(0.22)) return adjust()
      if (some(returns, 0.3)) return receive()
      if (some(delivered, 0.15)) return sendBack()
      if (some(shipments, 0.25)) return deliver()
      if (some(unpaid, 0.3)) return pay()
      if (some(paid, 0.12)) return refund()
      if (some(paid, 0.25)) return ship()
      return order()
    },
    learn(wish, answer) {
      if (!answer.ok) return
      const { content } = answer
      if (wish.kind === 'hold') keep(holds, content as Hold)
      if (wish.kind === 'order') {
        const order = content as Order
        const { payment } = wish.body
        keep(payment === undefined || isDecline(payment.method) ? unpaid : paid, order)
      }
      if (wish.kind === 'pay') keep(isDecline(wish.body.method) ? unpaid : paid, paying.get(wish.orderId)!)
      if (wish.kind === 'ship') keep(shipments, content as Shipment)
      if (wish.kind === 'return') keep(returns, content as Return)
    },
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > keptMax) list.shift()
}

const take = <T>(list: T[], random: Prng): T => list.splice(random.between(0, list.length - 1), 1)[0]!
