// The statements of the ledger outside its audit: entries with their balances, what is booked by hand, and reads.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { KeyHashes } from '../../runtime/idempotency.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, textArray } from '../../runtime/pg-values.ts'
import type { Account, Balance, Booking, Entry, StoredEntry } from './types.ts'

// What stands already is left alone and moves no balance, so that a log that is read again changes nothing.
const addEntriesSql = `
  with fresh as (
    insert into ledger.entries (shop_id, seq, line, at, kind, order_id, payment_id, debit, credit, currency, amount)
    select shop_id, seq, line, to_timestamp(at / 1000) + (at % 1000) * interval '1 millisecond', kind, order_id, payment_id,
      debit, credit, currency, amount
    from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::bigint[], $5::text[], $6::uuid[], $7::uuid[], $8::text[],
      $9::text[], $10::text[], $11::bigint[])
      as e (shop_id, seq, line, at, kind, order_id, payment_id, debit, credit, currency, amount)
    on conflict do nothing returning shop_id, debit, credit, currency, amount
  ), moved as (
    select shop_id, account, currency, sum(debit)::bigint as debit, sum(credit)::bigint as credit from (
      select shop_id, debit as account, currency, amount as debit, 0 as credit from fresh
      union all select shop_id, credit, currency, 0, amount from fresh) sides group by 1, 2, 3 order by 1, 2, 3
  )
  insert into ledger.balances as b (shop_id, account, currency, debit, credit)
  select shop_id, account, currency, debit, credit from moved
  on conflict (shop_id, account, currency) do update set debit = b.debit + excluded.debit, credit = b.credit + excluded.credit`

export type NewEntry = Entry & { shopId: number; seq: number; at: Instant; kind: string }

export const addEntries = (session: Session, entries: readonly NewEntry[]) =>
  session.run(addEntriesSql, [
    bareArray(entries.map((one) => one.shopId)),
    bareArray(entries.map((one) => one.seq)),
    bareArray(entries.map((one) => one.line)),
    bareArray(entries.map((one) => one.at)),
    textArray(entries.map((one) => one.kind)),
    bareArray(entries.map((one) => one.orderId)),
    bareArray(entries.map((one) => one.paymentId ?? 'null')),
    textArray(entries.map((one) => one.debit)),
    textArray(entries.map((one) => one.credit)),
    textArray(entries.map((one) => one.currency)),
    bareArray(entries.map((one) => one.amount)),
  ])

const bookingColumns = 'shop_id, id, at, kind, order_id, owed_by, currency, amount, reason'
const keepBookingSql = `
  insert into ledger.bookings (hash, request, ${bookingColumns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
  on conflict do nothing returning id`
const findBookingSql = `select request, ${bookingColumns} from ledger.bookings where shop_id = $1 and hash = $2`

type BookingRecord = {
  request: string
  shop_id: ShopId
  id: Uuid
  at: Instant
  kind: Booking['kind']
  order_id: Uuid
  owed_by: Booking['owedBy']
  currency: Booking['currency']
  amount: Booking['amount']
  reason: string
}

/** True when it is kept under its key from now on; false when the key has been used. Waits for who uses it right now. */
export async function keepBooking(session: Session, key: KeyHashes, booking: Booking): Promise<boolean> {
  const { shopId, id, at, kind, orderId, owedBy, currency, amount, reason } = booking
  const values = [shopId, id, at, kind, orderId, owedBy, currency, amount, reason]
  return (await session.run(keepBookingSql, [key.hash, key.request, ...values])).length === 1
}

export async function findBooking(
  session: Pick<Session, 'run'>,
  shopId: ShopId,
  hash: string,
): Promise<{ request: string; booking: Booking } | undefined> {
  const [record] = await session.run<BookingRecord>(findBookingSql, [shopId, hash])
  if (!record) return undefined
  const { request, shop_id, order_id, owed_by, ...rest } = record
  const booking = { ...rest, shopId: shop_id, orderId: order_id, owedBy: owed_by }
  return { request: request.replaceAll('-', ''), booking }
}

// Write-offs count from when they are asked for, entries from when they are booked; so the one that is asked for next sees both.
const lockOrderSql = 'select pg_advisory_xact_lock(hashtextextended($1, 4207002))'
const receivableSql = `
  select coalesce(sum(amount), 0)::bigint as receivable from (
    select case when debit = 'receivable' then amount else -amount end as amount from ledger.entries
    where shop_id = $1 and order_id = $2 and kind <> 'written_off' and (debit = 'receivable' or credit = 'receivable')
    union all
    select case owed_by when 'buyer' then -amount else amount end from ledger.bookings
    where shop_id = $1 and order_id = $2 and kind = 'written_off') parts`
