// Schemas of the test provider's routes.
import { Type } from 'typebox'
import { AnyText, Currency, closed, OrderId, oneOf } from '../../base/schemas.ts'

export const TestChargesQuery = closed({ order: AnyText })
export const TestChargeParams = closed({ id: AnyText })

const minorUnits = Type.Integer({ minimum: 0, description: 'Minor units.' })
const TestCharge = closed({
  id: Type.String(),
  order_id: OrderId,
  idempotency_key: Type.String({ description: 'The id of the attempt to pay.' }),
  amount: minorUnits,
  currency: Currency,
  captured: minorUnits,
  refunded: minorUnits,
  status: oneOf(['authorized', 'captured', 'refunded', 'voided', 'failed']),
})

export const components = {
  TestCharge,
  TestChargeList: Type.Unsafe<object>({
    type: 'object',
    required: ['data'],
    properties: { data: { type: 'array', items: { $ref: '#/components/schemas/TestCharge' } } },
    additionalProperties: false,
  }),
}
