// What is done now and then: deliveries are forgotten after their days, those of disabled endpoints are dead, and those that
// are overdue are woken, should the job that was to wake them be gone.
import { limits } from '../../base/limits.ts'
import type { Database } from '../../runtime/pg.ts'
import { buryDisabled, trimDeliveries, wakeOverdue } from './store.ts'

type Writer = Pick<Database, 'transaction'>

export async function keepDeliveries(database: Writer): Promise<void> {
  await buryDisabledDeliveries(database)
  await inChunks((max) => database.transaction((session) => wakeOverdue(session, max)))
  await inChunks((max) => database.transaction((session) => trimDeliveries(session, limits.webhookDaysKept, max)))
}

/** What was still to be sent to an endpoint that is disabled or deleted is dead. */
export const buryDisabledDeliveries = (database: Writer): Promise<void> =>
  inChunks((max) => database.transaction((session) => buryDisabled(session, max)))

/** Runs a statement that changes at most `max` rows until it changes fewer. */
export async function inChunks(work: (max: number) => Promise<number>): Promise<void> {
  while ((await work(limits.webhookChangesMax)) === limits.webhookChangesMax);
}
