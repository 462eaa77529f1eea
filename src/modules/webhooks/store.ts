// The statements of endpoints, deliveries and attempts. Sets in, sets out: a statement a batch, however large that is.

import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import { eventColumns, type LogEvent } from '../../runtime/event-log.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, numberArray, textArray } from '../../runtime/pg-values.ts'
import type { Attempt, Delivery, DeliveryStatus, DisabledReason, Endpoint, Verdict } from './types.ts'

type Reader = Pick<Database, 'query'>

const endpointColumns = `e.shop_id as "shopId", e.id, e.url, to_json(e.types) as types, e.enabled, e.disabled_reason as "disabledReason",
  e.secret, e.old_secret as "oldSecret", e.old_secret_until as "oldSecretUntil", e.failing_since as "failingSince",
  e.created_at as "createdAt"`

const makeEndpointSql = `
  insert into webhooks.endpoints as e (shop_id, id, url, types, enabled, disabled_reason, secret, created_key, created_request)
  values ($1, $2, $3, $4::text[], $5, case when not $5 then 'asked' end, $6, $7, $8)
  on conflict (shop_id, created_key) do nothing returning ${endpointColumns}`
const lockSql = `select pg_advisory_xact_lock(hashtext('holdfast.webhook_endpoints'))`
const countEndpointsSql =
  'select count(*)::int as count from webhooks.endpoints where shop_id = $1 and deleted_at is null'
const endpointOfKeySql = `
  select ${endpointColumns}, e.created_request as "createdRequest", e.deleted_at is not null as "isDeleted" from webhooks.endpoints e
  where e.shop_id = $1 and e.created_key = $2`
const anyEndpointSql = 'select exists (select from webhooks.endpoints) as found'
const findEndpointSql = `select ${endpointColumns} from webhooks.endpoints e where e.shop_id = $1 and e.id = $2 and e.deleted_at is null`
const listEndpointsSql = `
  select ${endpointColumns} from webhooks.endpoints e
  where e.shop_id = $1 and e.deleted_at is null order by e.id desc`
const changeEndpointSql = `
  update webhooks.endpoints e set url = coalesce($3, e.url), types = coalesce($4::text[], e.types), enabled = coalesce($5::bool, e.enabled),
    disabled_reason = case when coalesce($5::bool, e.enabled) then null else coalesce(e.disabled_reason, 'asked') end,
    failing_since = case when $5::bool then null else e.failing_since end,
    told_since = case when $5::bool and not e.enabled then date_trunc('milliseconds', clock_timestamp()) else e.told_since end
  where e.shop_id = $1 and e.id = $2 and e.deleted_at is null returning ${endpointColumns}`
const deleteEndpointSql = `
  update webhooks.endpoints set deleted_at = clock_timestamp(), enabled = false, disabled_reason = coalesce(disabled_reason, 'asked')
  where shop_id = $1 and id = $2 and deleted_at is null`
const rotateSecretSql = `
  update webhooks.endpoints e set old_secret = e.secret, old_secret_until = $4, secret = $3, rotated_key = $5
  where e.shop_id = $1 and e.id = $2 and e.deleted_at is null and e.rotated_key is distinct from $5 returning ${endpointColumns}`

export type NewEndpoint = Pick<Endpoint, 'shopId' | 'id' | 'url' | 'types' | 'enabled' | 'secret'>
export type RequestKey = { hash: string; request: string }

export const makeEndpoint = (session: Session, one: NewEndpoint, key: RequestKey) =>
  session.run<Endpoint>(makeEndpointSql, [
    one.shopId,
    one.id,
    one.url,
    textArray(one.types),
    one.enabled,
    one.secret,
    key.hash,
    key.request,
  ])

/** Nobody else makes an endpoint until the transaction ends: neither the last that there is room for, nor the very first. */
export async function countEndpoints(session: Session, shopId: ShopId): Promise<number> {
  await session.run(lockSql)
  const [row] = await session.run<{ count: number }>(countEndpointsSql, [shopId])
  return row!.count
}

export const endpointOfKey = (session: Session, shopId: ShopId, hash: string) =>
  session.run<Endpoint & { createdRequest: string; isDeleted: boolean }>(endpointOfKeySql, [shopId, hash])

export async function isAnyEndpoint(database: Reader): Promise<boolean> {
  const [row] = await database.query<{ found: boolean }>(anyEndpointSql)
  return row!.found
}

