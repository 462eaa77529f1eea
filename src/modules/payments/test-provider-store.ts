// SQL of the test provider's own record. It is written in transactions of its own, so that it may know of a charge that we do
// not, as any provider does.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, jsonLines, numberArray, textArray } from '../../runtime/pg-values.ts'
import type { Answer } from './types.ts'

export type TestCharge = {
  shopId: ShopId
  paymentId: Uuid
  orderId: Uuid
  amount: MinorUnits
  currency: Currency
  capture: 'now' | 'later'
  captured: MinorUnits
  refunded: MinorUnits
  status: 'requires_action' | 'authorized' | 'captured' | 'refunded' | 'voided' | 'failed'
  error: string | null
  answersAt: Instant | null
}

export type ChargeKey = { shopId: ShopId; paymentId: Uuid }
type Read = Pick<Session, 'run'>['run']

const columns = `shop_id as "shopId", payment_id as "paymentId", order_id as "orderId", amount, currency, capture, captured,
  refunded, status, error, answers_at as "answersAt"`

const insertChargesSql = `
  insert into test_provider.charges (shop_id, payment_id, order_id, amount, currency, capture, captured, refunded, status, error,
    answers_at)
  select shop_id, payment_id, order_id, amount, currency, capture, captured, 0, status, error, to_timestamp(answers_at / 1000.0)
  from unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
    $10::bigint[]) as new (shop_id, payment_id, order_id, amount, currency, capture, captured, status, error, answers_at)
  order by payment_id
  on conflict do nothing returning payment_id as "paymentId"`

/** Answers the payments whose charge was not there. */
export async function insertCharges(session: Session, charges: readonly TestCharge[]): Promise<Set<Uuid>> {
  const rows = await session.run<{ paymentId: Uuid }>(insertChargesSql, [
    bareArray(charges.map(({ shopId }) => shopId)),
    bareArray(charges.map(({ paymentId }) => paymentId)),
    bareArray(charges.map(({ orderId }) => orderId)),
    bareArray(charges.map(({ amount }) => amount)),
    bareArray(charges.map(({ currency }) => currency)),
    bareArray(charges.map(({ capture }) => capture)),
    bareArray(charges.map(({ captured }) => captured)),
    bareArray(charges.map(({ status }) => status)),
    textArray(charges.map(({ error }) => error)),
    numberArray(charges.map(({ answersAt }) => answersAt)),
  ])
  return new Set(rows.map(({ paymentId }) => paymentId))
}

const readChargesSql = `
  select ${columns} from test_provider.charges
  join unnest($1::int[], $2::uuid[]) as wanted (shop_id, payment_id) using (shop_id, payment_id)`

const lockChargesSql = `
  select ${columns} from test_provider.charges
  where (shop_id, payment_id) in (select * from unnest($1::int[], $2::uuid[])) order by payment_id for update`

export const chargeName = ({ shopId, paymentId }: ChargeKey): string => `${shopId} ${paymentId}`

const keysOf = (keys: readonly ChargeKey[]) => [
  bareArray(keys.map(({ shopId }) => shopId)),
  bareArray(keys.map(({ paymentId }) => paymentId)),
]

const byName = (charges: readonly TestCharge[]): Map<string, TestCharge> =>
  new Map(charges.map((charge) => [chargeName(charge), charge]))

/** By `chargeName`. */
export const readCharges = async (read: Read, keys: readonly ChargeKey[]): Promise<Map<string, TestCharge>> =>
  byName(await read<TestCharge>(readChargesSql, keysOf(keys)))

export const lockCharges = async (session: Session, keys: readonly ChargeKey[]): Promise<Map<string, TestCharge>> =>
  byName(await session.run<TestCharge>(lockChargesSql, keysOf(keys)))

const updateChargesSql = `
  update test_provider.charges old set captured = new.captured, refunded = new.refunded, status = new.status
  from unnest($1::int[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[])
    as new (shop_id, payment_id, captured, refunded, status)
  where old.shop_id = new.shop_id and old.payment_id = new.payment_id`

