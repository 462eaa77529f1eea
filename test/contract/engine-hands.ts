// Commands and looks in the words of the contract suite, so that its tests read as given, when, then.
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { LocationCode, Sku, Uuid } from '../../src/base/ids.ts'
import type { Order, PlaceOrder, Submission } from '../../src/modules/orders/types.ts'
import type { AdjustReason, Hold } from '../../src/modules/stock/types.ts'
import { placeHold, placeOrder, receive, shopId, submission, told } from '../support/engine.ts'
import type { EngineBench, TestProcess } from './engine-bench.ts'

export const sku = (): string => `sku-${randomUUID().slice(0, 8)}`
export const keyless = (command: Submission['command']): Submission => submission(command, null)

export const adjust = (
  of: string,
  change: { delta: number } | { set: number },
  reason: AdjustReason,
  location = 'main',
) => ({
  kind: 'adjust_stock' as const,
  shopId,
  adjustments: [
    {
      sku: of as Sku,
      location: location as LocationCode,
      change: 'set' in change ? { ...change, asOf: null } : change,
      reason,
    },
  ],
})

export const policy = (
  of: string,
  allowance: number,
  tracking: 'counted' | 'none' = 'counted',
  ifVersion: number | null = null,
) => ({
  kind: 'set_policy' as const,
  shopId,
  policy: { sku: of as Sku, tracking, allowance, regions: null, group: null },
  ifVersion,
})

export const cancel = (
  orderId: Uuid,
  lines: Record<string, number> | null = null,
  ifVersion: number | null = null,
) => ({
  kind: 'cancel_order' as const,
  shopId,
  orderId,
  reason: 'buyer' as const,
  lines: lines && Object.entries(lines).map(([of, quantity]) => ({ sku: of as Sku, quantity })),
  ifVersion,
})

export const release = (holdId: Uuid) => ({ kind: 'release_hold' as const, shopId, holdId })
export const extend = (holdId: Uuid, ttlMs: number) => ({ kind: 'extend_hold' as const, shopId, holdId, ttlMs })

export type Hands = ReturnType<typeof handsOn>

export function handsOn(bench: () => EngineBench, engine: () => TestProcess) {
  const run = (...commands: (Submission | Submission['command'])[]) =>
    engine().run(...commands.map((one) => ('command' in one ? one : submission(one))))

  async function row(of: string, location = 'main') {
    const { rows } = await bench().readState()
    return rows.find((one) => one.sku === of && one.location === location)
  }

  /** On hand, reserved, committed. */
  async function counters(of: string, location = 'main') {
    const found = await row(of, location)
    return found && [found.onHand, found.reserved, found.committed]
  }

  async function types(subject: string): Promise<string[]> {
    const { events } = await bench().readState()
    return events.filter((event) => event.subject === subject).map((event) => event.type)
  }

  async function given(units: Record<string, number>, location = 'main'): Promise<void> {
    expect(told(await run(receive(units, location)))).toEqual(['adjusted'])
  }

  async function placed(units: Record<string, number>, more: Partial<PlaceOrder> = {}): Promise<Order> {
    const [outcome] = await run(placeOrder(units, more))
    if (!outcome?.ok || outcome.value.kind !== 'order') throw new Error(`not placed: ${JSON.stringify(outcome)}`)
    return outcome.value.order
  }

  async function held(units: Record<string, number>, ttlMs = 60_000): Promise<Hold> {
    const [outcome] = await run(placeHold(units, ttlMs))
    if (!outcome?.ok || outcome.value.kind !== 'hold') throw new Error(`not held: ${JSON.stringify(outcome)}`)
    return outcome.value.hold
  }

  return { run, row, counters, types, given, placed, held }
}
