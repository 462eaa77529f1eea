// What the audit asks of payments: what is under way, and the test provider's own record, summed.
import type { ShopId } from '../../base/ids.ts'
import type { Currency } from '../../base/money.ts'
import type { Database } from '../../runtime/pg.ts'

// An authorization that takes the money at once may have taken it; so may an operation that stands in the dead letters, and an
// attempt that was called at once and that the consumer has not come to yet.
const underWaySql = `
  with asked as (
    select shop_id, provider, currency, kind, capture, amount from payments.operations
    union all
    select shop_id, data ->> 'provider', data ->> 'currency', 'authorize', data ->> 'capture', (data ->> 'amount')::bigint
    from runtime.events
    where type = 'payment.requested' and seq > (select coalesce(max(seq), 0) from runtime.consumers where name = 'payments')
  )
  select shop_id as "shopId", provider, currency,
    coalesce(sum(amount) filter (where kind = 'capture' or kind = 'authorize' and capture = 'now'), 0)::bigint as captures,
    coalesce(sum(amount) filter (where kind = 'refund'), 0)::bigint as refunds
  from asked group by 1, 2, 3`

export type UnderWaySum = { shopId: ShopId; provider: string; currency: Currency; captures: number; refunds: number }

export const readUnderWay = (database: Pick<Database, 'query'>) => database.query<UnderWaySum>(underWaySql)

const hasOperationsSql = 'select exists (select 1 from payments.operations) as found'

/** Something was asked of a provider and is not answered for good; the dead letters count. */
export const hasOperations = async (database: Pick<Database, 'query'>): Promise<boolean> =>
  (await database.query<{ found: boolean }>(hasOperationsSql))[0]!.found

const testChargesSql = `
  select shop_id as "shopId", currency, sum(captured)::bigint as captured, sum(refunded)::bigint as refunded
  from test_provider.charges group by 1, 2`

export type ChargeSum = { shopId: ShopId; currency: Currency; captured: number; refunded: number }

export const readTestCharges = (database: Pick<Database, 'query'>) => database.query<ChargeSum>(testChargesSql)
