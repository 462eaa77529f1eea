// What of a place is with which cell, as cells tell each other when more was lost than is in one of them.
import type { MemoryDatabase } from '../../../src/modules/orders/memory-database.ts'
import type { Command } from '../../../src/modules/orders/types.ts'
import type { Adjustment } from '../../../src/modules/stock/types.ts'

export type Place = Pick<Adjustment, 'sku' | 'location'>
/** What lies there for the cell to sell, and how much more of it has left for other cells than came from them. */
export type Part = { lying: number; sent: number }

export function partOf({ tables }: MemoryDatabase, { sku, location }: Place): Part {
  const row = [...tables.rows.values()].find((one) => one.sku === sku && one.location === location)
  if (!row) return { lying: 0, sent: 0 }
  const moved = [...tables.transfers.values()].filter((one) => one.row === row.id)
  const sent = moved.reduce((sum, { sentUnits, receivedUnits }) => sum + sentUnits - receivedUnits, 0)
  return { lying: row.onHand - row.missing, sent }
}

/** A loss, with what every other cell has of its place; undefined when the command is none. */
export async function withParts(
  command: Command,
  database: MemoryDatabase,
  ask: (place: Place) => Promise<Part[]>,
): Promise<Command | undefined> {
  if (command.kind !== 'adjust_stock') return undefined
  const [adjustment] = command.adjustments
  if (adjustment?.reason !== 'lost') return undefined
  const { sku, location, change } = adjustment
  const parts = await ask({ sku, location })
  const { sent } = partOf(database, adjustment)
  const elsewhere = { units: parts.reduce((sum, part) => sum + part.lying + part.sent, sent), sent }
  return { ...command, adjustments: [{ ...adjustment, change: { ...change, elsewhere } }] }
}
