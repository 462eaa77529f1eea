// What is answered about units: sums over the parts that cells have of a SKU, each part with its age. Pure.
import type { CellName, LocationCode } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import type { CellLevel, Elsewhere, StockRow, StockRowId, Transfer } from './types.ts'

/** The part of the cell that reads its own rows of a SKU; of a lone one nothing ever went to others. */
export function ownPart(
  cell: CellName,
  rows: readonly StockRow[],
  asOf: Instant,
  transfers: ReadonlyMap<StockRowId, readonly Transfer[]> = new Map(),
): CellLevel {
  const { sku, tracking } = rows[0]!
  const between = (row: StockRow) =>
    (transfers.get(row.id) ?? []).map(({ peer, sentUnits, receivedUnits }) => ({
      cell: peer,
      sent: sentUnits,
      received: receivedUnits,
    }))
  return { cell, sku, tracking, asOf, rows: rows.map((row) => withTransfers(row, between(row))) }
}

type RowOfLevel = CellLevel['rows'][number]

export const withTransfers = <Row extends Omit<RowOfLevel, 'transfers' | 'netSent'>>(
  row: Row,
  transfers: RowOfLevel['transfers'],
) => ({ ...row, transfers, netSent: netOf(transfers) })

const netOf = (transfers: RowOfLevel['transfers']): number =>
  transfers.reduce((units, { sent, received }) => units + sent - received, 0)

type Rows = CellLevel['rows']

/** Units as told outside: what is not counted never runs out, and reads as the largest count there is. */
const told = (units: number): number => Math.max(0, Math.min(units, limits.unitsMax))

const sum = (rows: Rows, units: (row: RowOfLevel) => number): number =>
  rows.reduce((total, row) => total + units(row), 0)

/** Negative when short. */
const mayBeSold = (rows: Rows): number =>
  sum(rows, (row) => row.onHand + row.allowance - row.reserved - row.committed - row.missing)

function counters(rows: Rows, isCounted: boolean) {
  return {
    on_hand: sum(rows, ({ onHand }) => onHand),
    reserved: sum(rows, ({ reserved }) => reserved),
    committed: sum(rows, ({ committed }) => committed),
    available: told(isCounted ? mayBeSold(rows) : limits.unitsMax),
  }
}

const isCountedIn = (parts: readonly CellLevel[]): boolean => parts[0]!.tracking === 'counted'

/** Of one SKU, over all parts; `short` is what was sold beyond what is there and allowed. */
function sumsOf(parts: readonly CellLevel[]) {
  const rows = parts.flatMap((part) => part.rows)
  const isCounted = isCountedIn(parts)
  return { ...counters(rows, isCounted), short: isCounted ? Math.max(0, -mayBeSold(rows)) : 0 }
}

/** Sent and not known to have arrived, which is all that was sent to a cell of which nothing is known. */
function unitsUnderWay(parts: readonly CellLevel[]): number {
  let units = 0
  for (const giver of parts) {
    for (const row of giver.rows) {
      for (const { cell, sent } of row.transfers) {
        const there = parts.find((part) => part.cell === cell)?.rows.find(({ location }) => location === row.location)
        units += Math.max(0, sent - (there?.transfers.find((one) => one.cell === giver.cell)?.received ?? 0))
      }
    }
  }
  return units
}

/** The body of GET /v1/stock/{sku}; this cell's part is the first. */
export function levelAnswer(parts: readonly CellLevel[]) {
  const isCounted = isCountedIn(parts)
  const rows = parts.flatMap((part) => part.rows)
  const places = new Set<LocationCode>(rows.map(({ location }) => location))
  return {
    sku: parts[0]!.sku,
    tracking: parts[0]!.tracking,
    ...sumsOf(parts),
    allowance: sum(rows, ({ allowance }) => allowance),
    in_flight: unitsUnderWay(parts),
    cells: parts.map((part) => ({
      cell: part.cell,
      ...counters(part.rows, isCounted),
      as_of: toRfc3339(part.asOf),
    })),
    locations: [...places].map((location) => {
      const { on_hand, available } = counters(
        rows.filter((row) => row.location === location),
        isCounted,
      )
      return { location, on_hand, available }
    }),
  }
}

/**
 * Units of a location that are with other cells or under way. The parts were read at different moments, so that what is under way
 * between two of them may be negative: added up as it is, nothing is counted twice. What went to a cell that has left is where that
 * cell has sent it, or sold.
 */
export function unitsElsewhereAt(parts: readonly CellLevel[], own: CellName, location: LocationCode): Elsewhere {
  const rowsIn = (isOwn: boolean) =>
    parts
      .filter(({ cell }) => (cell === own) === isOwn)
      .flatMap(({ rows }) => rows.filter((row) => row.location === location))
  const lying = sum(rowsIn(false), ({ onHand, missing }) => onHand - missing)
  const underWay = sum([...rowsIn(true), ...rowsIn(false)], ({ transfers }) => netOf(transfers))
  return { units: lying + underWay, sent: sum(rowsIn(true), ({ netSent }) => netSent) }
}

/** One line an adjustment, each with its SKU as it is now. */
export function adjustedAnswer(
  lines: readonly { sku: string; ignored: boolean }[],
  parts: readonly CellLevel[],
): string {
  const bySku = Map.groupBy(parts, ({ sku }): string => sku)
  const data = lines.map(({ sku, ignored }) => ({ sku, ...sumsOf(bySku.get(sku)!), ...(ignored ? { ignored } : {}) }))
  return JSON.stringify({ data })
}
