// The part of holdfast reconcile for a cell that is frozen: its own processes compare totals with every other cell, and this waits
// for them. Only then, and when its charges have been compared, may it sell again.
import { setTimeout as pause } from 'node:timers/promises'
import { type CellName, isCellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { declareRestored } from '../runtime/incarnation.ts'
import type { Database } from '../runtime/pg.ts'
import { type FrozenWhy, readFrozen } from '../runtime/standing.ts'
import { readTopology } from '../runtime/topology.ts'
import { usage } from './failure.ts'

/** `missing`: cells that have not answered; the cell stays frozen for them. */
export type FrozenReport = { why: FrozenWhy; compared: CellName[]; writtenOff: CellName[]; missing: CellName[] }

export type FrozenOptions = {
  cell: CellName
  /** The operator says that the database was set back, which nothing of it shows. */
  isRestored: boolean
  writtenOff: readonly CellName[]
}

export function writtenOffOf(names: readonly string[]): CellName[] {
  const wrong = names.find((name) => !isCellName(name))
  if (wrong !== undefined) throw usage(`--write-off names a cell that is gone, such as us1, and not ${wrong}.`)
  return names as CellName[]
}

/** Waits until the totals of all other cells were compared, or its time is over. Undefined: it is not frozen. */
export async function compareFrozen(
  database: Database,
  { cell, isRestored, writtenOff }: FrozenOptions,
): Promise<FrozenReport | undefined> {
  if (isRestored) await declareRestored(database, { cutOff: true })
  const cells = (await readTopology(database))?.cells ?? []
  const others = cells.filter(({ name, state }) => name !== cell && state !== 'removed').map(({ name }) => name)
  const wanted = others.filter((name) => !writtenOff.includes(name))
  const deadline = performance.now() + limits.reconcileWaitMs
  for (;;) {
    const frozen = await readFrozen(database)
    if (!frozen) return undefined
    const missing = wanted.filter((name) => !frozen.compared.includes(name))
    if (missing.length === 0 || performance.now() > deadline) {
      return { why: frozen.why, compared: [...frozen.compared], writtenOff: [...writtenOff], missing }
    }
    await pause(limits.standingLookMs)
  }
}
