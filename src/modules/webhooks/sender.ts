// Sends what is ready. One process at a time sends to an endpoint, many requests at once but one at a time of a subject, so
// that first attempts keep the order of a subject; what fails waits for its time and holds up nothing else. An outcome is
// stored after the request: whoever dies in between sends it again, under the same webhook-id.
import type { Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Exclusive, Held } from '../../runtime/exclusive.ts'
import type { Database } from '../../runtime/pg.ts'
import { type DrainDeps, drain } from './drain.ts'
import { readyEndpoints } from './store.ts'

export type Sender = {
  /** Looks for work sooner than by the poll. */
  poke(): void
  /** Resolves when nothing more is sent. What was in flight for too long is sent again by the next process. */
  stop(): Promise<void>
}

export type SenderDeps = Omit<DrainDeps, 'stopping'> & {
  database: Database
  exclusive: Exclusive
  clock: Clock
  onError: (error: unknown) => void
}

export function startSender(deps: SenderDeps): Sender {
  const { database, exclusive, clock, onError } = deps
  const stopping = new AbortController()
  const draining = new Map<Uuid, Promise<void>>()
  let look = new AbortController()

  async function begin(): Promise<void> {
    const room = limits.webhookEndpointsAtOnceMax - draining.size
    if (room <= 0) return
    const found = new Map((await readyEndpoints(database, [...draining.keys()], room)).map((one) => [one.id, one]))
    for (const held of await exclusive.tryHold([...found.keys()])) {
      const endpoint = found.get(held.name as Uuid)!
      draining.set(
        endpoint.id,
        send(endpoint.id, () => drain({ ...deps, stopping: stopping.signal }, endpoint, held), held),
      )
    }
  }

  async function send(id: Uuid, work: () => Promise<void>, held: Held): Promise<void> {
    try {
      await work()
    } catch (error) {
      onError(error)
      await clock.sleep(limits.consumerBackoffMsMax, stopping.signal) // the database is away, or it is a fault of ours
    } finally {
      await held.release().catch(onError)
      draining.delete(id)
    }
  }

  const looking = (async () => {
    while (!stopping.signal.aborted) {
      await begin().catch(onError)
      await clock.sleep(limits.webhookPollMs, AbortSignal.any([look.signal, stopping.signal]))
      look = new AbortController()
    }
  })()

  return {
    poke: () => look.abort(),
    async stop() {
      stopping.abort()
      await looking
      await Promise.all(draining.values())
    },
  }
}
