// What becomes of units between cells: the giver lowers its row and raises its total in one batch, the taker credits what is new
// in that total. So a message may be lost, doubled or late, and a unit is at every moment in one row or under way. Pure.
import type { CellName } from '../../base/ids.ts'
import { accepted, type Outcome } from '../../base/result.ts'
import { adjustedEvent, announceShort, areUnused, type StockState, skuKey, stockSubject } from './decide.ts'
import { isSoldIn, newInTotal, sharesUnder, splitUnits, unitsToGive } from './escrow.ts'
import { availableInRow, availableOf } from './sourcing.ts'
import type {
  Ask,
  CellShare,
  HandOverUnits,
  Received,
  ReceiveUnits,
  Remembered,
  RememberSent,
  SendUnits,
  Sent,
  StockRow,
  Total,
  Transfer,
} from './types.ts'

/** Gives what the ask needs and the stand of this cell allows; every total is told, so that an answer that was lost is made good. */
export function decideSendUnits(state: StockState, command: SendUnits): Outcome<Sent> {
  const { to, ask, own } = command
  const { rows, policy, nothing } = partHere(state, command)
  if (!rows) return accepted(nothing)
  // Two cells that have both sold of it do not name each other, which would send buyers of what is sold out to and fro.
  const livesHere = availableOf(rows) > 0 || !ask.isKnown
  if (policy && policy.group !== null && !ask.evenIfGrouped && livesHere)
    return accepted({ ...nothing, livesHere: true })
  // Goods of a place are for what was sold or counted, wherever that was; nothing else goes where it must not be sold.
  const isSoldThere = ask.location !== null || isSoldIn(policy, to)
  const given =
    nothing.tracking === 'none' || !isSoldThere || state.leaving.has(to)
      ? 0
      : giveUnits(state, rows, { to, ask, units: unitsToGive(freeOf(rows, ask), ask, own) })
  const totals = rows.map((row) => totalOf(row, transferOf(state, row, to)))
  return accepted({ ...nothing, given, left: availableOf(rows), totals })
}

/** The SKU's rows, if it is sold here at all, and the answer of one of whom nothing is given. */
function partHere(state: StockState, { shopId, sku }: Pick<SendUnits, 'shopId' | 'sku'>) {
  const key = skuKey(shopId, sku)
  const all = state.rows.get(key)
  const rows = all && areUnused(state, all) ? undefined : all
  const policy = state.policies.get(key)
  const tracking = all?.[0]?.tracking ?? policy?.tracking ?? 'counted'
  const isKnown = rows !== undefined || policy !== undefined
  const nothing: Sent = { isKnown, livesHere: false, given: 0, left: 0, totals: [], tracking }
  return { rows, policy, nothing }
}

/** Units that may go: of one place, goods that nobody has bought; of any, whatever may be sold. */
function freeOf(rows: readonly StockRow[], { location }: Ask): number {
  const all = availableOf(rows)
  if (location === null) return all
  const row = rows.find((one) => one.location === location)
  return row ? Math.min(all, goodsFree(row)) : 0
}

/** Goods first: what is sold on an allowance has to be backed by goods later. */
function giveUnits(
  state: StockState,
  rows: readonly StockRow[],
  { to, ask, units }: { to: CellName; ask: Ask; units: number },
): number {
  let left = units
  const parts = new Map<StockRow, { units: number; allowance: number }>()
  const from = ask.location === null ? rows : rows.filter((row) => row.location === ask.location)
  for (const row of from) {
    const goods = Math.min(left, goodsFree(row))
    parts.set(row, { units: goods, allowance: 0 })
    left -= goods
  }
  for (const row of ask.location === null ? from : []) {
    const part = parts.get(row)!
    part.allowance = Math.min(left, Math.max(0, row.allowance), Math.max(0, availableInRow(row) - part.units))
    left -= part.allowance
  }
  for (const [row, part] of parts) sendFromRow(state, row, [{ to, ...part }])
  return units - left
}

