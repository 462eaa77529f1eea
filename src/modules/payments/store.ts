// SQL of operations: they come from the log, are leased to one process at a time, and go when the order knows the answer.
// Times that decide who may take a row are the database's, so that processes with different clocks agree on them.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import { gather } from '../../runtime/gather.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, textArray } from '../../runtime/pg-values.ts'
import type { Progress, TrackedOperation } from './decide.ts'
import type { Operation } from './types.ts'

const columns = `shop_id as "shopId", id, order_id as "orderId", payment_id as "paymentId", refund_id as "refundId", kind, provider,
  method, capture, amount, currency, reference, asked_at as "askedAt", state, tries, due_at as "nextAt"`

const insertSql = `
  insert into payments.operations (shop_id, id, order_id, payment_id, kind, provider, method, capture, amount, currency,
    reference, asked_at, state, tries, due_at)
  select shop_id, id, order_id, payment_id, kind, provider, method, capture, amount, currency, reference,
    to_timestamp(asked_at / 1000.0), state, tries, clock_timestamp() + due_in * interval '1 millisecond'
  from unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
    $10::text[], $11::text[], $12::bigint[], $13::text[], $14::int[], $15::bigint[])
    as new (shop_id, id, order_id, payment_id, kind, provider, method, capture, amount, currency, reference, asked_at, state,
      tries, due_in)
  on conflict do nothing returning id`

/** Answers the ids of those that were not there. `now` is what their `nextAt` was reckoned from. */
export async function insertOperations(
  session: Session,
  operations: readonly TrackedOperation[],
  now: Instant,
): Promise<Set<Uuid>> {
  const inserted = await session.run<{ id: Uuid }>(insertSql, [
    bareArray(operations.map(({ shopId }) => shopId)),
    bareArray(operations.map(({ id }) => id)),
    bareArray(operations.map(({ orderId }) => orderId)),
    bareArray(operations.map(({ paymentId }) => paymentId)),
    bareArray(operations.map(({ kind }) => kind)),
    textArray(operations.map(({ provider }) => provider)),
    textArray(operations.map(({ method }) => method)),
    bareArray(operations.map(({ capture }) => capture)),
    bareArray(operations.map(({ amount }) => amount)),
    bareArray(operations.map(({ currency }) => currency)),
    textArray(operations.map(({ reference }) => reference)),
    bareArray(operations.map(({ askedAt }) => askedAt)),
    bareArray(operations.map(({ state }) => state)),
    bareArray(operations.map(({ tries }) => tries)),
    bareArray(operations.map(({ nextAt }) => nextAt - now)),
  ])
  return new Set(inserted.map(({ id }) => id))
}

// Whoever has made it again has given it another id.
const insertTakenBackSql = `
  insert into payments.operations (shop_id, id, order_id, payment_id, refund_id, kind, provider, method, capture, amount, currency,
    reference, asked_at, state, tries, due_at, refused, last_error, dead_at)
  select $1, $2, $3, $4, $5, 'refund', $6, '', 'now', $7, $8, $9, clock_timestamp(), 'dead', 0, clock_timestamp(), true, $10,
    clock_timestamp()
  where not exists (select from payments.operations where shop_id = $1 and order_id = $3 and coalesce(refund_id, id) = $5)
  on conflict do nothing`

export const insertTakenBack = (session: Session, operation: Operation, error: string): Promise<unknown> => {
  const { shopId, id, orderId, paymentId, refundId, provider, amount, currency, reference } = operation
  const row = [shopId, id, orderId, paymentId, refundId ?? id, provider, amount, currency, reference, error]
  return session.run(insertTakenBackSql, row)
}

const dueSql = `
  select ${columns}, clock_timestamp() as now from payments.operations
  where provider = $1 and state <> 'dead' and due_at <= clock_timestamp()
  order by due_at limit $2 for update skip locked`

const leaseSql = `
  update payments.operations old set state = new.state, tries = new.tries,
    due_at = clock_timestamp() + new.due_in * interval '1 millisecond'
  from unnest($1::int[], $2::uuid[], $3::text[], $4::int[], $5::bigint[]) as new (shop_id, id, state, tries, due_in)
  where old.shop_id = new.shop_id and old.id = new.id`

