// The statements of fulfilment: the rows of some orders, made what they should be, and a page of a location's.
import type { LocationCode, ShopId, Uuid } from '../../base/ids.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, textArray } from '../../runtime/pg-values.ts'
import type { ShopOrder, WorkStatus } from './types.ts'

export type WorkRow = ShopOrder & { location: LocationCode; status: WorkStatus }

const replaceWorkSql = `
  with wanted as materialized (
    select * from unnest($3::integer[], $4::text[], $5::text[], $6::uuid[]) w(shop_id, location, status, order_id)
  ), gone as (
    delete from fulfilment.work old using unnest($1::integer[], $2::uuid[]) o(shop_id, order_id)
    where old.shop_id = o.shop_id and old.order_id = o.order_id and not exists (
      select from wanted w where w.shop_id = old.shop_id and w.location = old.location and w.status = old.status
        and w.order_id = old.order_id)
  )
  insert into fulfilment.work (shop_id, location, status, order_id) select * from wanted on conflict do nothing`

/** Afterwards these orders have these rows and no others. */
export const replaceWork = (session: Session, orders: readonly ShopOrder[], rows: readonly WorkRow[]) =>
  session.run(replaceWorkSql, [
    bareArray(orders.map((one) => one.shopId)),
    bareArray(orders.map((one) => one.orderId)),
    bareArray(rows.map((one) => one.shopId)),
    textArray(rows.map((one) => one.location)),
    textArray(rows.map((one) => one.status)),
    bareArray(rows.map((one) => one.orderId)),
  ])

// A page of each status, of which the oldest are the page: an order may be in several.
const readWorkSql = `
  select distinct page.order_id from unnest($3::text[]) wanted(status) cross join lateral (
    select order_id from fulfilment.work w
    where w.shop_id = $1 and w.location = $2 and w.status = wanted.status and w.order_id > $4
    order by order_id limit $5) page
  order by 1 limit $5`

/** Orders with something to be done at a location, oldest first. */
export async function readWork(
  database: Pick<Database, 'query'>,
  shopId: ShopId,
  at: { location: string; statuses: readonly WorkStatus[] },
  page: { after: Uuid; limit: number },
): Promise<Uuid[]> {
  const params = [shopId, at.location, textArray(at.statuses), page.after, page.limit]
  const rows = await database.query<{ order_id: Uuid }>(readWorkSql, params)
  return rows.map((row) => row.order_id)
}
