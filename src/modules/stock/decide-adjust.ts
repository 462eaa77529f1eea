// What becomes of counts and policies: adjustments of stock, all or nothing, and what is sold beyond what is there. Pure.
import { assert } from '../../base/assert.ts'
import type { Sku } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { accepted, type FieldProblem, type Outcome, type Refused, refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import { type Applied, adjustedEvent, announceShort, type StockState, skuKey } from './decide.ts'
import { sendFromRow, sharesOfStaying, unitsElsewhere } from './decide-transfers.ts'
import { isSoldIn, sharesUnder, splitUnits } from './escrow.ts'
import { availableInRow, shortOf } from './sourcing.ts'
import type {
  AdjustedRow,
  Adjustment,
  AdjustReason,
  AdjustStock,
  Allocation,
  CellShare,
  Elsewhere,
  Policy,
  SetPolicy,
  StockRow,
} from './types.ts'

/** All or nothing: rows are changed as drafts, and only when every adjustment fits do the drafts become the rows. */
export function decideAdjustStock(state: StockState, command: AdjustStock): Outcome<AdjustedRow[]> {
  const drafts = new Map<StockRow, StockRow>()
  const results: Omit<AdjustedRow, 'siblings'>[] = []
  const applied: Applied[] = []
  const toSplit: Split[] = []
  for (const [index, adjustment] of command.adjustments.entries()) {
    const rows = state.rows.get(skuKey(command.shopId, adjustment.sku))
    const row = rows?.find((candidate) => candidate.location === adjustment.location)
    if (!rows?.[0] || !row) return refusedAt(index, adjustment.sku, refused('location_not_found'))
    const draft = drafts.get(row) ?? { ...row, tracking: rows[0].tracking }
    drafts.set(row, draft)
    const siblings = rows.filter((sibling) => sibling !== row).map((sibling) => drafts.get(sibling) ?? sibling)
    const elsewhere = unitsElsewhere(state, row)
    const step = adjustDraft(draft, adjustment, { now: state.now, siblings, elsewhere })
    if ('code' in step) return refusedAt(index, row.sku, step)
    if (!step.ignored) applied.push({ row, delta: step.delta, onHand: draft.onHand, reason: adjustment.reason })
    results.push({ row: draft, ignored: step.ignored })
    if (adjustment.shares && step.delta > 0) toSplit.push({ row, units: step.delta, shares: adjustment.shares })
  }
  const before = new Map([...drafts.keys()].map((row) => [row.id, availableInRow(row)]))
  for (const [row, draft] of drafts) {
    Object.assign(row, draft)
    state.dirtyRows.add(row)
  }
  for (const step of applied) adjustedEvent(state, step)
  for (const split of toSplit) splitReceived(state, split)
  for (const row of drafts.keys()) announceShort(state, row, before.get(row.id)!)
  return accepted(
    results.map(({ row, ignored }) => {
      const siblings = state.rows.get(skuKey(row.shopId, row.sku))!.map((sibling) => ({ ...sibling }))
      return { row: siblings.find((sibling) => sibling.id === row.id)!, siblings, ignored }
    }),
  )
}

type Split = { row: StockRow; units: number; shares: readonly CellShare[] }

/**
 * Goods of a group stay together, and what nobody counts is everywhere. Units that somebody here waits for stay too, and those
 * that may be sold where no cell is.
 */
function splitReceived(state: StockState, { row, units, shares }: Split): void {
  const policy = state.policies.get(skuKey(row.shopId, row.sku))
  if (row.tracking === 'none' || (policy && policy.group !== null && isSoldIn(policy, state.cell))) return
  const takers = sharesUnder(policy, sharesOfStaying(state, shares))
  if (takers.length === 0) return
  const free = Math.min(units, Math.max(0, availableInRow(row)))
  const parts = splitUnits(free, takers)
  const sent = takers.flatMap(({ cell }, index) =>
    cell === state.cell ? [] : [{ to: cell, units: parts[index]!, allowance: 0 }],
  )
  sendFromRow(state, row, sent)
}

/** What is at the place, whoever may sell it; what has left this cell since the others were asked is with them by now. */
const lyingThere = (draft: StockRow, then: Elsewhere | undefined, sent: number): number =>
  draft.onHand - draft.missing + (then ? lyingElsewhere(then, sent) : 0)

const lyingElsewhere = (then: Elsewhere, sent: number): number => then.units + sent - then.sent

type Surroundings = { now: Instant; siblings: readonly StockRow[]; elsewhere: number }

/**
 * Facts (counted, damaged, lost) may leave a row or a SKU short; decisions may not. What a fact takes beyond the units that are
 * here is `missing`, as far as other cells have just said to have units of this place: it is theirs that have to come back. The
 * totals of this cell do not tell it, since what others have shipped went to them and comes back never.
 */
function adjustDraft(
  draft: StockRow,
  { change, reason }: Adjustment,
  { now, siblings, elsewhere }: Surroundings,
): { ignored: boolean; delta: number } | Refused {
  if ('set' in change) {
    const asOf = Math.min(change.asOf ?? now, now) as Instant // a clock that is ahead must not make the next count late
    if (draft.countedAt !== null && asOf < draft.countedAt) return { ignored: true, delta: 0 }
    draft.countedAt = asOf
  }
  const asked = 'set' in change ? change.set - lyingThere(draft, change.elsewhere, elsewhere) : change.delta
  const isFact = isFactual(reason)
  const found = Math.min(draft.missing, Math.max(0, asked))
  const theirs = change.elsewhere ? lyingElsewhere(change.elsewhere, elsewhere) : 0
  const beyond = isFact ? Math.min(Math.max(0, -(draft.onHand + asked)), Math.max(0, theirs - draft.missing)) : 0
  const delta = asked - found + beyond
  const onHand = draft.onHand + delta
  if (onHand > limits.unitsMax) return refused('units_too_large')
  draft.onHand = onHand
  draft.missing += beyond - found
  const isDecided = !isFact && delta < 0
  const lack = Math.max(-onHand, isDecided ? Math.max(-availableInRow(draft), shortOf([draft, ...siblings])) : 0)
  if (lack <= 0) return { ignored: false, delta }
  return refused('insufficient_stock', undefined, isFact ? undefined : [lackAt(draft, -delta, lack)])
}

/** What was seen at a place, which nobody can refuse to be so; anything else is decided. */
export const isFactual = (reason: AdjustReason): boolean =>
  reason === 'counted' || reason === 'damaged' || reason === 'lost'

/** Units that would have to lie there besides, which other cells may have. */
const lackAt = ({ location }: StockRow, requested: number, lack: number): FieldProblem => ({
  ...{ pointer: '', code: 'insufficient_stock' },
  ...{ location, requested, available: Math.max(0, requested - lack) },
})

/** The shell makes the rows of known locations before it locks them, so a missing row means an unknown location. */
const refusedAt = (index: number, sku: Sku, refusal: Refused): Refused => ({
  ...refusal,
  errors: [{ ...refusal.errors?.[0], pointer: `/adjustments/${index}`, code: refusal.code, sku }],
})

/**
 * Tracking goes to every row; what the allowance grows by to the first, so that it is never granted twice, whichever cell set it
 * before. What other cells hold of it is theirs: lowered below that, the share of this cell is negative until they have given
 * some back.
 */
export function decideSetPolicy(state: StockState, command: SetPolicy): Outcome<Policy> {
  const key = skuKey(command.shopId, command.policy.sku)
  const earlier = state.policies.get(key)
  if (command.ifVersion !== null && command.ifVersion !== (earlier?.version ?? 0)) return refused('precondition_failed')
  const rows = state.rows.get(key)
  assert(rows?.[0], `no stock row of ${command.policy.sku}`)
  const policy: Policy = {
    shopId: command.shopId,
    ...command.policy,
    version: (earlier?.version ?? 0) + 1,
    writtenBy: state.cell,
    elsewhere: earlier?.elsewhere ?? 0,
  }
  for (const [index, row] of rows.entries()) {
    const before = availableInRow(row)
    row.tracking = policy.tracking
    if (index === 0) row.allowance += policy.allowance - (earlier?.allowance ?? 0)
    state.dirtyRows.add(row)
    announceShort(state, row, before)
  }
  state.policies.set(key, policy)
  state.dirtyPolicies.add(policy)
  const { sku, tracking, allowance, regions, group, version } = policy
  state.events.push({
    shopId: command.shopId,
    subject: `sku:${sku}`,
    subjectVersion: version - policy.elsewhere,
    type: 'stock.policy_set',
    data: { sku, tracking, allowance, regions, group, version },
    moves: [],
  })
  return accepted(policy)
}

/** Units that were to be picked and are not there; those that no count has on hand are not lost again. */
export function lose(state: StockState, allocations: readonly Allocation[]): void {
  for (const { row: id, quantity } of allocations) {
    const row = state.rowById.get(id)
    assert(row, `stock row ${id} was not locked`)
    const units = Math.min(quantity, row.onHand)
    if (row.tracking === 'none' || units === 0) continue
    const before = availableInRow(row)
    row.onHand -= units
    state.dirtyRows.add(row)
    adjustedEvent(state, { row, delta: -units, onHand: row.onHand, reason: 'lost' })
    announceShort(state, row, before)
  }
}