export type DueOperation = TrackedOperation & { now: Instant }

async function leaseDue<T extends DueOperation>(
  database: Database,
  { provider, limit }: { provider: string; limit: number },
  plan: (due: DueOperation) => T,
): Promise<T[]> {
  return database.transaction(async (session) => {
    const due = await session.run<DueOperation>(dueSql, [provider, limit])
    if (due.length === 0) return []
    const planned = due.map(plan)
    await session.run(leaseSql, [
      bareArray(planned.map(({ shopId }) => shopId)),
      bareArray(planned.map(({ id }) => id)),
      bareArray(planned.map(({ state }) => state)),
      bareArray(planned.map(({ tries }) => tries)),
      bareArray(planned.map(({ nextAt, now }) => nextAt - now)),
    ])
    return planned
  })
}

const removeSql = `
  delete from payments.operations old using unnest($1::int[], $2::uuid[]) as gone (shop_id, id)
  where old.shop_id = gone.shop_id and old.id = gone.id`

type Key = { shopId: ShopId; id: Uuid }

/** Not worth a disk write of its own: a row that comes back after a crash is looked up, and told again what the order knows. */
async function removeOperations(database: Database, gone: readonly Key[]): Promise<void> {
  await database.transaction(async (session) => {
    const lazily = session.run('set local synchronous_commit = off')
    await session.run(removeSql, [bareArray(gone.map(({ shopId }) => shopId)), bareArray(gone.map(({ id }) => id))])
    await lazily
  })
}

// A row that another process has taken up since has more tries, and is left to that one.
const keepSql = `
  update payments.operations old set state = new.state, due_at = clock_timestamp() + new.due_in * interval '1 millisecond',
    reference = new.reference, last_error = coalesce(new.error, old.last_error, case when new.state = 'dead' then 'retries_exhausted' end), refused = new.refused,
    dead_at = case when new.state = 'dead' then clock_timestamp() end
  from unnest($1::int[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::bool[])
    as new (shop_id, id, state, tries, due_in, reference, error, refused)
  where old.shop_id = new.shop_id and old.id = new.id and old.tries = new.tries and old.state <> 'dead'`

/** What is done with an operation after its call. */
export type Book = {
  /** Its order knows the answer. */
  remove(operation: TrackedOperation): Promise<unknown>
  /** Somebody has to go on with it. */
  keep(kept: Kept): Promise<unknown>
  /** In any case, and last: neither of the others, if the order could not be told. */
  ended?(): void
}

/** Where operations stand that are not answered yet, for all processes together. */
export type OperationRows = Book & {
  /** Locks due operations that nobody else has locked, and leases them as `plan` says. */
  leaseDue<T extends DueOperation>(
    what: { provider: string; limit: number },
    plan: (due: DueOperation) => T,
  ): Promise<readonly T[]>
}

/** What many calls of one process leave behind becomes one statement. */
export function createOperationRows(database: Database): OperationRows {
  return {
    leaseDue: (what, plan) => leaseDue(database, what, plan),
    remove: gather(limits.operationsPerStatementMax, async (gone: readonly Key[]) => {
      await removeOperations(database, gone)
      return gone
    }),
    keep: gather(limits.operationsPerStatementMax, async (kept: readonly Kept[]) => {
      await keepOperations(database, kept)
      return kept
    }),
  }
}

export type Kept = {
  operation: Key & Pick<Operation, 'reference'> & Pick<Progress, 'state' | 'tries'>
  dueInMs: number
  error: string | null
  refused: boolean
}

async function keepOperations(database: Database, kept: readonly Kept[]): Promise<void> {
  await database.transaction((session) =>
    session.run(keepSql, [
      bareArray(kept.map(({ operation }) => operation.shopId)),
      bareArray(kept.map(({ operation }) => operation.id)),
      bareArray(kept.map(({ operation }) => operation.state)),
      bareArray(kept.map(({ operation }) => operation.tries)),
      bareArray(kept.map(({ dueInMs }) => dueInMs)),
      textArray(kept.map(({ operation }) => operation.reference)),
      textArray(kept.map(({ error }) => error)),
      bareArray(kept.map(({ refused }) => String(refused))),
    ]),
  )
}