const isBehindSql = `
  select exists (
    select from runtime.events where subject = $1 and shop_id = $2
      and seq > (select coalesce(max(seq), 0) from runtime.consumers where name = 'ledger')) as behind`

/** What the buyer owes (less than 0: what he is owed), locked against other write-offs; undefined while it is not all booked. */
export async function lockReceivable(
  session: Session,
  shopId: ShopId,
  orderId: Uuid,
  subject: string,
): Promise<number | undefined> {
  await session.run(lockOrderSql, [`${shopId} ${orderId}`])
  const [lag] = await session.run<{ behind: boolean }>(isBehindSql, [subject, shopId])
  const [sum] = await session.run<{ receivable: number }>(receivableSql, [shopId, orderId])
  return lag!.behind ? undefined : sum!.receivable
}

const readBalancesSql = `
  select account, currency, debit, credit, balance from ledger.balances
  where shop_id = $1 and ($2::text is null or currency = $2) order by currency, account`

export const readBalances = (database: Pick<Database, 'query'>, shopId: ShopId, currency: string | null) =>
  database.query<Balance>(readBalancesSql, [shopId, currency])

export type EntryFilter = { orderId: Uuid | null; account: Account | null }
export type EntryKey = { seq: number; line: number }

const entryColumns = 'seq, line, at, kind, order_id, payment_id, debit, credit, currency, amount'
const ofOrderSql = `
  select ${entryColumns} from ledger.entries
  where shop_id = $1 and order_id = $4 and (seq, line) > ($2, $3) and ($5::text is null or debit = $5 or credit = $5)
  order by seq, line limit $6`
// An account's entries may be rare: a page looks at a bounded number of entries, and says how far it has come.
const scanSql = `
  with slice as materialized (
    select ${entryColumns} from ledger.entries where shop_id = $1 and (seq, line) > ($2, $3) order by seq, line limit $6
  )
  select found.*, null::bigint as scanned from (
    select * from slice where $4::text is null or debit = $4 or credit = $4 order by seq, line limit $5) found
  union all select last.*, (select count(*) from slice) from (select * from slice order by seq desc, line desc limit 1) last
  order by seq, line, scanned nulls first`

type EntryRecord = Omit<StoredEntry, 'orderId' | 'paymentId'> & {
  order_id: Uuid
  payment_id: Uuid | null
  /** Of the last one looked at, which is no entry of the page: how many were. */
  scanned?: number | null
}

const entryOf = ({ order_id, payment_id, scanned: _, ...rest }: EntryRecord): StoredEntry => ({
  ...rest,
  orderId: order_id,
  paymentId: payment_id,
})

/** Oldest first. `next` is where to go on; null when there was nothing more. */
export async function readEntries(
  database: Pick<Database, 'query'>,
  shopId: ShopId,
  { orderId, account }: EntryFilter,
  page: { after: EntryKey; limit: number; scan: number },
): Promise<{ entries: StoredEntry[]; next: EntryKey | null }> {
  const { after, limit, scan } = page
  if (orderId !== null) {
    const params = [shopId, after.seq, after.line, orderId, account, limit]
    const found = (await database.query<EntryRecord>(ofOrderSql, params)).map(entryOf)
    return { entries: found, next: found.length === limit ? found.at(-1)! : null }
  }
  const looked = account === null ? limit : scan
  const records = await database.query<EntryRecord>(scanSql, [shopId, after.seq, after.line, account, limit, looked])
  const last = records.find(({ scanned }) => typeof scanned === 'number')
  const found = records.filter((one) => one !== last).map(entryOf)
  if (found.length === limit) return { entries: found, next: found.at(-1)! }
  return { entries: found, next: last?.scanned === looked ? { seq: last.seq, line: last.line } : null }
}

const bookedSeqSql = `select coalesce(max(seq), 0)::bigint as seq from runtime.consumers where name = 'ledger'`

/** How far the ledger has read the log. */
export async function readBookedSeq(database: Pick<Database, 'query'>): Promise<number> {
  const [row] = await database.query<{ seq: number }>(bookedSeqSql)
  return row!.seq
}