export async function updateCharges(session: Session, charges: readonly TestCharge[]): Promise<void> {
  await session.run(updateChargesSql, [
    ...keysOf(charges),
    bareArray(charges.map(({ captured }) => captured)),
    bareArray(charges.map(({ refunded }) => refunded)),
    bareArray(charges.map(({ status }) => status)),
  ])
}

export type AnswerKey = { shopId: ShopId; id: Uuid }
export const answerName = ({ shopId, id }: AnswerKey): string => `${shopId} ${id}`

const readAnswersSql = `
  select shop_id as "shopId", key as id, answer from test_provider.answers
  join unnest($1::int[], $2::uuid[]) as wanted (shop_id, key) using (shop_id, key)`

/** By `answerName`. */
export async function readAnswers(read: Read, keys: readonly AnswerKey[]): Promise<Map<string, Answer>> {
  const columns = [bareArray(keys.map(({ shopId }) => shopId)), bareArray(keys.map(({ id }) => id))]
  const rows = await read<AnswerKey & { answer: Answer }>(readAnswersSql, columns)
  return new Map(rows.map((row) => [answerName(row), row.answer]))
}

const insertAnswersSql = `
  insert into test_provider.answers (shop_id, key, answer)
  select shop_id, key, answer::json
  from rows from (unnest($1::int[]), unnest($2::uuid[]), string_to_table($3, E'\\n')) as new (shop_id, key, answer)`

export async function insertAnswers(
  session: Session,
  answers: readonly (AnswerKey & { answer: Answer })[],
): Promise<void> {
  await session.run(insertAnswersSql, [
    bareArray(answers.map(({ shopId }) => shopId)),
    bareArray(answers.map(({ id }) => id)),
    jsonLines(answers.map(({ answer }) => JSON.stringify(answer))),
  ])
}

const countTriesSql = `
  insert into test_provider.tries as old (shop_id, key, count)
  select distinct shop_id, key, 1 from unnest($1::int[], $2::uuid[]) as new (shop_id, key)
  on conflict (shop_id, key) do update set count = old.count + 1
  returning shop_id as "shopId", key as id, count`

/** Counts a try of each key, and answers how many there were, by `answerName`. */
export async function countTries(session: Session, keys: readonly AnswerKey[]): Promise<Map<string, number>> {
  const columns = [bareArray(keys.map(({ shopId }) => shopId)), bareArray(keys.map(({ id }) => id))]
  const rows = await session.run<AnswerKey & { count: number }>(countTriesSql, columns)
  return new Map(rows.map((row) => [answerName(row), row.count]))
}

const chargesOfOrdersSql = `
  select ${columns} from test_provider.charges
  where (shop_id, order_id) in (select * from unnest($1::int[], $2::uuid[])) and status <> 'requires_action'
  order by payment_id`

const chargesAfterSql = `
  select ${columns} from test_provider.charges
  where shop_id = $1 and payment_id > $2::uuid and status <> 'requires_action' order by payment_id limit $3`

/** What it charged, or tried to, for orders. */
export async function chargesOfOrders(
  database: Pick<Database, 'query'>,
  orders: readonly { shopId: ShopId; orderId: Uuid }[],
): Promise<TestCharge[]> {
  return database.query<TestCharge>(chargesOfOrdersSql, [
    bareArray(orders.map(({ shopId }) => shopId)),
    bareArray(orders.map(({ orderId }) => orderId)),
  ])
}

/** All of a shop, in the order of payments, from one on. */
export const chargesAfter = (
  database: Pick<Database, 'query'>,
  { shopId, after, limit }: { shopId: ShopId; after: Uuid; limit: number },
): Promise<TestCharge[]> => database.query<TestCharge>(chargesAfterSql, [shopId, after, limit])
