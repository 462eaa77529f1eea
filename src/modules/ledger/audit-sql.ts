// The statements of the audit of money. What the log books is told here a second time, in SQL that shares nothing with
// decide.ts, so that one mistake in either is found by the other. The audit alone reads tables of other modules.

const takesBack = `type in ('order.cancelled', 'order.lines_cancelled', 'order.credited', 'order.unpaid', 'return.received')`
const endsAuthorization = `type in ('payment.captured', 'payment.voided', 'payment.failed')`
const ofAuthorization = `(${endsAuthorization} or type = 'payment.authorized')`

/** Of the first line. */
const firstAmount = `case when ${takesBack} then credited when ${ofAuthorization} then authorized
    when type = 'payment.refund_failed' then taken_back else amount end`

/** `booked`: the entries that the log makes of the events in `range`; which order they are of is looked at order by order. */
const bookedIn = (range: string): string => `
  told as materialized (
    select e.shop_id, e.seq, e.type, d.*, case d.provider when 'none' then 'external' else 'provider:' || d.provider end as money
    from runtime.events e cross join lateral json_to_record(e.data) as d
      (amount bigint, credited bigint, authorized bigint, taken_back bigint, currency text, provider text, kind text, owed_by text)
    where ${range}
      and e.type in ('order.confirmed', 'order.cancelled', 'order.lines_cancelled', 'order.credited', 'order.unpaid',
        'return.received', 'payment.authorized', 'payment.captured', 'payment.voided', 'payment.failed', 'payment.refunded',
        'payment.refund_failed', 'ledger.booked')
  ), booked as materialized (
    select shop_id, seq, 1 as line, currency,
      case when type in ('order.confirmed', 'payment.refunded') or owed_by = 'shop' then 'receivable'
        when ${takesBack} then 'sales' when ${endsAuthorization} then 'authorizations'
        when type = 'payment.authorized' then 'authorized:' || provider
        when type = 'payment.refund_failed' then 'taken_back:' || provider
        when owed_by = 'buyer' then 'written_off' when kind = 'fee' then 'fees' end as debit,
      case when type = 'order.confirmed' then 'sales' when type = 'payment.refunded' then money
        when ${takesBack} or type = 'payment.refund_failed' or owed_by = 'buyer' then 'receivable' when ${endsAuthorization} then 'authorized:' || provider
        when type = 'payment.authorized' then 'authorizations'
        when owed_by = 'shop' then 'written_off' when kind = 'fee' then 'payable' end as credit,
      ${firstAmount} as amount
    from told where ${firstAmount} > 0
    union all select shop_id, seq, 2, currency, money, 'receivable', amount
    from told where amount > 0 and (type = 'payment.captured' or type = 'order.confirmed' and provider = 'none'))`

// Keys begin with the shop, so that a stretch of the ledger is read shop by shop.
const storedIn = (range: string): string => `
  select n.* from (select distinct shop_id from ledger.balances) shops
  cross join lateral (select * from ledger.entries n where n.shop_id = shops.shop_id and ${range}) n`

const differing = (booked: string, stored: string): string => `
  ${booked}, stored as materialized (${stored}), differing as (
    select shop_id, seq, line, coalesce(b.debit, s.debit) as debit, coalesce(b.credit, s.credit) as credit,
      coalesce(b.currency, s.currency) as currency, b.amount as expected, s.amount as actual
    from booked b full join stored s using (shop_id, seq, line)
    where (b.debit, b.credit, b.currency, b.amount) is distinct from (s.debit, s.credit, s.currency, s.amount))`
const inStretch = differing(bookedIn('e.seq > $1 and e.seq <= $2'), storedIn('n.seq > $1 and n.seq <= $2'))
const inFaults = differing(
  bookedIn('e.seq in (select seq from ledger.faults)'),
  'select n.* from ledger.faults f join ledger.entries n using (shop_id, seq)',
)

/** $1 < seq ≤ $2, and every fault of before: what the log books and what the ledger holds. */
export const entryDifferencesSql = {
  stretch: `with ${inStretch} select * from differing order by seq, line limit $3`,
  faults: `with ${inFaults} select * from differing order by seq, line limit $1`,
}