export const findEndpoint = (database: Reader, shopId: ShopId, id: Uuid) =>
  database.query<Endpoint>(findEndpointSql, [shopId, id])

/** All of the shop's, newest first: there are few. */
export const listEndpoints = (database: Reader, shopId: ShopId) => database.query<Endpoint>(listEndpointsSql, [shopId])

export type EndpointChange = { url: string | null; types: string[] | null; enabled: boolean | null }

export const changeEndpoint = (session: Session, shopId: ShopId, id: Uuid, change: EndpointChange) =>
  session.run<Endpoint>(changeEndpointSql, [
    shopId,
    id,
    change.url,
    change.types && textArray(change.types),
    change.enabled,
  ])

export const deleteEndpoint = (session: Session, shopId: ShopId, id: Uuid) =>
  session.run(deleteEndpointSql, [shopId, id])

export const rotateSecret = (
  session: Session,
  at: { shopId: ShopId; id: Uuid },
  secret: { text: string; oldUntil: Instant; key: string },
) => session.run<Endpoint>(rotateSecretSql, [at.shopId, at.id, secret.text, toRfc3339(secret.oldUntil), secret.key])

const makeDeliveriesSql = `
  insert into webhooks.deliveries (shop_id, endpoint_id, event_id, type, subject, event_seq)
  select e.shop_id, e.id, event.id, event.type, event.subject, event.seq
  from unnest($1::int[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) event (shop_id, id, type, subject, seq, at)
  join webhooks.endpoints e on e.shop_id = event.shop_id and e.enabled
    and e.told_since <= to_timestamp(event.at / 1000) + (event.at % 1000) * interval '1 millisecond'
    and e.types && array[event.type, split_part(event.type, '.', 1) || '.*', '*']
  where to_timestamp(event.at / 1000) > clock_timestamp() - interval '${limits.webhookDaysKept} days'
  order by event.seq
  on conflict (event_id, endpoint_id) do nothing`

/**
 * One delivery for each event and each endpoint of its shop that wants it and was enabled when it happened. Older ones than are
 * kept are not made anew: a log that is read again must not send again what was forgotten.
 */
export const makeDeliveries = (session: Session, events: readonly LogEvent[]) =>
  session.run(makeDeliveriesSql, [
    bareArray(events.map(({ shopId }) => shopId)),
    bareArray(events.map(({ eventId }) => eventId)),
    textArray(events.map(({ type }) => type)),
    textArray(events.map(({ subject }) => subject)),
    bareArray(events.map(({ seq }) => seq)),
    bareArray(events.map(({ at }) => at)),
  ])

const makeTestSql = `
  insert into webhooks.deliveries (shop_id, endpoint_id, event_id, type, subject, body) values ($1, $2, $3, $4, $5, $6)
  on conflict (event_id, endpoint_id) do nothing`

export type TestDelivery = Pick<Delivery, 'shopId' | 'endpointId' | 'eventId' | 'type' | 'subject'> & { body: string }

export const makeTest = (session: Session, one: TestDelivery) =>
  session.run(makeTestSql, [one.shopId, one.endpointId, one.eventId, one.type, one.subject, one.body])

// An endpoint in a queue of its own: the index of ready deliveries is asked once for each, and is empty for most.
const readyEndpointsSql = `
  select ${endpointColumns} from webhooks.endpoints e
  where e.enabled and e.id <> all ($1::uuid[])
    and exists (select from webhooks.deliveries d where d.endpoint_id = e.id and d.state = 'ready')
  order by random() limit $2`

export const readyEndpoints = (database: Reader, without: readonly Uuid[], max: number) =>
  database.query<Endpoint>(readyEndpointsSql, [bareArray(without), max])

const deliveryColumns = `d.id, d.shop_id as "shopId", d.endpoint_id as "endpointId", d.event_id as "eventId", d.type, d.subject,
  d.event_seq as "eventSeq", d.body, d.state, d.attempts, d.tries, d.next_at as "nextAt", d.reason, d.created_at as "createdAt",
  d.updated_at as "updatedAt"`

const readySql = `
  select ${deliveryColumns} from webhooks.deliveries d
  where d.endpoint_id = $1 and d.state = 'ready' and d.id <> all ($2::bigint[]) order by d.id limit $3`

const eventsSql = `select ${eventColumns} from runtime.events where seq = any ($1::bigint[])`

