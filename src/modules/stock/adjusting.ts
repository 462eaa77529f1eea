// Adjustments where several cells sell a shop's units: decided at the home of their location, split over the cells as they arrive, and
// told with all parts. A lone cell adjusts what it has.
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import { type Refused, refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import type { CellState } from '../../base/topology.ts'
import type { Elsewhere, LineHome } from '../../runtime/elsewhere.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Commands } from '../orders/service.ts'
import type { CommandOutcome, IdempotencyKey, Submission } from '../orders/types.ts'
import type { Allotments } from './allotments.ts'
import { isFactual } from './decide-adjust.ts'
import { adjustedAnswer, ownPart, unitsElsewhereAt } from './level-answers.ts'
import type { OtherCells } from './other-cells.ts'
import { type LocationHome, readHomes, readLevels } from './reads.ts'
import type { Adjustment, AdjustStock, CellLevel } from './types.ts'

/** What stock's routes need where there are other cells; a lone cell has none of it. */
export type SeveralCells = {
  otherCells: OtherCells
  sharesOf: Allotments['sharesOf']
  elsewhere: Elsewhere
  /** Of the topology, and not gone from it. */
  /** One that never was counts as removed. */
  stateOf(name: string): CellState
  /** There is no other cell now: nobody is asked, told or read. */
  isAlone(): boolean
  firstCell(): CellName
  /**
   * The cell that is to decide the key, as it may have done already; undefined: this one, to which every other has left it. Refuses
   * `cell_unreachable`.
   */
  takeKey(
    keyed: IdempotencyKey & { shopId: ShopId },
    others: readonly CellName[],
  ): Promise<CellName | Refused | undefined>
}

/** Null where there is nobody else. */
const othersOf = ({ several }: Pick<Options, 'several'>): SeveralCells | null => (several?.isAlone() ? null : several)

type Options = { cell: CellName; database: Pick<Database, 'query'>; now(): Instant; several: SeveralCells | null }

/**
 * Where adjustments are decided: at the home of their locations, or where their key was decided while that was the home of one. A peer
 * that has placed them here knows that it is here. Undefined: here. Refuses `locations_of_several_cells`, `cell_unreachable`.
 */
export async function cellOfAdjustments(
  options: Options,
  { shopId, adjustments }: AdjustStock,
  { key, isPlacedHere }: { key: IdempotencyKey; isPlacedHere: boolean },
): Promise<LineHome | Refused | undefined> {
  const { cell, database } = options
  const several = othersOf(options)
  if (!several) return undefined
  const homes = await homesOf(database, shopId)
  const places = [...new Set(adjustments.map(({ location }) => location))].flatMap((code) => homes.get(code) ?? [])
  const named = new Set(places.map((place) => standingHome(several, place.cell)))
  const [home = cell] = named
  if (named.size < 2 && home !== cell && !isPlacedHere) return { cell: home, isPlacedThere: false }
  const earlier = places.flatMap((place) => place.earlier.map((one) => standingHome(several, one)))
  const others = new Set(isPlacedHere || earlier.length > 0 ? [...named, ...earlier] : [])
  others.delete(cell)
  const taker = others.size === 0 ? undefined : await several.takeKey({ ...key, shopId }, [...others])
  if (typeof taker === 'string') return { cell: taker, isPlacedThere: true }
  return taker ?? (named.size > 1 && !isPlacedHere ? refused('locations_of_several_cells') : undefined)
}

/** Of what had its home in a cell that has left, the first cell is the home: one for everybody. */
const standingHome = ({ stateOf, firstCell }: SeveralCells, home: CellName): CellName =>
  stateOf(home) === 'removed' ? firstCell() : home

/** The cell in which a shop's policies are set: the home of `main`. Undefined: here. */
export async function homeOfPolicies(options: Options, shopId: ShopId): Promise<CellName | undefined> {
  const { cell, database } = options
  const several = othersOf(options)
  if (!several) return undefined
  const main = (await homesOf(database, shopId)).get('main' as LocationCode)
  const home = main && standingHome(several, main.cell)
  return home === cell ? undefined : home
}

const homesOf = async (database: Pick<Database, 'query'>, shopId: ShopId): Promise<Map<LocationCode, LocationHome>> =>
  new Map((await readHomes(database, shopId)).map((home) => [home.code, home]))

/** The cell that answers for an accepted key, which it has taken or was left. */
export const takerElsewhere = ({ value }: Extract<CommandOutcome, { ok: true }>): LineHome | undefined =>
  value.kind === 'earlier' && value.takenBy !== null ? { cell: value.takenBy, isPlacedThere: true } : undefined

type Deciding = Options & { commands: Pick<Commands, 'submit'> }

/**
 * Decides an adjustment with what only the shell knows: between whom receipts are split, and how many units of a place are with
 * others. A count needs that always; what was lost or damaged, when there is less of it here. It takes every cell:
 * `cell_unreachable` while one does not answer.
 */
export async function adjust(
  options: Deciding,
  asked: AdjustStock,
  submissionOf: (command: AdjustStock) => Submission,
): Promise<CommandOutcome> {
  const several = othersOf(options)
  const { commands, cell } = options
  if (!several) return commands.submit(submissionOf(asked))
  const shared = withShares(several, asked)
  const counted = await withParts(several, cell, shared, isCount)
  if ('code' in counted) return counted
  const submission = submissionOf(counted)
  const outcome = await commands.submit(submission)
  if (outcome.ok || outcome.code !== 'insufficient_stock' || !counted.adjustments.some(isLoss)) return outcome
  const command = await withParts(several, cell, counted, isLoss)
  return 'code' in command ? command : commands.submit({ ...submission, command })
}

const isCount = ({ change }: Adjustment): boolean => 'set' in change
const isLoss = ({ change, reason }: Adjustment): boolean => 'delta' in change && change.delta < 0 && isFactual(reason)

const withShares = ({ sharesOf }: SeveralCells, command: AdjustStock): AdjustStock => ({
  ...command,
  adjustments: command.adjustments.map((adjustment) => {
    const shares = adjustment.reason === 'received' ? sharesOf(command.shopId, adjustment.sku) : undefined
    return shares ? { ...adjustment, shares } : adjustment
  }),
})

/** With how many units others have of the places of those that want it. */
async function withParts(
  { otherCells }: SeveralCells,
  cell: CellName,
  command: AdjustStock,
  wants: (adjustment: Adjustment) => boolean,
): Promise<AdjustStock | Refused> {
  const skus = new Set(command.adjustments.filter(wants).map(({ sku }) => sku))
  if (skus.size === 0) return command
  const parts = await otherCells.freshLevels(command.shopId, [...skus])
  if (!parts) return { ...refused('cell_unreachable', 'It needs the part of every cell.'), mayHaveHappened: false }
  const bySku = Map.groupBy(parts, ({ sku }) => sku)
  return {
    ...command,
    adjustments: command.adjustments.map((adjustment) => {
      const { sku, location, change } = adjustment
      if (!wants(adjustment)) return adjustment
      const elsewhere = unitsElsewhereAt(bySku.get(sku) ?? [], cell, location)
      return { ...adjustment, change: { ...change, elsewhere } }
    }),
  }
}

/** What an accepted adjustment is answered with, once the other cells have their part; a replay tells its SKUs as they are now. */
export async function answerToAdjustment(
  options: Options,
  { shopId, adjustments }: AdjustStock,
  { value }: Extract<CommandOutcome, { ok: true }>,
): Promise<string> {
  const { cell, database, now } = options
  const several = othersOf(options)
  const skus = [...new Set(adjustments.map(({ sku }) => sku))]
  const lines =
    value.kind === 'adjusted'
      ? value.rows.map(({ row, ignored }) => ({ sku: row.sku as string, ignored }))
      : adjustments.map(({ sku }) => ({ sku: sku as string, ignored: false }))
  if (several) {
    const levels = await several.otherCells.settledLevels(shopId, skus)
    if (levels.some((level) => level.cell !== cell)) return adjustedAnswer(lines, levels)
  } // where nobody else has any, what it left, whatever has come after it
  if (value.kind !== 'adjusted') return adjustedAnswer(lines, await ownLevels({ cell, database, now }, shopId, skus))
  const parts = new Map(value.rows.map(({ siblings }) => [siblings[0]!.sku, ownPart(cell, siblings, now())]))
  return adjustedAnswer(lines, [...parts.values()])
}

/** This cell's own parts, or those of all cells. */
export const levelsOf = (options: Options, shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[]> =>
  othersOf(options)?.otherCells.levels(shopId, skus) ?? ownLevels(options, shopId, skus)

const ownLevels = async ({ cell, database, now }: Omit<Options, 'several'>, shopId: ShopId, skus: readonly Sku[]) =>
  (await readLevels(database, shopId, skus, now())).map(({ rows, asOf }) => ownPart(cell, rows, asOf))
