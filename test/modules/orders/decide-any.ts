// Any history of commands, as fast-check draws and shrinks it: things are named by a small number, so that commands meet.
import fc from 'fast-check'
import type { LocationCode, ShopId, Sku, Uuid } from '../../../src/base/ids.ts'
import { addMs, instant } from '../../../src/base/time.ts'
import type { Command, Submission } from '../../../src/modules/orders/types.ts'
import type { Adjustment } from '../../../src/modules/stock/types.ts'
import { cancelOrder, extendHold, orderOf, placeHold, releaseHold, submit } from './decide-given.ts'

const shopId = 1 as ShopId
const idOf = (kind: 'hold' | 'order', number: number): Uuid =>
  `00000000-0000-7000-${kind === 'hold' ? '8' : '9'}000-${String(number).padStart(12, '0')}` as Uuid

const number = fc.nat(5)
const sku = fc.constantFrom('A', 'B', 'none') as fc.Arbitrary<Sku>
const line = fc.record({ sku, quantity: fc.integer({ min: 1, max: 6 }) })
const lines = fc.array(line, { minLength: 1, maxLength: 3 })
const ttlMs = fc.constantFrom(1, 500, 5_000)
const reason = fc.constantFrom('received', 'returned', 'correction', 'counted', 'damaged', 'lost') as fc.Arbitrary<
  Adjustment['reason']
>
const change = fc.oneof(
  fc.record({ delta: fc.integer({ min: -8, max: 8 }) }),
  fc.record({
    set: fc.nat(12),
    asOf: fc.option(fc.nat(20_000).map((ms) => addMs(instant(1_767_225_600_000), ms))),
  }),
)
const adjustment = fc.record({
  sku,
  location: fc.constantFrom('main', 'east', 'moon') as fc.Arbitrary<LocationCode>,
  change,
  reason,
})

const priced = (of: { sku: Sku; quantity: number }[]) => {
  const order = orderOf({})
  return of.map((one) => ({ ...one, unitPrice: 5, amount: 5 * one.quantity })) as (typeof order)['lines']
}

/** Each order and hold that is placed has an id of its own, and is known to later commands by its number modulo 6. */
type Draft = (next: { hold: number; order: number }) => Command

const placeOrder: fc.Arbitrary<Draft> = fc
  .record({
    lines,
    provider: fc.constantFrom('none' as const, null),
    reference: fc.option(fc.constantFrom('R-1', 'R-2')),
    hold: fc.option(number, { freq: 2 }),
  })
  .map(({ lines: of, provider, reference, hold }) => (next) => ({
    ...orderOf({}, { provider, reference }),
    orderId: idOf('order', next.order++),
    lines: priced(of),
    holdId: hold === null ? null : idOf('hold', hold),
  }))
const hold: fc.Arbitrary<Draft> = fc.record({ lines, ttlMs }).map(({ lines: of, ttlMs: ms }) => (next) => ({
  ...placeHold({}, ms),
  holdId: idOf('hold', next.hold++),
  lines: of,
}))
const change_: fc.Arbitrary<Draft> = fc.oneof(
  fc.record({ number, ttlMs }).map(
    ({ number: of, ttlMs: ms }): Draft =>
      () =>
        extendHold(idOf('hold', of), ms),
  ),
  number.map(
    (of): Draft =>
      () =>
        releaseHold(idOf('hold', of)),
  ),
  fc.record({ number, lines: fc.option(lines) }).map(
    ({ number: of, lines: part }): Draft =>
      () => ({ ...cancelOrder(idOf('order', of), null), lines: part }),
  ),
  fc.array(adjustment, { minLength: 1, maxLength: 3 }).map(
    (adjustments): Draft =>
      () => ({ kind: 'adjust_stock', shopId, adjustments }),
  ),
  fc
    .record({
      sku: fc.constantFrom('A', 'B') as fc.Arbitrary<Sku>,
      allowance: fc.nat(4),
      tracking: fc.constantFrom('counted' as const, 'counted' as const, 'none' as const),
    })
    .map(
      (policy): Draft =>
        () => ({ kind: 'set_policy', shopId, policy: { ...policy, regions: null, group: null }, ifVersion: null }),
    ),
)
const command = fc.oneof(
  { weight: 3, arbitrary: placeOrder },
  { weight: 2, arbitrary: hold },
  { weight: 4, arbitrary: change_ },
)
const key = fc.option(fc.record({ hash: fc.constantFrom('k1', 'k2', 'k3'), request: fc.constantFrom('r1', 'r2') }), {
  freq: 2,
})
const batch = fc.record({
  elapsedMs: fc.constantFrom(0, 1, 600, 6_000, 1_000_000),
  drafts: fc.array(fc.record({ draft: command, key }), { minLength: 1, maxLength: 6 }),
})

export type AnyBatch = { elapsedMs: number; submissions: Submission[] }

export const anyBatches: fc.Arbitrary<AnyBatch[]> = fc.array(batch, { minLength: 1, maxLength: 6 }).map((batches) => {
  const next = { hold: 0, order: 0 }
  return batches.map(({ elapsedMs, drafts }) => ({
    elapsedMs,
    submissions: drafts.map((one) => submit(one.draft(next), one.key)),
  }))
})