// Closing: sums by account and by order are carried over a stretch of the ledger that will not change any more. What is not as
// the log has it stays out, until it is: its sequence numbers are kept as faults.
export const lockClosedSql = 'select closed_seq from ledger.closed_position for update'
export const moveClosedSql = 'update ledger.closed_position set closed_seq = $1'
export const noteFaultsSql = `
  with ${inStretch} insert into ledger.faults (shop_id, seq) select distinct shop_id, seq from differing on conflict do nothing`

const sidesOf = (entries: string): string => `
  select shop_id, side.account, currency, sum(side.debit) as debit, sum(side.credit) as credit
  from (select shop_id, debit, credit, currency, sum(amount) as amount from ${entries} group by 1, 2, 3, 4) pairs
  cross join lateral (values (pairs.debit, pairs.amount, 0), (pairs.credit, 0, pairs.amount)) side (account, debit, credit)
  group by 1, 2, 3`
const receivablesOf = (entries: string): string => `
  select shop_id, order_id, currency, case when debit = 'receivable' then amount else -amount end as receivable
  from ${entries} where debit = 'receivable' or credit = 'receivable'`
const closing = (entries: string): string => `
  entries as materialized (${entries}), accounts as (
    insert into ledger.closed as c (shop_id, account, currency, debit, credit)
    select shop_id, account, currency, sum(debit)::bigint, sum(credit)::bigint from (${sidesOf('entries')}) s group by 1, 2, 3
    on conflict (shop_id, account, currency) do update set debit = c.debit + excluded.debit, credit = c.credit + excluded.credit)
  insert into ledger.closed_orders as c (shop_id, order_id, currency, receivable)
  select shop_id, order_id, currency, sum(receivable)::bigint from (${receivablesOf('entries')}) r group by 1, 2, 3
  having sum(receivable) <> 0
  on conflict (shop_id, order_id, currency) do update set receivable = c.receivable + excluded.receivable`
/** $3: whether there are faults among them, which is not looked at one by one when there are none. */
export const closeStretchSql = `
  with ${closing(`
    select s.* from (${storedIn('n.seq > $1 and n.seq <= $2')}) s
    where not $3 or not exists (select from ledger.faults f where f.shop_id = s.shop_id and f.seq = s.seq)`)}`
/** Faults that are none any more, such as an event that was retried by hand, are closed as what they are. */
export const healFaultsSql = `
  with ${inFaults}, healed as (
    delete from ledger.faults f where not exists (
      select from differing d where d.shop_id = f.shop_id and d.seq = f.seq) returning shop_id, seq
  ), ${closing('select n.* from healed join ledger.entries n using (shop_id, seq)')}`
export const dropEvenOrdersSql = 'delete from ledger.closed_orders where receivable = 0'

// The comparison: one snapshot of what is closed, of what came since ($1: the closed seq), and of the faults.
export const standingSql = `
  select (select closed_seq from ledger.closed_position) as closed,
    coalesce((select max(seq) from runtime.consumers where name = 'ledger'), 0)::bigint as booked,
    coalesce((select sum(dead) from runtime.consumers where name = 'ledger'), 0)::bigint as dead`
const live = `live as materialized (
    ${storedIn('n.seq > $1')} union all select n.* from ledger.faults f join ledger.entries n using (shop_id, seq))`
export const accountsSql = `
  with ${live}, summed as (
    select shop_id, account, currency, sum(debit)::bigint as debit, sum(credit)::bigint as credit
    from (select * from ledger.closed union all ${sidesOf('live')}) s group by 1, 2, 3)
  select shop_id, account, currency, coalesce(s.debit, 0) as debit, coalesce(s.credit, 0) as credit,
    coalesce(b.debit, 0) as "balanceDebit", coalesce(b.credit, 0) as "balanceCredit"
  from summed s full join ledger.balances b using (shop_id, account, currency) order by 1, 3, 2`

const isUnderWay = `(s.status in ('pending', 'in_review')
  or exists (select from json_array_elements(s.life -> 'payments') p where p ->> 'status' in ('pending', 'requires_action', 'authorized'))
  or exists (select from json_array_elements(s.life -> 'refunds') r where r ->> 'status' <> 'refunded'))`