/** With the event it stands for, null when that is no longer kept. */
export type Dated<T> = T & { event: LogEvent | null }

export async function readyDeliveries(database: Reader, endpointId: Uuid, without: readonly number[], max: number) {
  return withEvents(database, await database.query<Delivery>(readySql, [endpointId, bareArray(without), max]))
}

/** Not by a join: a plan that was made while the log was small would read all of it for ever. */
async function withEvents(database: Reader, found: readonly Delivery[]): Promise<Dated<Delivery>[]> {
  const seqs = found.flatMap(({ eventSeq }) => eventSeq ?? [])
  const events = seqs.length === 0 ? [] : await database.query<LogEvent>(eventsSql, [bareArray(seqs)])
  const bySeq = new Map(events.map((event) => [event.seq, event]))
  return found.map((delivery) => ({ ...delivery, event: bySeq.get(delivery.eventSeq ?? -1) ?? null }))
}

const addAttemptsSql = `
  insert into webhooks.attempts (endpoint_id, delivery_id, number, at, status, ms, answer, error)
  select $1, id, number, to_timestamp(at / 1000.0), status, ms, answer, error
  from unnest($2::bigint[], $3::int[], $4::bigint[], $5::int[], $6::int[], $7::text[], $8::text[]) a (id, number, at, status, ms, answer, error)
  on conflict (endpoint_id, delivery_id, number) do nothing`

// One that is dead by now, since its endpoint was disabled, may still turn out to be delivered. One that is neither ready nor
// that was settled by another process, while the session of this one was lost.
const settleSql = `
  update webhooks.deliveries d set attempts = d.attempts + $3, tries = d.tries + 1, updated_at = clock_timestamp(),
    state = case when d.state = 'dead' and $4 = 'waiting' then d.state else $4 end,
    reason = case when d.state = 'dead' and $4 = 'waiting' then d.reason else $6 end,
    next_at = case when d.state = 'dead' then null else to_timestamp($5::bigint / 1000.0) end
  where d.endpoint_id = $1 and d.id = any ($2::bigint[]) and (d.state = 'ready' or d.reason = 'endpoint_disabled')`

export type Settled = { delivery: Delivery; attempt: Attempt | null; verdict: Verdict }

/** A statement for each verdict, of which there are few. `attempt` is null for what could not even be sent. */
export async function settleDeliveries(session: Session, endpointId: Uuid, settled: readonly Settled[]): Promise<void> {
  const made = settled.filter((one): one is Settled & { attempt: Attempt } => one.attempt !== null)
  if (made.length > 0) {
    void session.run(addAttemptsSql, [
      endpointId,
      bareArray(made.map(({ delivery }) => delivery.id)),
      bareArray(made.map(({ delivery }) => delivery.attempts + 1)),
      bareArray(made.map(({ attempt }) => attempt.at)),
      numberArray(made.map(({ attempt }) => attempt.status)),
      bareArray(made.map(({ attempt }) => attempt.ms)),
      textArray(made.map(({ attempt }) => attempt.answer)),
      textArray(made.map(({ attempt }) => attempt.error)),
    ])
  }
  const groups = Map.groupBy(settled, ({ attempt, verdict }) => JSON.stringify([attempt === null, verdict]))
  await Promise.all([...groups.values()].map((group) => settleAlike(session, endpointId, group)))
}

function settleAlike(session: Session, endpointId: Uuid, group: readonly Settled[]) {
  const { attempt, verdict } = group[0]!
  return session.run(settleSql, [
    endpointId,
    bareArray(group.map(({ delivery }) => delivery.id)),
    attempt === null ? 0 : 1,
    verdict.state,
    verdict.state === 'waiting' ? verdict.nextAt : null,
    verdict.state === 'dead' ? verdict.reason : null,
  ])
}

const lockEndpointSql = `
  select failing_since as "failingSince", enabled from webhooks.endpoints where shop_id = $1 and id = $2 for update`
const markEndpointSql = `
  update webhooks.endpoints set failing_since = $3, enabled = enabled and $4::text is null,
    disabled_reason = case when enabled then $4 else disabled_reason end
  where shop_id = $1 and id = $2`

export const lockEndpoint = (session: Session, { shopId, id }: Pick<Endpoint, 'shopId' | 'id'>) =>
  session.run<Pick<Endpoint, 'failingSince' | 'enabled'>>(lockEndpointSql, [shopId, id])

