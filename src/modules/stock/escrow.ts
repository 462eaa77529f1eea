// The arithmetic of allotments (O'Neil 1986, "The Escrow Transactional Method"; bounded counters, Balegas et al. 2015): how
// units are split over cells, when a cell asks for more, and what another gives it. Pure; units are never made nor lost here.
import type { CellName } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { ownerAmong } from '../../base/rendezvous.ts'
import type { Instant } from '../../base/time.ts'
import { regionOf } from '../../base/topology.ts'
import type { Ask, CellShare, Policy, Stand } from './types.ts'

/** Whole parts by weight; what does not divide stays with the first. Weights of nothing at all count alike. */
export function splitUnits(units: number, shares: readonly CellShare[]): number[] {
  const total = shares.reduce((sum, { weight }) => sum + weight, 0)
  const parts = shares.map(({ weight }) => Math.floor((units * (total > 0 ? weight : 1)) / (total || shares.length)))
  const rest = units - parts.reduce((sum, part) => sum + part, 0)
  return parts.map((part, index) => (index === 0 ? part + rest : part))
}

/**
 * Weights of cells by what each has sold lately. A cell that sold nothing still gets some: a tenth of an equal part, so that its
 * first buyer does not wait for another continent.
 */
export function sharesByDemand(cells: readonly { cell: CellName; rate: number }[]): CellShare[] {
  const total = cells.reduce((sum, { rate }) => sum + rate, 0)
  const floor = total === 0 ? 1 : (total / cells.length) * limits.shareFloor
  return cells.map(({ cell, rate }) => ({ cell, weight: Math.max(rate, floor) }))
}

type Terms = Pick<Policy, 'regions' | 'group'> | undefined

export const isSoldIn = (policy: Terms, cell: CellName): boolean =>
  !policy?.regions || policy.regions.includes(regionOf(cell))

/** Those among whom units are shared under the policy: cells of its regions, and of a group the one that is the same for all its SKUs. */
export function sharesUnder(policy: Terms, shares: readonly CellShare[]): readonly CellShare[] {
  const allowed = shares.filter(({ cell }) => isSoldIn(policy, cell))
  if (!policy?.group || allowed.length === 0) return allowed
  const names = allowed.map(({ cell }) => cell)
  const keeper = ownerAmong(names, policy.group)
  return allowed.filter(({ cell }) => cell === keeper)
}

/** 0 as long as there is enough for the time that it takes to get more; what is sold so slowly that nobody will come meanwhile waits for him. */
export function unitsToAskFor({
  available,
  rate,
  refillMs,
}: {
  available: number
  rate: number
  refillMs: number
}): number {
  const soldMeanwhile = (rate * refillMs) / 1_000
  if (soldMeanwhile < 1 || available > soldMeanwhile) return 0
  return Math.max(0, Math.ceil((rate * limits.askAheadMs) / 1_000) - Math.max(0, available))
}

/**
 * What is needed now goes as far as there is any; what is wanted for later, as far as the asker's part of the demand goes, and
 * never so far that the giver would have to ask for it back.
 */
export function unitsToGive(free: number, ask: Ask, own: Stand): number {
  if (own.isElder || free <= 0) return 0
  const together = free + Math.max(0, ask.available)
  const rates = ask.rate + own.rate
  const fair = Math.floor(together * (rates > 0 ? ask.rate / rates : 0.5)) - Math.max(0, ask.available)
  const spared = Math.min(ask.wanted, free - own.safety, fair)
  return Math.max(Math.min(ask.need, free), spared, 0)
}

/** Whose want came first, so that two cells that each lack the other's units never swap them for ever. */
export const isElderWant = (
  a: { firstAskedAt: Instant; cell: CellName },
  b: { firstAskedAt: Instant; cell: CellName },
): boolean => a.firstAskedAt < b.firstAskedAt || (a.firstAskedAt === b.firstAskedAt && a.cell < b.cell)

/** A total that only grows: what of it was not known yet, and 0 for one that is old, doubled or out of order. */
export const newInTotal = (total: number, known: number): number => Math.max(0, total - known)