/** Goods of a row that nobody has reserved or bought. */
const goodsFree = (row: StockRow): number => {
  const goods = row.onHand - row.reserved - row.committed - row.missing
  return Math.max(0, Math.min(goods, availableInRow(row)))
}

/** Nothing stays but what is reserved, bought, or backs what was sold beyond what is there. */
export function decideHandOver(state: StockState, command: HandOverUnits): Outcome<Sent> {
  const { isLeaving } = command
  const shares = sharesOfStaying(state, command.shares)
  const { rows, policy, nothing } = partHere(state, command)
  if (!rows) return accepted(nothing)
  const allowed = sharesUnder(policy, shares)
  // Who leaves gives to anybody rather than take units with it.
  const takers = isLeaving ? (allowed.length > 0 ? allowed : shares) : isSoldIn(policy, state.cell) ? [] : allowed
  let given = 0
  let left = availableOf(rows)
  for (const row of takers.length > 0 ? rows : []) {
    const goods = nothing.tracking === 'none' ? row.onHand : Math.min(left, goodsFree(row))
    const allowance = Math.min(left - goods, Math.max(0, Math.min(row.allowance, availableInRow(row) - goods)))
    const [ofGoods, ofAllowance] = [splitUnits(goods, takers), splitUnits(allowance, takers)]
    sendFromRow(
      state,
      row,
      takers.map(({ cell: to }, at) => ({ to, units: ofGoods[at]!, allowance: ofAllowance[at]! })),
    )
    left -= goods + allowance
    given += goods + allowance
  }
  return accepted({ ...nothing, given, left: availableOf(rows) })
}

/** Shares were weighed before the command was queued. */
export const sharesOfStaying = ({ leaving }: StockState, shares: readonly CellShare[]): readonly CellShare[] =>
  shares.filter(({ cell }) => !leaving.has(cell))

type Parcel = { to: CellName; units: number; allowance: number }

/** The row goes down and the totals up, in one batch and one event. */
export function sendFromRow(state: StockState, row: StockRow, parcels: readonly Parcel[]): void {
  const moving = parcels.filter(({ units, allowance }) => units > 0 || allowance > 0)
  if (moving.length === 0) return
  let gone = 0
  for (const { to, units, allowance } of moving) {
    const transfer = transferOf(state, row, to)
    transfer.sentUnits += units
    transfer.sentAllowance += allowance
    state.dirtyTransfers.add(transfer)
    row.onHand -= units
    row.allowance -= allowance
    gone += units
  }
  transferredEvent(state, row, -gone, {
    sent: moving.map(({ to, units, allowance }) => {
      const { sentUnits, sentAllowance } = transferOf(state, row, to)
      return { cell: to, units, allowance, units_total: sentUnits, allowance_total: sentAllowance }
    }),
  })
}

/** Each unit is credited once, however often and in whatever order totals arrive. */
export function decideReceiveUnits(state: StockState, command: ReceiveUnits): Outcome<Received> {
  const { shopId, from, totals, tracking } = command
  let units = 0
  let left = 0
  for (const total of totals) {
    const key = skuKey(shopId, total.sku)
    const rows = state.rows.get(key)
    const row = rows?.find((one) => one.location === total.location)
    if (!rows || !row) {
      left++ // its place is not known here yet
      continue
    }
    if (state.made.has(row.id)) {
      // A SKU that its shop sells is known from now on, units or not.
      row.tracking =
        state.policies.get(key)?.tracking ?? rows.find((one) => !state.made.has(one.id))?.tracking ?? tracking
      state.dirtyRows.add(row)
    }
    units += credit(state, row, from, total)
  }
  return accepted({ units, left })
}

/**
 * What the other cell has, this one cannot have: its row goes down by as much, and its totals up. What is not on hand any more
 * is `missing`: it is gathered from whoever has units of this place, and until then nothing is sold for it.
 */
