// A command that is refused for want of units which other cells may have leaves its batch, and is tried again when some have
// come. So nobody else in the batch waits for another continent, and the buyer is told "sold out" only when nobody in reach has any.
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type FieldProblem, refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import type { Allotments, Lack } from '../stock/allotments.ts'
import type { Commands } from './service.ts'
import type { CommandOutcome, Submission } from './types.ts'

/** Units of a group that live together in another cell: the command is that cell's to decide. */
export class LivesElsewhere extends Error {
  override readonly name = 'LivesElsewhere'
  readonly cell: CellName
  constructor(cell: CellName) {
    super(`the units of this group are in ${cell}`)
    this.cell = cell
  }
}

/** Rejects with LivesElsewhere, besides what `commands` rejects with. `onSoldOut`: whether every other cell had said that it has none. */
export function withGathering(
  commands: Pick<Commands, 'submit'>,
  { gather }: Pick<Allotments, 'gather'>,
  now: () => Instant,
  onSoldOut: (isCertain: boolean) => void = () => {},
): Commands['submit'] {
  return async (submission) => {
    let evenIfGrouped = false
    for (let round = 0; ; round++) {
      const outcome = await commands.submit(submission)
      const lacks = lacksOf(submission, outcome)
      if (lacks.length === 0 || round === limits.gatherRoundsMax) return outcome
      const { shopId } = submission.command as { shopId: ShopId }
      const { came, grouped, isCertain } = await gather(shopId, lacks, { evenIfGrouped, span: submission.span })
      const [home] = grouped
      const isInTime = now() < submission.deadline
      if ((!came && home === undefined) || !isInTime) {
        onSoldOut(isCertain && isInTime)
        return isCertain ? outcome : uncertain(submission, outcome)
      }
      if (home !== undefined) {
        // An exchange is decided where its first order is.
        const isWhole = submission.command.kind !== 'exchange_order' && grouped.length === skusOf(submission).size
        if (isWhole && !isPartHere(outcome) && grouped.every((one) => one === home)) throw new LivesElsewhere(home)
        evenIfGrouped = true // an order over groups of several cells, over a group and other goods, or over one that is parted
      }
    }
  }
}

const isPartHere = (outcome: CommandOutcome): boolean =>
  !outcome.ok && (outcome.errors ?? []).some(({ available }) => Number(available ?? 0) > 0)

/** That a SKU does not exist, or that units cannot be written off, is said only when every cell has said so. */
const uncertain = ({ command }: Submission, outcome: CommandOutcome): CommandOutcome =>
  !outcome.ok && (outcome.code === 'sku_not_found' || command.kind === 'adjust_stock')
    ? { ...refused('cell_unreachable', 'A cell that is out of reach may have it.'), mayHaveHappened: false }
    : outcome

/** All that the command needs units of. */
function skusOf({ command }: Submission): Set<Sku> {
  const lines = command.kind === 'exchange_order' ? command.order.lines : 'lines' in command ? command.lines : null
  return new Set(lines?.map(({ sku }) => sku))
}

/** What each SKU is short of, when that is why a command was refused. */
export function lacksOf({ command }: Submission, outcome: CommandOutcome): Lack[] {
  if (outcome.ok || (outcome.code !== 'insufficient_stock' && outcome.code !== 'sku_not_found')) return []
  switch (command.kind) {
    case 'place_order':
      return command.holdId === null ? lacksIn(outcome.errors ?? []) : []
    case 'place_hold':
    case 'exchange_order':
      return lacksIn(outcome.errors ?? [])
    case 'ship_order':
    case 'pick_order':
    case 'ship_shipment': // sold by right, while the goods are another cell's to sell
    case 'adjust_stock':
      return goodsIn(outcome.errors ?? [])
    default:
      return []
  }
}

/** Each at the place where it has to be. */
const goodsIn = (errors: readonly FieldProblem[]): Lack[] =>
  errors.flatMap((error) => {
    const location = error.location as LocationCode | undefined
    return location === undefined ? [] : lacksIn([error]).map(({ sku, need }) => ({ sku, need, location }))
  })

function lacksIn(errors: readonly FieldProblem[]): Lack[] {
  const lacks = new Map<string, Lack>()
  for (const { sku, code, requested, available } of errors) {
    const had = Number(available ?? 0)
    if (typeof sku === 'string')
      lacks.set(sku, {
        ...{ sku: sku as Sku, need: Math.max(1, Number(requested ?? 1) - had), had },
        isUnknown: code === 'sku_not_found',
      })
  }
  return [...lacks.values()]
}
