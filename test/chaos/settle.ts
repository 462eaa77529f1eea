// Waits until nothing is open: every payment and every refund has its provider's last word, and the ledger has booked it.
import type { Client } from '../../sdk/src/client.ts'
import { limits } from '../../src/base/limits.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'

const settleMsMax = 10 * 60_000
const hurriedMsMax = 100_000

type Given = {
  client: Client
  database: DatabaseUrl
  /**
   * Of a call that Stripe has not recorded, Stripe's provider waits two minutes, since it might still be on its way; and what was
   * often asked after is asked after ever more seldom. A caller who has killed every process that has sent anything knows that
   * nothing is on its way, and lets that time pass by hand.
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
  // Nobody is at an operation that is due later than any lease ends.
  const letTimePass = async () => {
    await sql`
      update payments.operations set asked_at = now() - ${limits.stripeUnderWayMsMax + 1_000} * interval '1 ms'
      where provider = 'stripe' and state = 'unknown'
        and asked_at > now() - ${limits.stripeUnderWayMsMax} * interval '1 ms'`
    await sql`
      update payments.operations set due_at = now()
      where state <> 'dead' and due_at > now() + ${limits.operationLeaseMs + 1_000} * interval '1 ms'`
  }
  try {
    await eventually(
      async () => {
        if (hurry) await letTimePass()
        return (await openCount()) === 0
      },
      hurry ? hurriedMsMax : settleMsMax,
    ).catch(() => undefined)
    await eventually(async () => (await client.audit({ fresh: true })).money.behind === 0, 30_000).catch(
      () => undefined,
    )
  } finally {
    await sql.end()
  }
}