/** Orders that owe or are owed although nothing of theirs is under way; looks at `$4` that owe, after (`$2`, `$3`). */
export const unsettledSql = `
  with ${live}, owing as materialized (
    select shop_id, order_id, currency, sum(receivable)::bigint as receivable
    from (select * from ledger.closed_orders union all ${receivablesOf('live')}) r
    where (shop_id, order_id) > ($2::integer, $3::uuid)
    group by 1, 2, 3 having sum(receivable) <> 0 order by 1, 2 limit $4)
  select o.shop_id, o.order_id, o.currency, o.receivable, n.looked, n.last_shop, n.last_order
  from (select count(*) as looked, max(shop_id) as last_shop,
    (select order_id from owing order by shop_id desc, order_id desc limit 1) as last_order from owing) n
  left join (owing o left join orders.states s on s.shop_id = o.shop_id and s.id = o.order_id)
    on s.id is null or not ${isUnderWay}
  order by 1, 2 limit $5`

/** The keys of the next orders after (`$1`, `$2`). */
export const nextOrdersSql = `
  select shop_id, id from orders.states where (shop_id, id) > ($1::integer, $2::uuid) order by 1, 2 limit $3`
/** What the lives of orders say, against what is booked of them. Manual bookings are no part of a life. */
export const lifeDifferencesSql = `
  with told as materialized (
    select s.shop_id, s.id, o.document ->> 'currency' as currency, case when s.status in ('confirmed', 'completed')
        then (o.document ->> 'total')::bigint - coalesce((s.life ->> 'credited')::bigint, 0) else 0 end as sales,
      case when s.life is not null
        then (select coalesce(sum((p ->> 'captured')::bigint), 0) from json_array_elements(s.life -> 'payments') p)
        when o.document ->> 'provider' = 'none' then (o.document ->> 'total')::bigint else 0 end as captured,
      (select coalesce(sum((r ->> 'amount')::bigint), 0) from json_array_elements(s.life -> 'refunds') r
        where r ->> 'status' = 'refunded') as refunded,
      (select coalesce(sum((p ->> 'amount')::bigint), 0) from json_array_elements(s.life -> 'payments') p
        where p ->> 'status' = 'authorized') as authorized
    from unnest($1::integer[], $2::uuid[]) u (shop_id, id)
    join orders.states s on s.shop_id = u.shop_id and s.id = u.id
    join orders.orders o on o.shop_id = u.shop_id and o.id = u.id
  )
  select t.shop_id, t.id as order_id, t.currency, d.what, d.expected::bigint as expected, d.actual::bigint as actual
  from told t cross join lateral (
    select coalesce(sum(case when n.credit = 'sales' then n.amount when n.debit = 'sales' then -n.amount end), 0) as sales,
      coalesce(sum(n.amount) filter (where n.credit = 'receivable' and (n.debit = 'external' or n.debit like 'provider:%')), 0) as captured,
      coalesce(sum(n.amount) filter (where n.debit = 'receivable' and (n.credit = 'external' or n.credit like 'provider:%')), 0)
        - coalesce(sum(n.amount) filter (where n.debit like 'taken_back:%'), 0) as refunded,
      coalesce(sum(case when n.debit = 'authorizations' then -n.amount when n.credit = 'authorizations' then n.amount end), 0) as authorized
    from ledger.entries n where n.shop_id = t.shop_id and n.order_id = t.id) b
  cross join lateral (values ('sales', t.sales, b.sales), ('captured', t.captured, b.captured),
    ('refunded', t.refunded, b.refunded), ('authorized', t.authorized, b.authorized)) d (what, expected, actual)
  where d.expected <> d.actual order by 1, 2, 4`

/** Events of orders that the ledger has not read yet ($2: how far it has). */
export const behindSql = 'select distinct subject from runtime.events where subject = any ($1::text[]) and seq > $2'
/** Any order's subject, for the name of the cell in it. */
export const anySubjectSql = `select subject from runtime.events where subject >= 'ord_' and subject < 'ord\`' limit 1`

/** Money that moved by the log, and is not booked yet. */
export const unbookedSql = `
  select e.shop_id as "shopId", d.provider, d.currency,
    coalesce(sum(d.amount) filter (where e.type = 'payment.captured'), 0)::bigint as captured,
    (coalesce(sum(d.amount) filter (where e.type = 'payment.refunded'), 0) - coalesce(sum(d.taken_back), 0))::bigint as refunded
  from runtime.events e
  cross join lateral json_to_record(e.data) as d (amount bigint, taken_back bigint, currency text, provider text)
  where e.seq > $1 and e.type in ('payment.captured', 'payment.refunded', 'payment.refund_failed')
    and not exists (select from ledger.entries n where n.shop_id = e.shop_id and n.seq = e.seq)
  group by 1, 2, 3`
