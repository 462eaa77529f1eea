// How many orders an address or a customer has placed lately, read from the orders themselves: exact over all processes and
// restarts, and a retry of a placed order counts no second one. Orders that are being placed this very moment are not seen.
import { type ShopId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'

const hourMs = 60 * 60 * 1000

// Both by an index. Ids grow in time, so that the hour is a range of ids: the newest partition or two, and the end of the list
// of an address; a customer's list is read for the whole month.
const recentSql = `
  select
    case when $3::text is null then null else (
      select count(*) from orders.personal
      where shop_id = $1 and lower(email) = lower($3) and email is not null and order_id >= $2::uuid) end as "byEmail",
    case when $4::text is null then null else (
      select count(*) from orders.orders where shop_id = $1 and customer = $4 and id >= $2::uuid) end as "byCustomer"`

export type Recent = { byEmail: number | null; byCustomer: number | null }

/** Null for what is not asked. */
export async function recentOrders(
  database: Pick<Database, 'query'>,
  shopId: ShopId,
  { email, customer }: { email: string | null; customer: string | null },
  now: Instant,
): Promise<Recent> {
  const since: Uuid = uuidV7(addMs(now, -hourMs), new Uint8Array(10))
  const [row] = await database.query<Recent>(recentSql, [shopId, since, email, customer])
  return row!
}