export function decideRememberSent(state: StockState, { shopId, to, totals }: RememberSent): Outcome<Remembered> {
  const remembered = { units: 0, missing: 0, left: 0 }
  for (const total of totals) {
    const row = state.rows.get(skuKey(shopId, total.sku))?.find((one) => one.location === total.location)
    if (!row) {
      remembered.left++
      continue
    }
    const { sentUnits, sentAllowance } = transferOf(state, row, to)
    const units = newInTotal(total.units, sentUnits)
    const allowance = newInTotal(total.allowance, sentAllowance)
    if (units === 0 && allowance === 0) continue
    const before = availableInRow(row)
    remembered.units += units
    remembered.missing += coverFromNowhere(state, row, units - row.onHand)
    sendFromRow(state, row, [{ to, units, allowance }])
    announceShort(state, row, before)
  }
  return accepted(remembered)
}

/** Units that a row has sent and never had, as far as it knows: they came in a time that is forgotten. */
function coverFromNowhere(state: StockState, row: StockRow, units: number): number {
  if (units <= 0) return 0
  row.onHand += units
  row.missing += units
  adjustedEvent(state, { row, delta: units, onHand: row.onHand, reason: 'correction' })
  return units
}

function credit(state: StockState, row: StockRow, from: CellName, total: Total): number {
  const transfer = transferOf(state, row, from)
  const units = newInTotal(total.units, transfer.receivedUnits)
  const allowance = newInTotal(total.allowance, transfer.receivedAllowance)
  if (units === 0 && allowance === 0) return 0
  transfer.receivedUnits += units
  transfer.receivedAllowance += allowance
  state.dirtyTransfers.add(transfer)
  row.onHand += units
  row.allowance += allowance
  transferredEvent(state, row, units, {
    received: [
      {
        ...{ cell: from, units, allowance },
        ...{ units_total: transfer.receivedUnits, allowance_total: transfer.receivedAllowance },
      },
    ],
  })
  writeOffMissing(state, row)
  return units + allowance
}

/** Units that a count did not find have come back as rights: they are written off now. */
function writeOffMissing(state: StockState, row: StockRow): void {
  const units = Math.min(row.missing, row.onHand)
  if (units === 0) return
  const before = availableInRow(row)
  row.missing -= units
  row.onHand -= units
  adjustedEvent(state, { row, delta: -units, onHand: row.onHand, reason: 'counted' })
  announceShort(state, row, before)
}

/** Of this location's units, those that went to other cells and did not come back; shipped ones too, which only they know of. */
export const unitsElsewhere = (state: StockState, row: StockRow): number =>
  (state.transfers.get(row.id) ?? []).reduce((sum, one) => sum + one.sentUnits - one.receivedUnits, 0)

/** Made when it is first needed; written only if it changes. */
function transferOf(state: StockState, row: StockRow, peer: CellName): Transfer {
  const ofRow = state.transfers.get(row.id) ?? []
  const known = ofRow.find((transfer) => transfer.peer === peer)
  if (known) return known
  const none = { sentUnits: 0, sentAllowance: 0, receivedUnits: 0, receivedAllowance: 0 }
  const transfer: Transfer = { row: row.id, peer, ...none }
  state.transfers.set(row.id, [...ofRow, transfer])
  return transfer
}

/** All that was ever sent from the row to the other cell. */
export const totalOf = ({ sku, location }: StockRow, { sentUnits, sentAllowance }: Transfer): Total => ({
  sku,
  location,
  units: sentUnits,
  allowance: sentAllowance,
})

function transferredEvent(state: StockState, row: StockRow, onHand: number, data: Record<string, unknown>): void {
  state.dirtyRows.add(row)
  state.events.push({
    shopId: row.shopId,
    subject: stockSubject(row),
    subjectVersion: ++row.version,
    type: 'stock.transferred',
    data: { sku: row.sku, location: row.location, ...data },
    moves: onHand === 0 ? [] : [row.id, onHand, 0, 0, 0],
  })
}
