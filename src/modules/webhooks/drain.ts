// Sends all that is ready for one endpoint, until nothing is: a window of requests, refilled before it is empty, whose outcomes
// are stored together while the next are under way.
import { limits } from '../../base/limits.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { Held } from '../../runtime/exclusive.ts'
import type { Jobs } from '../../runtime/jobs.ts'
import type { Outbound, OutboundAnswer } from '../../runtime/outbound.ts'
import type { Database } from '../../runtime/pg.ts'
import { endpointAfter, isDelivered, verdictOf } from './decide.ts'
import { buryDisabledDeliveries } from './housekeeping.ts'
import {
  type Dated,
  findEndpoint,
  lockEndpoint,
  markEndpoint,
  readyDeliveries,
  type Settled,
  settleDeliveries,
} from './store.ts'
import type { Attempt, Delivery, Endpoint } from './types.ts'

/** The queue of the jobs that wake deliveries when their time has come. */
export const wakeQueue = 'webhooks'
export type WakeJob = { endpoint: string }

export type DrainDeps = {
  database: Pick<Database, 'query' | 'transaction'>
  jobs: Pick<Jobs, 'put'>
  outbound: Outbound
  clock: Clock
  /** Between 0 and 1. */
  chance: () => number
  /** The same text as GET /v1/events gives. */
  bodyOf: (event: LogEvent) => string
  /** `webhook-id`: the same for each attempt of a delivery. */
  idOf: (delivery: Pick<Delivery, 'eventId' | 'endpointId'>) => string
  sign: (secrets: readonly string[], message: { id: string; seconds: number; body: string }) => string
  /** `ms`: until the endpoint answered, or did not. */
  onAttempt: (outcome: 'delivered' | 'failed', ms: number) => void
  stopping: AbortSignal
}

type Ended = { delivery: Delivery; attempt: (Attempt & Pick<OutboundAnswer, 'retryAfterMs'>) | null }

export async function drain(deps: DrainDeps, first: Endpoint, held: Pick<Held, 'isHeld'>): Promise<void> {
  const { database, clock, stopping } = deps
  const queue: Dated<Delivery>[] = []
  const parked = new Map<string, Dated<Delivery>[]>() // behind another of their subject; an empty list: that one is under way
  const taken = new Set<number>() // read, and not settled yet
  let endpoint = first
  let inFlight = 0
  let ended: Ended[] = []
  let settling: Promise<void> | undefined
  let fault: unknown
  let change = Promise.withResolvers<void>()

  const goesOn = (): boolean => !stopping.aborted && held.isHeld() && endpoint.enabled && fault === undefined

  async function refill(): Promise<number> {
    const [present] = await findEndpoint(database, first.shopId, first.id)
    endpoint = present ?? { ...endpoint, enabled: false }
    if (!endpoint.enabled) return 0
    const found = await readyDeliveries(database, first.id, [...taken], limits.webhookChunkMax)
    for (const delivery of found) taken.add(delivery.id)
    queue.push(...found)
    return found.length
  }

  function begin(): void {
    while (goesOn() && inFlight < limits.webhookInFlightMax && queue.length > 0) {
      const delivery = queue.shift()!
      const behind = parked.get(delivery.subject)
      if (behind) behind.push(delivery)
      else {
        parked.set(delivery.subject, [])
        void send(delivery)
      }
    }
  }

  async function send(delivery: Dated<Delivery>): Promise<void> {
    inFlight++
    const attempt = await attemptOf(deps, endpoint, delivery)
    inFlight--
    if (!(stopping.aborted && attempt?.status === null)) ended.push({ delivery, attempt }) // else it was cut off by us
    const next = parked.get(delivery.subject)!.shift()
    if (next && goesOn()) void send(next)
    else parked.delete(delivery.subject)
    begin()
    settling ??= settleAll()
    if (inFlight === 0 || queue.length < limits.webhookInFlightMax) change.resolve()
  }

  async function settleAll(): Promise<void> {
    try {
      while (ended.length > 0) {
        const batch = ended
        ended = []
        await settle(deps, endpoint, batch)
        for (const { delivery } of batch) taken.delete(delivery.id)
      }
    } catch (error) {
      fault = error ?? new Error('settling failed')
    }
    settling = undefined
    change.resolve()
  }

  for (let lookAt = 0; goesOn(); ) {
    const hasRoom = queue.length < limits.webhookInFlightMax && taken.size < 2 * limits.webhookChunkMax
    if (hasRoom && clock.elapsedMs() >= lookAt) {
      const found = await refill()
      if (found === 0 && inFlight === 0 && settling === undefined) break
      if (found === 0) lookAt = clock.elapsedMs() + limits.webhookPollMs
    }
    begin()
    const changed = change
    const woken = new AbortController()
    await Promise.race([changed.promise, clock.sleep(limits.webhookPollMs, woken.signal)])
    woken.abort()
    change = Promise.withResolvers()
  }
  while (inFlight > 0 || settling !== undefined) {
    await change.promise
    change = Promise.withResolvers()
  }
  if (fault !== undefined) throw fault
}