const openOfOrdersSql = `
  select distinct payment_id as "paymentId" from payments.operations o
  join unnest($1::int[], $2::uuid[]) as wanted (shop_id, order_id) using (shop_id, order_id)
  where state <> 'dead'`

/** Payments of the orders that something is under way for. */
export async function paymentsUnderWay(
  database: Pick<Database, 'query'>,
  orders: readonly { shopId: ShopId; id: Uuid }[],
): Promise<Set<Uuid>> {
  const columns = [bareArray(orders.map(({ shopId }) => shopId)), bareArray(orders.map(({ id }) => id))]
  const rows = await database.query<{ paymentId: Uuid }>(openOfOrdersSql, columns)
  return new Set(rows.map(({ paymentId }) => paymentId))
}

const countsSql = `
  select count(*) filter (where state <> 'dead') as open, count(*) filter (where state = 'dead') as dead
  from payments.operations`

export async function countOperations(database: Pick<Database, 'query'>): Promise<{ open: number; dead: number }> {
  const [counts] = await database.query<{ open: number; dead: number }>(countsSql)
  return counts!
}

const strandSql = `
  update payments.operations set state = 'dead', dead_at = clock_timestamp(), last_error = 'provider_unknown'
  where state <> 'dead' and not provider = any ($1::text[]) and due_at < clock_timestamp() - $2 * interval '1 millisecond'`

/** Nobody will take up what is asked of a provider that is not there any more. */
export async function strandOperations(database: Database, known: readonly string[], afterMs: number): Promise<void> {
  await database.transaction((session) => session.run(strandSql, [textArray(known), afterMs]))
}

export type DeadRecord = Operation & {
  tries: number
  reason: string
  refused: boolean
  since: Instant
}

const deadColumns = `${columns}, refused, coalesce(last_error, 'unknown') as reason, dead_at as since`
const readDeadSql = `select ${deadColumns} from payments.operations where shop_id = $1 and id = $2 and state = 'dead'`
const readDeadPageSql = `
  select ${deadColumns} from payments.operations
  where shop_id = $1 and state = 'dead' and ($2::uuid is null or id > $2::uuid) order by id limit $3`

type Reader = Pick<Database, 'query'>

export async function readDead(database: Reader, shopId: ShopId, id: Uuid): Promise<DeadRecord | undefined> {
  return (await database.query<DeadRecord>(readDeadSql, [shopId, id]))[0]
}

export const readDeadPage = (
  database: Reader,
  shopId: ShopId,
  { after, limit }: { after: Uuid | null; limit: number },
): Promise<DeadRecord[]> => database.query<DeadRecord>(readDeadPageSql, [shopId, after, limit])

// Asked anew from now on. What was refused gets another key, since the old one answers as it did; of the rest it is not known
// what became of it, so that it is looked up first.
const retryDeadSql = `
  update payments.operations set id = case when refused then $3::uuid else id end,
    refund_id = case when kind = 'refund' then coalesce(refund_id, id) end,
    state = case when refused then 'unsent' else 'unknown' end,
    refused = false, tries = 0, dead_at = null, asked_at = clock_timestamp(), due_at = clock_timestamp()
  where shop_id = $1 and id = $2 and state = 'dead' returning id`

/** Answers the id that it has from now on. */
export async function retryDead(
  database: Pick<Database, 'transaction'>,
  { shopId, id }: Key,
  otherId: Uuid,
): Promise<Uuid | undefined> {
  const rows = await database.transaction((session) => session.run<{ id: Uuid }>(retryDeadSql, [shopId, id, otherId]))
  return rows[0]?.id
}

const lockDeadSql = `${readDeadSql} for update`
const dropDeadSql = `delete from payments.operations where shop_id = $1 and id = $2 and state = 'dead'`

/** Locks it, so that nobody opens it again meanwhile; removes it when `before` is done. False when there is no such one. */
export const dropDead = (
  database: Pick<Database, 'transaction'>,
  { shopId, id }: Key,
  before: (record: DeadRecord) => Promise<unknown>,
): Promise<boolean> =>
  database.transaction(async (session) => {
    const [record] = await session.run<DeadRecord>(lockDeadSql, [shopId, id])
    if (!record) return false
    await before(record)
    return (await session.run(dropDeadSql, [shopId, id])).count === 1
  })
