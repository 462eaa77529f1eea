// The network between cells: every pair has its distance; messages are lost, doubled, late by up to minutes and out of order; and a
// cell may be cut off, both ways or one, for a while.
import type { CellName } from '../../../src/base/ids.ts'
import type { Prng } from '../../../src/base/prng.ts'
import type { Scheduler } from '../scheduler.ts'
import type { CellsPlan } from './plan.ts'

export type WideArea = ReturnType<typeof createWideArea>

export function createWideArea(scheduler: Scheduler, random: Prng, plan: CellsPlan, names: readonly CellName[]) {
  const odds = { lost: plan.lost, doubled: plan.doubled, late: plan.late }
  const distance = new Map<string, number>()
  for (const [at, a] of names.entries()) {
    for (const b of names.slice(at + 1)) {
      const ms = 0.5 + random.next() * plan.latencyMsMax
      distance.set(`${a} ${b}`, ms).set(`${b} ${a}`, ms)
    }
  }
  /** Who hears nothing, and who is not heard. */
  const deaf = new Set<CellName>()
  const mute = new Set<CellName>()
  const isCut = (from: CellName, to: CellName): boolean => mute.has(from) || deaf.has(to)
  const oneWayMs = (from: CellName, to: CellName): number => distance.get(`${from} ${to}`) ?? 0

  return {
    oneWayMs,
    isCut,
    send(from: CellName, to: CellName, deliver: () => void): void {
      const latency = () =>
        oneWayMs(from, to) * (1 + random.next() / 2) + (random.chance(odds.late) ? random.next() * plan.lateMsMax : 0)
      const deliverIfOpen = () => {
        if (!isCut(from, to)) deliver()
      }
      if (!random.chance(odds.lost)) scheduler.after(latency(), deliverIfOpen)
      if (random.chance(odds.doubled)) scheduler.after(latency(), deliverIfOpen)
    },
    /** For so long; both ways unless it says one. */
    cut(cell: CellName, ways: 'both' | 'in' | 'out'): void {
      if (ways !== 'out') deaf.add(cell)
      if (ways !== 'in') mute.add(cell)
    },
    mend(cell: CellName): void {
      deaf.delete(cell)
      mute.delete(cell)
    },
    /** From now on everything arrives, once and in time. */
    heal(): void {
      Object.assign(odds, { lost: 0, doubled: 0, late: 0 })
      deaf.clear()
      mute.clear()
    },
  }
}