/** Null when there is nothing to send: the event is not kept any more. */
async function attemptOf(deps: DrainDeps, endpoint: Endpoint, delivery: Dated<Delivery>): Promise<Ended['attempt']> {
  const { clock, outbound, sign, idOf, bodyOf } = deps
  const body = delivery.body ?? (delivery.event && bodyOf(delivery.event))
  if (body === null) return null
  const at = clock.now()
  const startedAt = clock.elapsedMs()
  const seconds = Math.floor(at / 1000)
  const id = idOf(delivery)
  const { secret, oldSecret, oldSecretUntil } = endpoint
  const secrets = oldSecret !== null && oldSecretUntil! > at ? [secret, oldSecret] : [secret]
  const answer = await outbound.post({
    url: endpoint.url,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Holdfast',
      'webhook-id': id,
      'webhook-timestamp': String(seconds),
      'webhook-signature': sign(secrets, { id, seconds, body }),
    },
    body,
  })
  const ms = clock.elapsedMs() - startedAt
  deps.onAttempt(isDelivered(answer) ? 'delivered' : 'failed', ms)
  return { ...answer, at, ms: Math.round(ms) }
}

/** Stores what came of some attempts, when those that failed are due again, and what they say of the endpoint. */
async function settle(deps: DrainDeps, endpoint: Endpoint, ended: readonly Ended[]): Promise<void> {
  const { database, jobs, clock } = deps
  const [now, chance] = [clock.now(), deps.chance()] // one for all, so that those who failed together share a job
  const settled = ended.map(({ delivery, attempt }): Settled => {
    if (attempt === null) return { delivery, attempt, verdict: { state: 'dead', reason: 'event_gone' } }
    return { delivery, attempt, verdict: verdictOf(attempt, delivery.tries + 1, { now, chance }) }
  })
  const attempts = ended.flatMap(({ attempt }) => attempt ?? [])
  const dueAt = new Set(settled.flatMap(({ verdict }) => (verdict.state === 'waiting' ? [verdict.nextAt] : [])))
  const changesEndpoint = endpoint.failingSince !== null || !attempts.every(isDelivered)
  const disable = await database.transaction(async (session) => {
    const [locked] = changesEndpoint ? await lockEndpoint(session, endpoint) : []
    const after = locked && endpointAfter(attempts, locked.failingSince, now)
    if (after) await markEndpoint(session, endpoint, after)
    await settleDeliveries(session, endpoint.id, settled)
    const wake: WakeJob = { endpoint: endpoint.id }
    const wakes = [...dueAt].map((at) => ({ at, data: wake }))
    await jobs.put(session, wakeQueue, wakes)
    return after?.disable ?? null
  })
  if (disable !== null) await buryDisabledDeliveries(database)
}
