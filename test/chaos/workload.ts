// What one worker of the crash test's client wants next, drawn from its seed and from what it has got so far: orders paid
// and unpaid, from stock and from holds; cancellations whole and by line; holds that are extended, released or left to expire;
// receipts and corrections. No adjustment may leave a SKU short, so that nothing is ever sold beyond what is there.
import type { Hold, Order, PlaceOrder } from '../../sdk/src/client.ts'
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

export function createWorker(random: Prng): Worker {
  const holds: Hold[] = []
  const orders: Order[] = []

  const lines = (max: number) =>
    Array.from({ length: random.between(1, 3) }, () => ({ sku: random.pick(skus), quantity: random.between(1, max) }))

  function order(): Wish {
    const hold = holds.length > 0 && random.chance(0.5) ? take(holds, random) : undefined
    const wanted = hold ? hold.lines.slice(0, random.between(1, hold.lines.length)) : lines(3)
    const body: PlaceOrder = {
      currency: 'EUR',
      lines: wanted.map((line) => ({ ...line, unit_price: { amount: random.between(0, 5_000), currency: 'EUR' } })),
    }
    if (hold) body.hold_id = hold.id
    if (random.chance(0.6)) body.payment = { provider: 'none' }
    if (random.chance(0.3)) body.customer = { email: `buyer-${random.between(1, 99)}@example.com` }
    return { kind: 'order', body }
  }

  function cancel(): Wish {
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
    const delta = random.chance(0.8) ? random.between(1, 8) : -random.between(1, 10)
    return {
      kind: 'adjust',
      body: { sku: random.pick(skus), delta, reason: delta > 0 ? 'received' : 'correction' },
    }
  }

  return {
    next() {
      const draw = random.next()
      if (draw < 0.2) return { kind: 'hold', body: { lines: lines(2), ttl_seconds: random.between(1, 20) } }
      if (draw < 0.3 && holds.length > 0) return holdAgain()
      if (draw < 0.45 && orders.length > 0) return cancel()
      return draw < 0.6 ? adjust() : order()
    },
    learn(wish, answer) {
      if (!answer.ok) return
      if (wish.kind === 'hold') keep(holds, answer.content as Hold)
      if (wish.kind === 'order') keep(orders, answer.content as Order)
    },
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > keptMax) list.shift()
}

const take = <T>(list: T[], random: Prng): T => list.splice(random.between(0, list.length - 1), 1)[0]!
