// The statements of Stripe's webhooks: which of its events have been taken in. An event is remembered after the order knows, so
// a crash in between takes it in twice, which changes nothing.
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'

const knownEventSql = 'select 1 as found from payments.stripe_events where id = $1'
const rememberEventSql = `
  insert into payments.stripe_events (id, type, received_at) values ($1, $2, $3) on conflict (id) do nothing`
const forgetEventsSql = `
  delete from payments.stripe_events
  where id in (select id from payments.stripe_events where received_at < $1 order by received_at limit $2)`

export async function isKnownEvent(database: Pick<Database, 'query'>, id: string): Promise<boolean> {
  return (await database.query(knownEventSql, [id])).length > 0
}

export async function rememberEvent(
  database: Pick<Database, 'transaction'>,
  event: { id: string; type: string; at: Instant },
): Promise<void> {
  await database.transaction((session) => session.run(rememberEventSql, [event.id, event.type, event.at]))
}

/** Events that Stripe will not send again. */
export async function forgetEvents(database: Pick<Database, 'transaction'>, before: Instant): Promise<void> {
  await database.transaction((session) => session.run(forgetEventsSql, [before, limits.stripeEventsForgottenMax]))
}