export const markEndpoint = (
  session: Session,
  { shopId, id }: Pick<Endpoint, 'shopId' | 'id'>,
  { failingSince, disable }: { failingSince: Instant | null; disable: DisabledReason | null },
) => session.run(markEndpointSql, [shopId, id, failingSince === null ? null : toRfc3339(failingSince), disable])

const wakeSql = `
  update webhooks.deliveries set state = 'ready', next_at = null, updated_at = clock_timestamp()
  where ctid = any (array(
    select ctid from webhooks.deliveries
    where endpoint_id = any ($1::uuid[]) and state = 'waiting' and next_at <= clock_timestamp() limit $2 for update skip locked))`

/** Deliveries of these endpoints whose time has come are ready again; answers how many, at most `max`. */
export const wakeDeliveries = async (session: Session, endpoints: readonly Uuid[], max: number): Promise<number> =>
  (await session.run(wakeSql, [bareArray(endpoints), max])).count

const wakeOverdueSql = `
  update webhooks.deliveries set state = 'ready', next_at = null, updated_at = clock_timestamp()
  where ctid = any (array(
    select d.ctid from webhooks.endpoints e join webhooks.deliveries d on d.endpoint_id = e.id
    where d.state = 'waiting' and d.next_at < clock_timestamp() - interval '1 minute' limit $1 for update of d skip locked))`

/** Those that no job has woken in time; answers how many, at most `max`. */
export const wakeOverdue = async (session: Session, max: number): Promise<number> =>
  (await session.run(wakeOverdueSql, [max])).count

const buryDisabledSql = `
  update webhooks.deliveries set state = 'dead', reason = 'endpoint_disabled', next_at = null, updated_at = clock_timestamp()
  where ctid = any (array(
    select d.ctid from webhooks.endpoints e
    join webhooks.deliveries d on d.endpoint_id = e.id and d.state in ('ready', 'waiting')
    where not e.enabled limit $1 for update of d skip locked))`

/** What was still to be sent to endpoints that are not enabled is dead; answers how many, at most `max`. */
export const buryDisabled = async (session: Session, max: number): Promise<number> =>
  (await session.run(buryDisabledSql, [max])).count

const redeliverSql = `
  update webhooks.deliveries d set state = 'ready', tries = 0, next_at = null, reason = null, redelivered_key = coalesce($4, d.redelivered_key),
    updated_at = clock_timestamp()
  where d.shop_id = $1 and d.endpoint_id = $2 and d.event_id = $3 and ($4::text is null or d.redelivered_key is distinct from $4)
    and exists (select from webhooks.endpoints e where e.shop_id = $1 and e.id = $2 and e.enabled)`
const dropSql = `
  update webhooks.deliveries set state = 'dropped', reason = null, updated_at = clock_timestamp()
  where shop_id = $1 and endpoint_id = $2 and event_id = $3 and state = 'dead'`

export type DeliveryName = { shopId: ShopId; endpointId: Uuid; eventId: Uuid }

/** Ready again with all its tries, if its endpoint is enabled; a second request with the same key changes nothing. */
export const redeliver = (session: Session, { shopId, endpointId, eventId }: DeliveryName, key: string | null) =>
  session.run(redeliverSql, [shopId, endpointId, eventId, key])

/** It stays to be seen, and so that its event makes no other; it goes out again only when it is asked for. */
export const dropDead = (session: Session, { shopId, endpointId, eventId }: DeliveryName) =>
  session.run(dropSql, [shopId, endpointId, eventId])

const findDeliverySql = `
  select ${deliveryColumns} from webhooks.deliveries d where d.shop_id = $1 and d.endpoint_id = $2 and d.event_id = $3`

export async function findDelivery(
  database: Reader,
  { shopId, endpointId, eventId }: DeliveryName,
): Promise<Dated<Delivery> | undefined> {
  const found = await database.query<Delivery>(findDeliverySql, [shopId, endpointId, eventId])
  return (await withEvents(database, found))[0]
}

const attemptsSql = `
  select at, status, ms, answer, error from webhooks.attempts where endpoint_id = $1 and delivery_id = $2 order by number`

export const attemptsOf = (database: Reader, { endpointId, id }: Pick<Delivery, 'endpointId' | 'id'>) =>
  database.query<Attempt>(attemptsSql, [endpointId, id])

