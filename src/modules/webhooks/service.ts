// The module as the cell uses it: it sleeps until there is an endpoint, so that a cell without webhooks pays nothing; then a
// consumer of the log writes deliveries, a sender sends them, and jobs wake those whose time has come.
import { type CellName, parseWireId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Bus, Consumption } from '../../runtime/bus.ts'
import { openExclusive } from '../../runtime/exclusive.ts'
import { lockPosition, storePosition } from '../../runtime/inbox.ts'
import { presentLife } from '../../runtime/incarnation.ts'
import { type Jobs, openJobs } from '../../runtime/jobs.ts'
import type { LogReader } from '../../runtime/logreader.ts'
import { openOutbound } from '../../runtime/outbound.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { webhookSignature } from '../../runtime/webhook-signature.ts'
import { type DrainDeps, wakeQueue } from './drain.ts'
import { inChunks } from './housekeeping.ts'
import { type Sender, type SenderDeps, startSender } from './sender.ts'
import { isAnyEndpoint, makeDeliveries, wakeDeliveries } from './store.ts'
import type { Delivery } from './types.ts'

const consumerName = 'webhooks'

/** Undefined for what is no endpoint of this cell. */
export function endpointIdOf(text: string, cell: CellName): Uuid | undefined {
  const id = parseWireId(text)
  return id && id.prefix === 'whe' && id.cell === cell ? id.uuid : undefined
}

/** `whd_<cell>_<event>_<endpoint>`: webhook-id, and the delivery's id in the API. */
export const deliveryIdOf = (
  cell: CellName,
  { eventId, endpointId }: Pick<Delivery, 'eventId' | 'endpointId'>,
): string => `${toWireId('whd', cell, eventId)}_${toWireId('whd', cell, endpointId).slice(-26)}`

/** Undefined when the text is no delivery of this cell. */
export function deliveryNameOf(text: string, cell: CellName): { eventId: Uuid; endpointId: Uuid } | undefined {
  const cut = text.lastIndexOf('_')
  const event = parseWireId(text.slice(0, cut))
  const endpoint = parseWireId(`whd_${cell}_${text.slice(cut + 1)}`)
  if (event?.prefix !== 'whd' || event.cell !== cell || !endpoint) return undefined
  return { eventId: event.uuid, endpointId: endpoint.uuid }
}

export type Webhooks = {
  /** In the transaction that makes an endpoint: from here on the log is consumed, if it was not before. */
  beginAt(session: Session): Promise<void>
  /** Looks at once for what to do: an endpoint was made, or a delivery asked for. */
  poke(): void
  stop(): Promise<void>
}

export type WebhooksDeps = Pick<SenderDeps, 'database' | 'clock' | 'chance' | 'bodyOf' | 'onAttempt'> & {
  cell: CellName
  bus: Pick<Bus, 'consume'>
  reader: Pick<LogReader, 'horizon' | 'lives'>
  /** Nothing is sent before. */
  thawed(signal: AbortSignal): Promise<void>
  /** Outside the development profile: public addresses only. */
  publicOnly: boolean
  onError: (error: unknown) => void
}

type Running = { consumption: Consumption; sender: Sender; stop(): Promise<void> }

export function startWebhooks(deps: WebhooksDeps): Webhooks {
  const { database, clock, reader, onError } = deps
  const stopping = new AbortController()
  let look = new AbortController()
  let running: Running | undefined

  const waiting = (async () => {
    while (!stopping.signal.aborted) {
      const found = await isAnyEndpoint(database).catch(onError)
      if (found) {
        await deps.thawed(stopping.signal)
        running = await run(deps, stopping.signal)
        return
      }
      await clock.sleep(limits.webhookWakeMs, AbortSignal.any([look.signal, stopping.signal]))
      look = new AbortController()
    }
  })()

  return {
    async beginAt(session) {
      if (await lockPosition(session, consumerName)) return
      await storePosition(session, consumerName, {
        incarnation: presentLife(reader.lives).incarnation,
        seq: reader.horizon,
      })
    },
    poke() {
      if (running) running.sender.poke()
      else look.abort()
    },
    async stop() {
      stopping.abort()
      await waiting
      await running?.stop()
    },
  }
}

async function run(deps: WebhooksDeps, signal: AbortSignal): Promise<Running | undefined> {
  const { database, clock, bus, cell, publicOnly, onError } = deps
  const jobs: Jobs = openJobs({
    database,
    clock,
    onError,
    handlers: { [wakeQueue]: (jobs) => wake(deps, jobs as { endpoint: Uuid }[], () => sender?.poke()) },
  })
  let sender: Sender | undefined
  const outbound = openOutbound({ publicOnly })
  const exclusive = openExclusive('holdfast.webhooks', () => database.openSession('webhooks'))
  const stopParts = async (): Promise<void> => {
    await Promise.race([sender?.stop(), clock.sleep(limits.webhookStopMsMax)])
    await outbound.close() // cuts off what takes longer; it is sent again by the next process
    await sender?.stop()
    await exclusive.close()
    await jobs.stop()
  }
  const isReady = await Promise.race([jobs.ready.then(() => true), aborted(signal).then(() => false)])
  if (!isReady) {
    await stopParts()
    return undefined
  }
  const drainDeps: Omit<DrainDeps, 'stopping'> = {
    ...deps,
    jobs,
    outbound,
    idOf: (delivery) => deliveryIdOf(cell, delivery),
    sign: webhookSignature,
  }
  sender = startSender({ ...drainDeps, database, exclusive, clock, onError })
  const consumption = bus.consume({
    name: consumerName,
    types: undefined,
    isRepeatable: true, // an event has one delivery to an endpoint
    apply: async (session, events) => void (await makeDeliveries(session, events)),
  })
  return {
    consumption,
    sender,
    async stop() {
      await consumption.stop()
      await stopParts()
    },
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )

async function wake(
  { database }: Pick<WebhooksDeps, 'database'>,
  jobs: readonly { endpoint: Uuid }[],
  poke: () => void,
): Promise<void> {
  const endpoints = [...new Set(jobs.map(({ endpoint }) => endpoint))]
  await inChunks((max) => database.transaction((session) => wakeDeliveries(session, endpoints, max)))
  poke()
}
