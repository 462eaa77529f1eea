// What cells say to each other about units, as it stands on the wire. Everything is checked on arrival: a peer's signature says who
// speaks, not that it makes sense. Totals are absolute, so that a message may come twice, late or never.
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import { closed } from '../../base/schemas.ts'

const Units = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Code = Type.String({ minLength: 1, maxLength: limits.skuCharactersMax })
const Shop = Type.Integer({ minimum: 1 })
const Tracking = Type.Union([Type.Literal('counted'), Type.Literal('none')])

export const AskMessage = closed({
  shop_id: Shop,
  first_asked_at: Type.Integer({ minimum: 0 }),
  asks: Type.Array(
    closed({
      sku: Code,
      need: Units,
      wanted: Units,
      rate: Type.Number({ minimum: 0 }),
      available: Units,
      location: Type.Union([Code, Type.Null()]),
      even_if_grouped: Type.Boolean(),
      is_known: Type.Boolean(),
    }),
    { minItems: 1, maxItems: limits.orderLinesMax },
  ),
})
export type AskMessage = Static<typeof AskMessage>

const TotalOfPlace = closed({ location: Code, units: Units, allowance: Units })

/** One answer an ask, in their order. */
export const AskAnswer = Type.Object({
  answers: Type.Array(
    Type.Object({
      known: Type.Boolean(),
      lives_here: Type.Boolean(),
      kept: Type.Boolean(),
      given: Units,
      left: Type.Integer(),
      rate: Type.Number(),
      tracking: Tracking,
      totals: Type.Array(TotalOfPlace),
    }),
  ),
})
export type AskAnswer = Static<typeof AskAnswer>

export const CreditMessage = closed({
  shop_id: Shop,
  tracking: Tracking,
  totals: Type.Array(closed({ sku: Code, location: Code, units: Units, allowance: Units }), {
    maxItems: limits.creditTotalsMax,
  }),
})

export const LevelsMessage = closed({
  shop_id: Shop,
  skus: Type.Array(Code, { minItems: 1, maxItems: limits.creditTotalsMax }),
})

const Count = Type.Integer()
/** Only of those SKUs that the cell knows. */
export const LevelsAnswer = Type.Object({
  as_of: Type.Integer(),
  levels: Type.Array(
    Type.Object({
      sku: Code,
      tracking: Tracking,
      rows: Type.Array(
        Type.Object({
          ...{ location: Code, on_hand: Count, reserved: Count, committed: Count, allowance: Count, missing: Count },
          transfers: Type.Array(Type.Object({ cell: Code, sent: Count, received: Count })),
        }),
      ),
    }),
  ),
})
export type LevelsAnswer = Static<typeof LevelsAnswer>

/** Of the places behind one, in the order of (shop, SKU, location); null: from the first. */
export const TotalsMessage = closed({
  after: Type.Union([closed({ shop_id: Shop, sku: Code, location: Code }), Type.Null()]),
})

const Amounts = Type.Object({ units: Units, allowance: Units })
/** All that ever went between the two, as the answering cell remembers it. */
export const TotalsAnswer = Type.Object({
  totals: Type.Array(Type.Object({ shop_id: Shop, sku: Code, location: Code, sent: Amounts, received: Amounts }), {
    maxItems: limits.totalsPageMax,
  }),
})
