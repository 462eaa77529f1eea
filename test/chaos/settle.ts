// Waits until nothing is open: every payment and every refund has its provider's last word, and the ledger has booked it.
import type { Client } from '../../sdk/src/client.ts'
import { limits } from '../../src/base/limits.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'

const settleMsMax = 10 * 60_000

type Given = {
  client: Client
  database: DatabaseUrl
  /**
   * Of a call that Stripe has not recorded, Stripe's provider waits two minutes, since it might still be on its way. A caller who
   * has killed every process that has sent one knows that none is, and lets that time pass by hand.
   */
  hurry: boolean
}

/** What is still open after a long while is left for the comparison to tell. */
export async function untilSettled({ client, database, hurry }: Given): Promise<void> {
  const sql = openSql(database, { max: 1 })
  const openCount = async () => {
    const [row] = await sql<{ count: number }[]>`
      select (select count(*) from payments.operations where state <> 'dead')::int
        + (select count(*) from orders.states where life::text ~ '"(status": *"pending|asked": *"[a-z]+)"')::int as count`
    return row!.count
  }
  const letTimePass = () => sql`
    update payments.operations set asked_at = now() - interval '1 ms' * ${limits.stripeUnderWayMsMax + 1_000}
    where provider = 'stripe' and state = 'unknown' and asked_at > now() - interval '1 ms' * ${limits.stripeUnderWayMsMax}`
  try {
    await eventually(async () => {
      if (hurry) await letTimePass()
      return (await openCount()) === 0
    }, settleMsMax).catch(() => undefined)
    await eventually(async () => (await client.audit({ fresh: true })).money.behind === 0, 30_000).catch(
      () => undefined,
    )
  } finally {
    await sql.end()
  }
}
