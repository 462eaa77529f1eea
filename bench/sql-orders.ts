// Orders written inside PostgreSQL by SQL alone, as large as the engine's (`checkSameSize`): the bare inserts that bound what any engine on these tables can do, and the past of a store that has grown.
import type postgres from 'postgres'
import { customers, skusSpread, unitPrice } from './shapes.ts'

/** Parts of a row, made from two random SKUs; `r` is a row of stock. */
const document = (customer: string) => `
  '{"currency":"EUR","total":${2 * unitPrice},"lines":[{"sku":"' || a.sku || '","quantity":1,"unitPrice":${unitPrice},"amount":${unitPrice},"allocations":[{"row":' || a.id
  || ',"location":"main","quantity":1}]},{"sku":"' || b.sku || '","quantity":1,"unitPrice":${unitPrice},"amount":${unitPrice},"allocations":[{"row":' || b.id
  || ',"location":"main","quantity":1}]}],"customer":"' || ${customer} || '","reference":null,"provider":null,"holdId":null}'`
const placedData = `
  '{"order_id":"' || wire || '","currency":"EUR","total":${2 * unitPrice},"lines":[{"sku":"' || sku_a || '","quantity":1},{"sku":"' || sku_b || '","quantity":1}]}'`

/** `count` new orders; `shift` is the interval by which each one's time differs from now (of row `n`). */
const newOrders = (count: string, shift: string): string => `
  src as materialized (
    select n, drawn.id, uuid_extract_timestamp(drawn.id) as at, customer, a.id as row_a, b.id as row_b, a.sku as sku_a, b.sku as sku_b,
      'ord_eu1_' || substr(translate(drawn.id::text, '-', ''), 1, 26) as wire, ${document('customer')} as document
    from (
      select n, uuidv7(${shift}) as id, 'customer-' || lpad((random() * ${customers - 1})::integer::text, 6, '0') as customer,
        (random() * ${skusSpread - 1})::integer as x, (random() * ${skusSpread - 2})::integer as y
      from generate_series(1, ${count}) n) drawn
    join bench.stock a on a.place = x
    join bench.stock b on b.place = (x + 1 + y) % ${skusSpread})`

const insertOrders = `
  insert into orders.orders (shop_id, id, placed_at, customer, document)
  select 1, id, at, customer, document::json from src order by id`
const insertKeys = (table: string) => `
  insert into ${table} (shop_id, hash, request, result_id)
  select 1, gen_random_uuid(), gen_random_uuid(), id from src`
const eventColumns = 'shop_id, event_id, subject, subject_version, type, at, data, moves'

export const prepareSql = `
  create schema bench;
  create table bench.stock (place integer primary key, id bigint not null, sku text not null);
  insert into bench.stock select row_number() over (order by id) - 1, id, sku from stock.rows;
  analyze bench.stock;

  create procedure bench.bare_inserts(batch integer, ends_at timestamptz, inout made bigint) language plpgsql as $$
  begin
    made := 0;
    while clock_timestamp() < ends_at loop
      with ${newOrders('batch', "interval '0'")}, o as (${insertOrders}), s as (
        insert into orders.states (shop_id, id, status, version, expires_at, updated_at, row_ids)
        select 1, id, 'pending', 1, at + interval '15 minutes', at, array[row_a, row_b] from src order by id
      ), k as (${insertKeys('orders.keys_young_0')})
      insert into runtime.events (${eventColumns})
      select 1, gen_random_uuid(), wire, 1, 'order.placed', at, (${placedData})::json,
        array[row_a, 0, 1, 0, 0, row_b, 0, 1, 0, 0] from src order by id;
      made := made + batch;
      commit;
    end loop;
  end $$;

  -- Confirmed orders of the last three days, each with both its events; the oldest first.
  create procedure bench.stored_orders(from_row bigint, to_row bigint, total bigint, batch integer) language plpgsql as $$
  declare
    base bigint := from_row;
  begin
    while base < to_row loop
      with ${newOrders('least(batch, to_row - base)', "interval '-3 days' * (1 - (base + n)::double precision / total)")},
      o as (${insertOrders}), s as (
        insert into orders.states (shop_id, id, status, version, expires_at, updated_at, row_ids)
        select 1, id, 'confirmed', 2, null, at, array[row_a, row_b] from src order by id
      ), k as (${insertKeys('orders.keys_0')})
      insert into runtime.events (${eventColumns})
      select 1, gen_random_uuid(), wire, version, type, at, data, moves from src cross join lateral (values
        (1, 'order.placed', (${placedData})::json, array[row_a, 0, 1, 0, 0, row_b, 0, 1, 0, 0]),
        (2, 'order.confirmed', ('{"order_id":"' || wire || '"}')::json,
          array[row_a, 0, -1, 0, 0, row_b, 0, -1, 0, 0, row_a, 0, 0, 1, 0, row_b, 0, 0, 1, 0])) e(version, type, data, moves)
      order by n, version;
      base := base + batch;
      commit;
    end loop;
  end $$;`

type Sizes = { document: number; event: number; moves: number; row_ids: number }

/** Mean sizes of the newest orders' rows: characters, and items of arrays. */
async function sizesOfNewest(sql: postgres.Sql): Promise<Sizes> {
  const [sizes] = await sql<Sizes[]>`
    select avg(length(o.document::text))::float8 as document, avg(length(e.data::text))::float8 as event,
      avg(cardinality(e.moves))::float8 as moves, avg(cardinality(s.row_ids))::float8 as row_ids
    from (select * from runtime.events order by seq desc limit 100) e
    cross join (select * from orders.orders order by id desc limit 1) o
    join orders.states s on s.shop_id = o.shop_id and s.id = o.id`
  return sizes!
}

/** Runs both writers; throws unless what they write is of one size, since a bound by smaller rows would bound nothing. */
export async function checkSameSize(
  sql: postgres.Sql,
  byEngine: () => Promise<unknown>,
  bySql: () => Promise<unknown>,
): Promise<void> {
  await byEngine()
  const ours = await sizesOfNewest(sql)
  await bySql()
  const theirs = await sizesOfNewest(sql)
  for (const name of Object.keys(ours) as (keyof Sizes)[]) {
    const ratio = theirs[name] / ours[name]
    if (!(ratio > 0.98 && ratio < 1.02))
      throw new Error(`${name}: the engine writes ${ours[name]}, the bare inserts ${theirs[name]}`)
  }
}
