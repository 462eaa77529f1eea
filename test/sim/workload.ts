// What clients ask for: many orders, holds and adjustments over a few hot SKUs, so that they meet. Everything is drawn from
// the client's own generator; ids of earlier things are the ones it was told.
import type { LocationCode, ShopId, Sku, Uuid } from '../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../src/base/money.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { Instant } from '../../src/base/time.ts'
import { defaultTerms } from '../../src/modules/orders/life.ts'
import type { CancelReason, PlaceOrder } from '../../src/modules/orders/types.ts'
import type { AdjustReason, RequestedLine } from '../../src/modules/stock/types.ts'
import { blankId, type Intent, type Request } from './intents.ts'
import { type KnownLives, lifeCommand, newPayment } from './life-workload.ts'
import type { IntentKind, Plan } from './plan.ts'

export const shopsOf = (plan: Plan): ShopId[] => Array.from({ length: plan.shops }, (_, index) => (index + 1) as ShopId)

export const skusOf = (plan: Plan): Sku[] => Array.from({ length: plan.skus }, (_, index) => `S-${index + 1}` as Sku)
export const locationsOf = (plan: Plan): LocationCode[] =>
  ['main', 'east', 'west'].slice(0, plan.locations) as LocationCode[]

/** Things that some client was told of, which any client may name. */
export type Known = KnownLives & { holds: Uuid[]; holdLines: Map<Uuid, RequestedLine[]> }

