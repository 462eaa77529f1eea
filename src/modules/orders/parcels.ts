// The parcels of an order: which have left, and which units the others speak for. Units of an open parcel are open still, and
// are committed in stock, but they are in no second parcel and are not cancelled one by one.
import { assert } from '../../base/assert.ts'
import type { Allocation } from '../stock/types.ts'
import type { Life, Shipment, ShippedLine } from './life.ts'

export const hasLeft = ({ status }: Shipment): boolean => status === 'shipped' || status === 'delivered'
const isOpenParcel = ({ status }: Shipment): boolean => status === 'picking' || status === 'packed'

export const shippedParcels = ({ shipments }: Pick<Life, 'shipments'>): Shipment[] => shipments.filter(hasLeft)
export const openParcels = ({ shipments }: Pick<Life, 'shipments'>): Shipment[] => shipments.filter(isOpenParcel)
export const hasShipped = ({ shipments }: Pick<Life, 'shipments'>): boolean => shipments.some(hasLeft)

/** Units of a line that open parcels hold (or some of these), and where they are. */
export const spokenFor = (life: Pick<Life, 'shipments'>, index: number, which = isOpenParcel): ShippedLine[] =>
  life.shipments.filter(which).flatMap(({ lines }) => lines.filter(({ line }) => line === index))

/** What is left of allocations when units of theirs are taken, row by row; of a row, those in front. */
export function without(allocations: readonly Allocation[], taken: readonly Allocation[]): readonly Allocation[] {
  if (taken.length === 0) return allocations
  const gone = new Map<number, number>()
  for (const { row, quantity } of taken) gone.set(row, (gone.get(row) ?? 0) + quantity)
  const left = allocations.flatMap(({ row, location, quantity }) => {
    const units = Math.min(quantity, gone.get(row) ?? 0)
    gone.set(row, (gone.get(row) ?? 0) - units)
    return units === quantity ? [] : [{ row, location, quantity: quantity - units }]
  })
  for (const [row, units] of gone) assert(units === 0, `${units} units of row ${row} are taken twice`)
  return left
}
