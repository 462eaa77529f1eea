// The places where things are given up, each in the words of dead letters: operations of payments, deliveries of webhooks, and
// events that a consumer could not apply. The modules' own functions are handed in.
import type { CellName, ShopId, Uuid } from '../../base/ids.ts'
import { parseWireId, toWireId } from '../../base/ids.ts'
import { accepted, refused } from '../../base/result.ts'
import { toRfc3339 } from '../../base/time.ts'
import { askForRetry, type DeadEvent, dropDeadEvent, getDeadEvent, listDeadEvents } from '../../runtime/dead-events.ts'
import type { Database } from '../../runtime/pg.ts'
import type { DeadOperation, DeadOperations } from '../payments/service.ts'
import type { DeadLetter, DeadLetterSource } from './types.ts'

const isUuid = (text: string): text is Uuid => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
const isNumber = (text: string): boolean => /^\d{1,15}$/.test(text)

/** Ids like `operation:<uuid>`; undefined for any other. */
const prefixed = (prefix: string) => ({
  of: (uuid: Uuid): string => `${prefix}:${uuid}`,
  uuidOf(text: string): Uuid | undefined {
    const rest = text.slice(prefix.length + 1)
    return text.startsWith(`${prefix}:`) && isUuid(rest) ? rest : undefined
  },
})

/** Payments in wire form, whose ids payments keeps bare. */
export function operationSource(operations: DeadOperations, cell: CellName): DeadLetterSource {
  const ids = prefixed('operation')
  const letterOf = ({ id, kind, orderId, reason, tries, since, data }: DeadOperation): DeadLetter => ({
    id: ids.of(id),
    kind: 'payment_operation',
    orderId: toWireId('ord', cell, orderId),
    reason,
    tries,
    since,
    retryAskedAt: null,
    data: {
      ...data,
      operation: kind,
      payment_id: toWireId('pay', cell, data.payment_id),
      refund_id: data.refund_id && toWireId('rfd', cell, data.refund_id),
      asked_at: toRfc3339(data.asked_at),
    },
  })
  return {
    kind: 'payment_operation',
    owns: (id) => ids.uuidOf(id) !== undefined,
    isNext: isUuid,
    async list(shopId, { after, limit }) {
      const found = await operations.list(shopId, { after: after as Uuid | null, limit: limit + 1 })
      const shown = found.slice(0, limit)
      return { letters: shown.map(letterOf), next: found.length > limit ? shown.at(-1)!.id : null }
    },
    async get(shopId, id) {
      const found = await operations.get(shopId, ids.uuidOf(id)!)
      return found && letterOf(found)
    },
    async retry(shopId, id) {
      const now = await operations.retry(shopId, ids.uuidOf(id)!)
      return now === undefined ? refused('not_found') : accepted(ids.of(now))
    },
    drop: async (shopId, id) =>
      (await operations.drop(shopId, ids.uuidOf(id)!)) ? accepted(true as const) : refused('not_found'),
  }
}

/** As module webhooks tells of them: in wire form already, newest first. */
export type DeadDeliveries = {
  list(
    shopId: ShopId,
    page: { before: number | null; limit: number },
  ): Promise<(Omit<DeadLetter, 'kind' | 'retryAskedAt'> & { number: number })[]>
  get(shopId: ShopId, id: string): Promise<Omit<DeadLetter, 'kind' | 'retryAskedAt'> | undefined>
  retry(shopId: ShopId, id: string): Promise<boolean>
  drop(shopId: ShopId, id: string): Promise<boolean>
}

export function deliverySource(deliveries: DeadDeliveries): DeadLetterSource {
  type Delivery = NonNullable<Awaited<ReturnType<DeadDeliveries['get']>>>
  const letterOf = ({ id, orderId, reason, tries, since, data }: Delivery): DeadLetter => ({
    id,
    kind: 'webhook_delivery',
    orderId,
    reason,
    tries,
    since,
    retryAskedAt: null,
    data,
  })
  return {
    kind: 'webhook_delivery',
    owns: (id) => id.startsWith('whd_'),
    isNext: isNumber,
    async list(shopId, { after, limit }) {
      const found = await deliveries.list(shopId, { before: after === null ? null : Number(after), limit: limit + 1 })
      const shown = found.slice(0, limit)
      return { letters: shown.map(letterOf), next: found.length > limit ? String(shown.at(-1)!.number) : null }
    },
    async get(shopId, id) {
      const found = await deliveries.get(shopId, id)
      return found && letterOf(found)
    },
    retry: async (shopId, id) => ((await deliveries.retry(shopId, id)) ? accepted(id) : refused('not_found')),
    drop: async (shopId, id) => ((await deliveries.drop(shopId, id)) ? accepted(true as const) : refused('not_found')),
  }
}

export function eventSource(database: Pick<Database, 'query' | 'transaction'>): DeadLetterSource {
  const ids = prefixed('event')
  const letterOf = (event: DeadEvent): DeadLetter => ({
    id: ids.of(event.id),
    kind: 'consumer_event',
    orderId: parseWireId(event.subject)?.prefix === 'ord' ? event.subject : null,
    reason: event.reason,
    tries: event.tries,
    since: event.since,
    retryAskedAt: event.retryAskedAt,
    data: {
      consumer: event.consumer,
      event_id: event.eventId,
      subject: event.subject,
      subjectversion: event.subjectVersion,
      type: event.type,
      time: toRfc3339(event.at),
      data: JSON.parse(event.data),
    },
  })
  return {
    kind: 'consumer_event',
    owns: (id) => ids.uuidOf(id) !== undefined,
    isNext: isNumber,
    async list(shopId, { after, limit }) {
      const found = await listDeadEvents(database, {
        shopId,
        before: after === null ? null : Number(after),
        limit: limit + 1,
      })
      const shown = found.slice(0, limit)
      return { letters: shown.map(letterOf), next: found.length > limit ? String(shown.at(-1)!.number) : null }
    },
    async get(shopId, id) {
      const found = await getDeadEvent(database, ids.uuidOf(id)!, shopId)
      return found && letterOf(found)
    },
    retry: async (shopId, id) =>
      (await askForRetry(database, ids.uuidOf(id)!, shopId)) ? accepted(id) : refused('not_found'),
    drop: (shopId, id) => dropDeadEvent(database, { id: ids.uuidOf(id)!, shopId }),
  }
}