export function createWorkload(plan: Plan, random: Prng, known: Known, clock: () => Instant) {
  let number = 0
  let shopId = 1 as ShopId // whose customer the present intent is
  const keysUsed = new Map<ShopId, string[]>()
  const keysOf = (shop: ShopId): string[] => keysUsed.get(shop) ?? []
  const skus = skusOf(plan)
  const locations = locationsOf(plan)
  const hex = () => Buffer.from(random.bytes(16)).toString('hex')
  const kinds = Object.entries(plan.mix) as [IntentKind, number][]

  const quantity = (): number => (random.chance(0.85) ? random.between(1, 3) : random.between(4, 8))
  const lines = (): RequestedLine[] =>
    Array.from({ length: random.between(1, 3) }, () => ({ sku: sku(), quantity: quantity() }))
  const sku = (): Sku => (random.chance(0.02) ? ('S-none' as Sku) : random.pick(skus))

  /** Amounts do not divide by the quantities, so that rounding shows. */
  const priced = (line: RequestedLine) => {
    const amount = (500 * line.quantity + random.between(0, 2)) as MinorUnits
    return { ...line, unitPrice: null, amount }
  }

  function order(holdId: Uuid | null, of: RequestedLine[]): PlaceOrder {
    const captureRule = random.chance(0.7) ? 'now' : 'at_shipment'
    const pays = random.pick(['card', 'card', 'later', 'elsewhere'])
    return {
      kind: 'place_order',
      shopId,
      orderId: blankId,
      currency: 'EUR' as Currency,
      lines: of.map(priced),
      holdId,
      customer: random.chance(0.2) ? `c-${random.between(1, 5)}` : null,
      reference: random.chance(0.25) ? `R-${random.between(1, 12)}` : null,
      provider: pays === 'elsewhere' ? 'none' : null,
      payment: pays === 'card' ? newPayment() : null,
      terms: { ...defaultTerms, captureRule, atCaptureDeadline: random.chance(0.7) ? 'capture' : 'cancel' },
      review: random.chance(0.15) ? ['amount'] : null,
      placedAt: null,
      personal: random.chance(0.1) ? { email: 'a@example.com', address: { country: 'DE' }, note: null } : null,
      annotations: null,
    }
  }

  /** An order from a hold: all of it, a part, or more than it has. */
  function orderFromHold(): PlaceOrder {
    const holdId = random.pick(known.holds)
    const held = known.holdLines.get(holdId)!
    if (random.chance(0.1)) return order(holdId, lines())
    return order(
      holdId,
      held
        .slice(0, random.between(1, held.length))
        .map((line) => ({ ...line, quantity: random.between(1, line.quantity) })),
    )
  }

  function adjustment() {
    const place = random.chance(0.02) ? ('nowhere' as LocationCode) : random.pick(locations)
    if (random.chance(0.25)) {
      const asOf = random.chance(0.5) ? null : ((clock() - random.between(0, 2_000)) as Instant)
      return { sku: sku(), location: place, change: { set: random.between(0, 12), asOf }, reason: 'counted' as const }
    }
    const delta = random.chance(0.6) ? random.between(1, 6) : -random.between(1, 4)
    const reasons: AdjustReason[] =
      delta > 0 ? ['received', 'returned', 'correction'] : ['correction', 'damaged', 'lost']
    return { sku: sku(), location: place, change: { delta }, reason: random.pick(reasons) }
  }

  function cancel(): Request['command'] {
    const { id, lines: had } = random.pick(known.orders)
    const some = random.chance(0.5) ? null : had.slice(0, random.between(1, had.length))
    const part = some?.map((line) => ({ sku: line.sku, quantity: random.between(1, line.quantity) })) ?? null
    const reason = random.pick<CancelReason>(['buyer', 'merchant', 'fraud'])
    return { kind: 'cancel_order', shopId, orderId: id, reason, lines: part, ifVersion: null }
  }

  const ttlMs = (): number => random.pick([30, 200, 1_000, 4_000])

  function command(kind: IntentKind): Request['command'] {
    const hold = known.holds.length > 0 ? random.pick(known.holds) : null
    switch (kind) {
      case 'order from hold':
        return hold ? orderFromHold() : order(null, lines())
      case 'hold':
        return { kind: 'place_hold', shopId, holdId: blankId, lines: lines(), ttlMs: ttlMs() }
      case 'extend':
        return hold ? { kind: 'extend_hold', shopId, holdId: hold, ttlMs: ttlMs() } : command('hold')
      case 'release':
        return hold ? { kind: 'release_hold', shopId, holdId: hold } : command('hold')
      case 'cancel':
        return known.orders.length > 0 ? cancel() : order(null, lines())
      case 'adjust':
        return { kind: 'adjust_stock', shopId, adjustments: Array.from({ length: random.between(1, 3) }, adjustment) }
      case 'policy': {
        const tracking = random.chance(0.15) ? 'none' : 'counted'
        const policy = {
          sku: random.pick(skus),
          tracking,
          allowance: random.pick([0, 0, 2, 5]),
          regions: null,
          group: null,
        } as const
        return {
          kind: 'set_policy',
          shopId,
          policy: { ...policy },
          ifVersion: random.chance(0.2) ? random.between(0, 2) : null,
        }
      }
      case 'exchange': {
        const back = lifeCommand('return', { known, shopId, locations, random })
        if (back?.kind !== 'request_return') return order(null, lines())
        return { ...back, kind: 'exchange_order', order: order(null, lines()) }
      }
      case 'order':
      case 'reused key':
        return order(null, lines())
      default:
        return lifeCommand(kind, { known, shopId, locations, random }) ?? order(null, lines())
    }
  }

  /** Over SKUs of their own where there are two, so that no row lock keeps them apart. */
  function twoBodies(): Request[] {
    const [one, other] = [skus[0]!, skus.at(-1)!]
    const hold = {
      kind: 'place_hold',
      shopId,
      holdId: blankId,
      lines: [{ sku: other, quantity: 1 }],
      ttlMs: ttlMs(),
    } as const
    return [
      { hash: hex(), command: order(null, [{ sku: one, quantity: 1 }]) },
      { hash: hex(), command: { ...hold, lines: [...hold.lines] } },
    ]
  }

  /** Shops do not share keys, so now and then one uses what another has used before. */
  function newKey(): string {
    const foreign = shopsOf(plan).flatMap((one) => (one === shopId ? [] : keysOf(one)))
    const key = foreign.length > 0 && random.chance(0.3) ? foreign[0]! : hex()
    if (foreign.includes(key))
      for (const one of shopsOf(plan))
        keysUsed.set(
          one,
          keysOf(one).filter((used) => used !== key),
        )
    else keysUsed.set(shopId, [...keysOf(shopId), key])
    return key
  }

  function intent(): Intent {
    shopId = random.pick(shopsOf(plan))
    const kind = pickWeighted(kinds, random)
    if (kind === 'reused key') return { number: ++number, key: newKey(), requests: twoBodies() }
    const first = { hash: hex(), command: command(kind) }
    const isKeyless = keyless.has(first.command.kind)
    return { number: ++number, key: isKeyless ? null : newKey(), requests: [first] }
  }

  /** The goods that are there when the doors open. */
  function opening(shop: ShopId): Intent {
    const adjustments = skus.map((one) => ({
      sku: one,
      location: locations[0]!,
      change: { delta: random.between(3, 25) },
      reason: 'received' as const,
    }))
    return {
      number: ++number,
      key: hex(),
      requests: [{ hash: hex(), command: { kind: 'adjust_stock', shopId: shop, adjustments } }],
    }
  }

  /** An order of so many units, to find out whether they can be had. */
  function probe(shop: ShopId, of: Sku, units: number): Intent {
    const plain = { shopId: shop, reference: null, payment: null, review: null }
    const wanted = { ...order(null, [{ sku: of, quantity: units }]), ...plain }
    return { number: ++number, key: hex(), requests: [{ hash: hex(), command: wanted }] }
  }

  return { intent, opening, probe }
}

const keyless = new Set(['release_hold', 'set_policy'])

export type Workload = ReturnType<typeof createWorkload>

function pickWeighted<T>(items: readonly [T, number][], random: Prng): T {
  const total = items.reduce((sum, [, weight]) => sum + weight, 0)
  let at = random.next() * total
  for (const [item, weight] of items) {
    at -= weight
    if (at < 0) return item
  }
  return items.at(-1)![0]
}
