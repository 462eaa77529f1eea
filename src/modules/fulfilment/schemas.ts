// Shapes of the list of work on the wire.
import { type Static, Type } from 'typebox'
import {
  closed,
  LocationCode,
  listOf,
  nullable,
  OrderId,
  oneOf,
  page,
  Quantity,
  ref,
  Sku,
  Time,
} from '../../base/schemas.ts'
import { workStatuses } from './types.ts'

export const WorkQuery = closed({
  ...page,
  location: Type.Optional(Type.Unsafe<string>({ ...LocationCode, default: 'main' })),
  status: Type.Optional(
    oneOf(workStatuses, {
      description: 'Orders with units in no parcel, with a parcel that is being picked, with one that is packed.',
    }),
  ),
})
export type WorkQuery = Static<typeof WorkQuery>

const WorkAnswer = Type.Object({
  order_id: OrderId,
  reference: nullable(Type.String()),
  placed_at: Time,
  location: LocationCode,
  status: oneOf(workStatuses, { description: 'Of what is least advanced.' }),
  lines: Type.Array(Type.Object({ sku: Sku, quantity: Quantity }), { description: 'In no parcel yet.' }),
  shipments: Type.Array(ref('Shipment'), { description: 'Of the location, that have not left.' }),
})

/** Named in OpenAPI. */
export const components = { Work: WorkAnswer, WorkList: listOf(ref('Work')) }
