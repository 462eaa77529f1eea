// Which rows a line's units come from: by the location's priority, then the nearest, then the oldest row. Pure.
// A line may be split; it is refused only when the sum over all rows is short.
import { distanceKm } from '../../base/countries.ts'
import type { Allocation, Destination, Site, StockRow } from './types.ts'

/** Units the row can still give; negative when it is short. Rows that are not counted never run out. */
export const availableInRow = (row: StockRow): number =>
  row.tracking === 'none'
    ? Number.MAX_SAFE_INTEGER
    : row.onHand + row.allowance - row.reserved - row.committed - row.missing

/** Units of the SKU that may still be sold: a short row lowers what the others may give. Never below 0. */
export function availableOf(rows: readonly StockRow[]): number {
  let sum = 0
  for (const row of rows) {
    if (row.tracking === 'none') return Number.MAX_SAFE_INTEGER
    sum += availableInRow(row)
  }
  return Math.max(0, sum)
}

/** Units sold beyond what is there and allowed. */
export function shortOf(rows: readonly StockRow[]): number {
  let sum = 0
  for (const row of rows) {
    if (row.tracking === 'none') return 0
    sum += availableInRow(row)
  }
  return Math.max(0, -sum)
}

/** Undefined when the rows together have fewer than `quantity` units available. */
export function sourceUnits(
  rows: readonly StockRow[],
  quantity: number,
  destination: Destination | null,
): Allocation[] | undefined {
  if (availableOf(rows) < quantity) return undefined
  const allocations: Allocation[] = []
  let left = quantity
  for (const row of rows.length === 1 ? rows : inSourcingOrder(rows, destination)) {
    const taken = Math.min(left, Math.max(0, availableInRow(row)))
    if (taken === 0) continue
    allocations.push({ row: row.id, location: row.location, quantity: taken })
    left -= taken
    if (left === 0) break
  }
  return allocations
}

function inSourcingOrder(rows: readonly StockRow[], destination: Destination | null): StockRow[] {
  return rows.toSorted(
    (a, b) =>
      a.site.priority - b.site.priority ||
      distanceTo(a.site, destination) - distanceTo(b.site, destination) ||
      a.id - b.id,
  )
}

/** Kilometres from the location to the middle of the destination's country; unknown places come last, at one distance. */
function distanceTo(site: Site, destination: Destination | null): number {
  if (!destination) return 0
  if (site.country === destination.country) return 0
  return distanceKm(site, destination.country)
}
