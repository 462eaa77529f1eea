// What clients of many cells want: mostly to buy, in every cell at once; some hold, cancel, receive goods, lose some, or change what
// may be sold beyond what is there. An intent is one request, sent again with one key until it is answered.
import type { CellName, Sku, Uuid } from '../../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import type { Prng } from '../../../src/base/prng.ts'
import { defaultTerms } from '../../../src/modules/orders/life.ts'
import type { Command } from '../../../src/modules/orders/types.ts'
import { type CellRequest, locationsOf, shopId } from './node.ts'
import { type CellsPlan, groupOf } from './plan.ts'

const blankId = '00000000-0000-7000-8000-000000000000' as Uuid

export const skusOf = (plan: CellsPlan): Sku[] => Array.from({ length: plan.skus }, (_, at) => `S-${at}` as Sku)

export type PlacedOrder = { id: Uuid; cell: CellName }

export function createCellsWorkload(plan: CellsPlan, names: readonly CellName[], placed: readonly PlacedOrder[]) {
  const hexOf = (random: Prng) => Buffer.from(random.bytes(16)).toString('hex')
  const request = (random: Prng, command: Command, home: CellName | null): CellRequest => ({
    ...{ command, home },
    ...{ hash: hexOf(random), key: hexOf(random) },
  })

  /** Split over the cells, their weights by lot. */
  function receipt(random: Prng, sku: Sku, units: number): CellRequest {
    const at = random.between(0, locationsOf(plan).length - 1)
    const home = names[at]!
    const shares = [home, ...names.filter((name) => name !== home)].map((cell) => ({
      cell,
      weight: random.between(0, 3),
    }))
    const change = { delta: units }
    const adjustment = { sku, location: locationsOf(plan)[at]!, change, reason: 'received' as const, shares }
    return request(random, { kind: 'adjust_stock', shopId, adjustments: [adjustment] }, home)
  }

  function loss(random: Prng, sku: Sku): CellRequest {
    const change = { delta: -random.between(1, 5) }
    const adjustment = { sku, location: locationsOf(plan)[0]!, change, reason: 'lost' as const }
    return request(random, { kind: 'adjust_stock', shopId, adjustments: [adjustment] }, names[0]!)
  }

  function purchase(random: Prng, near: CellName, sku: Sku): CellRequest {
    const isNamed = random.chance(plan.namedKeys)
    const home = isNamed ? (random.chance(0.8) ? near : random.pick(names)) : null
    const quantity = random.chance(0.8) ? 1 : random.between(2, 6)
    const other = plan.isGrouped && random.chance(0.5) ? random.pick(skusOf(plan).filter((one) => one !== sku)) : null
    const order = orderOf(sku, quantity, isNamed && random.chance(0.5) ? 'none' : null)
    if (!other || order.kind !== 'place_order') return request(random, order, home)
    return request(random, { ...order, lines: [...order.lines, lineOf(other, 1)] }, home)
  }

  function intent(random: Prng, near: CellName): CellRequest {
    const sku = random.pick(skusOf(plan))
    if (random.chance(plan.holds))
      return request(random, holdOf(sku, random.between(1, 2), random.pick([100, 1_000, 5_000])), near)
    if (placed.length > 0 && random.chance(plan.cancels)) {
      const { id, cell } = random.pick(placed)
      const of = { shopId, orderId: id, ifVersion: null, lines: null }
      return request(random, { kind: 'cancel_order', reason: 'buyer', ...of }, cell)
    }
    if (random.chance(plan.receipts)) return receipt(random, sku, random.between(1, 10))
    if (random.chance(plan.losses)) return loss(random, sku)
    if (random.chance(plan.policies)) return request(random, policyOf(plan, sku, random.between(0, 6)), names[0]!)
    return purchase(random, near, sku)
  }
  return { intent, receipt }
}

export const policyOf = (plan: CellsPlan, sku: Sku, allowance: number): Command => ({
  ...{ kind: 'set_policy', shopId, ifVersion: null },
  policy: { sku, tracking: 'counted', allowance, regions: null, group: groupOf(plan, sku) },
})

const holdOf = (sku: Sku, quantity: number, ttlMs: number): Command => ({
  ...{ kind: 'place_hold', shopId, holdId: blankId, ttlMs },
  lines: [{ sku, quantity }],
})

const lineOf = (sku: Sku, quantity: number) => ({
  ...{ sku, quantity, unitPrice: null },
  amount: (100 * quantity) as MinorUnits,
})

export function orderOf(sku: Sku, quantity: number, provider: 'none' | null): Command {
  return {
    ...{ kind: 'place_order', shopId, orderId: blankId, currency: 'EUR' as Currency, lines: [lineOf(sku, quantity)] },
    ...{ holdId: null, customer: null, reference: null, provider, payment: null, review: null, placedAt: null },
    terms: { ...defaultTerms, reservationMs: 7 * 24 * 60 * 60_000 },
    ...{ personal: null, annotations: null },
  }
}