const states: Record<DeliveryStatus, string> = {
  pending: `d.state in ('ready', 'waiting')`,
  delivered: `d.state = 'delivered'`,
  dead: `d.state = 'dead'`,
  dropped: `d.state = 'dropped'`,
}

/** One page of each endpoint, of which the newest are taken: a shop has few endpoints. */
const listSql = (status: DeliveryStatus | null): string => `
  select ${deliveryColumns} from webhooks.endpoints e cross join lateral (
    select * from webhooks.deliveries d
    where d.endpoint_id = e.id and d.id < $3 and ($4::uuid is null or d.event_id = $4)${andState(status)}
    order by d.id desc limit $5
  ) d
  where e.shop_id = $1 and ($2::uuid is null or e.id = $2) order by d.id desc limit $5`

/** By the events of the subject, which are few. */
const listOfSubjectSql = (status: DeliveryStatus | null): string => `
  select ${deliveryColumns} from webhooks.deliveries d
  where d.event_id = any (array(select event_id from runtime.events where subject = $6)) and d.shop_id = $1
    and ($2::uuid is null or d.endpoint_id = $2) and d.id < $3 and ($4::uuid is null or d.event_id = $4)${andState(status)}
  order by d.id desc limit $5`

const andState = (status: DeliveryStatus | null): string => (status ? ` and ${states[status]}` : '')

export type DeliveryFilter = {
  endpointId: Uuid | null
  eventId: Uuid | null
  /** Of the events. */
  subject: string | null
  status: DeliveryStatus | null
}

export function listDeliveries(
  database: Reader,
  shopId: ShopId,
  { endpointId, eventId, subject, status }: DeliveryFilter,
  page: { beforeId: number; limit: number },
): Promise<Delivery[]> {
  const params = [shopId, endpointId, page.beforeId, eventId, page.limit]
  return subject === null
    ? database.query<Delivery>(listSql(status), params)
    : database.query<Delivery>(listOfSubjectSql(status), [...params, subject])
}

const deadColumns = `${deliveryColumns}, (
    select coalesce(a.error, a.status::text) from webhooks.attempts a
    where a.endpoint_id = d.endpoint_id and a.delivery_id = d.id order by a.number desc limit 1
  ) as "lastAnswer"`
const listDeadSql = `
  select ${deadColumns} from webhooks.deliveries d
  where d.state = 'dead' and d.shop_id = $1 and ($2::bigint is null or d.id < $2) order by d.id desc limit $3`
const findDeadSql = `
  select ${deadColumns} from webhooks.deliveries d where d.shop_id = $1 and d.event_id = $2 and d.endpoint_id = $3 and d.state = 'dead'`

/** `lastAnswer`: the status of its last attempt, or the word for why there was none. */
export type DeadDelivery = Delivery & { lastAnswer: string | null }

export const listDead = (
  database: Reader,
  shopId: ShopId,
  { before, limit }: { before: number | null; limit: number },
) => database.query<DeadDelivery>(listDeadSql, [shopId, before, limit])

export const findDead = (database: Reader, { shopId, eventId, endpointId }: DeliveryName) =>
  database.query<DeadDelivery>(findDeadSql, [shopId, eventId, endpointId])

const countDeadSql = `
  select count(*)::int as dead from (select from webhooks.deliveries where state = 'dead' limit $1) as counted`

/** Of all shops, at most `max`. */
export async function countDead(database: Reader, max: number): Promise<number> {
  const [row] = await database.query<{ dead: number }>(countDeadSql, [max])
  return row!.dead
}

const trimSql = `
  with old as materialized (
    select d.endpoint_id, d.id from webhooks.endpoints e cross join lateral (
      select endpoint_id, id, created_at from webhooks.deliveries where endpoint_id = e.id order by id limit $2
    ) d where d.created_at < clock_timestamp() - $1 * interval '1 day' limit $2
  ), attempts as (
    delete from webhooks.attempts a using old where a.endpoint_id = old.endpoint_id and a.delivery_id = old.id
  )
  delete from webhooks.deliveries d using old where d.endpoint_id = old.endpoint_id and d.id = old.id`

/** Forgets the oldest deliveries; answers how many, at most `max`. */
export const trimDeliveries = async (session: Session, olderThanDays: number, max: number): Promise<number> =>
  (await session.run(trimSql, [olderThanDays, max])).count
