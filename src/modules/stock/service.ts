// Between the wire and the engine: bodies become commands on stock and holds, levels become answers. Pure.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import { toWireId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refusedCountry, refusedField } from '../../base/problem.ts'
import type { Refused } from '../../base/result.ts'
import { addMs, type Instant, parseRfc3339, toRfc3339 } from '../../base/time.ts'
import type { CellState } from '../../base/topology.ts'
import type { AdjustmentBody, HoldBody, LocationBody, PolicyBody } from './schemas.ts'
import type { Adjustment, AdjustStock, Hold, Location, PlaceHold, Policy, SetPolicy } from './types.ts'

/** Refused: `reason_mismatch`, `time_in_future`. Pointers begin with `/adjustments/<n>`. */
export function adjustStockOf(shopId: ShopId, bodies: readonly AdjustmentBody[], now: Instant): AdjustStock | Refused {
  const adjustments: Adjustment[] = []
  for (const [index, body] of bodies.entries()) {
    const change = changeOf(body)
    if ('set' in change) {
      if (change.asOf !== null && change.asOf > addMs(now, limits.clockSkewMsMax))
        return refusedField('time_in_future', `/adjustments/${index}/as_of`)
      // A receipt or a return moves units; it cannot say how many there are.
      if (body.reason === 'received' || body.reason === 'returned')
        return refusedField('reason_mismatch', `/adjustments/${index}/reason`)
    }
    adjustments.push({
      sku: body.sku as Sku,
      location: (body.location ?? 'main') as LocationCode,
      change,
      reason: body.reason,
    })
  }
  return { kind: 'adjust_stock', shopId, adjustments }
}

function changeOf(body: AdjustmentBody): Adjustment['change'] {
  if (body.set === undefined) return { delta: body.delta! }
  return { set: body.set, asOf: body.as_of === undefined ? null : parseRfc3339(body.as_of)! }
}

export function placeHoldOf(shopId: ShopId, holdId: Uuid, body: HoldBody): PlaceHold {
  const lines = body.lines.map((line) => ({ sku: line.sku as Sku, quantity: line.quantity }))
  return { kind: 'place_hold', shopId, holdId, lines, ttlMs: body.ttl_seconds * 1000 }
}

export function setPolicyOf(shopId: ShopId, sku: Sku, body: PolicyBody, ifVersion: number | null): SetPolicy {
  const { tracking = 'counted', allowance = 0, regions = null, group = null } = body
  return { kind: 'set_policy', shopId, policy: { sku, tracking, allowance, regions, group }, ifVersion }
}

/** Refused: `cell_not_found`, `cell_drains`, `country_unknown`. */
export function locationOf(
  shopId: ShopId,
  code: LocationCode,
  body: LocationBody,
  { cell: here, stateOf }: { cell: CellName; stateOf(name: string): CellState },
): Omit<Location, 'version'> | Refused {
  const { cell = here } = body
  const state = stateOf(cell)
  if (state !== 'active') return refusedField(state === 'draining' ? 'cell_drains' : 'cell_not_found', '/cell')
  const refusal = body.address ? refusedCountry(body.address.country, '/address/country') : undefined
  if (refusal) return refusal
  const { name, priority = 0, address = null, lat = null, lon = null } = body
  return { shopId, code, name, cell, priority, address, lat, lon }
}

export const policyJson = ({ sku, tracking, allowance, regions, group, version }: Policy): string =>
  JSON.stringify({ sku, tracking, allowance, regions, group, version })

export const locationAnswer = ({ shopId: _, ...location }: Location) => location

export function holdJson(hold: Hold, cell: CellName): string {
  return JSON.stringify({
    id: toWireId('hld', cell, hold.id),
    status: hold.status,
    lines: hold.lines.map(({ sku, quantity }) => ({ sku, quantity })),
    expires_at: toRfc3339(hold.expiresAt),
    version: hold.version,
  })
}
