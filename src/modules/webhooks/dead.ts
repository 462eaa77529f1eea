// Deliveries that are tried no more, as dead letters: listed, looked at, sent again or dropped.
import { type CellName, parseWireId, type ShopId, toWireId } from '../../base/ids.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { deliveryIdOf, deliveryNameOf } from './service.ts'
import { type DeadDelivery, dropDead, findDead, listDead, redeliver } from './store.ts'

export type DeadLetter = {
  id: string
  /** Grows in the order of the log. */
  number: number
  kind: 'webhook_delivery'
  orderId: string | null
  reason: string
  tries: number
  since: Instant
  data: Record<string, unknown>
}

export type DeadLetters = {
  /** Of a shop, the newest first. */
  list(shopId: ShopId, page: { before: number | null; limit: number }): Promise<DeadLetter[]>
  get(shopId: ShopId, id: string): Promise<DeadLetter | undefined>
  /** Sent again, with all its tries. False when there is none, or its endpoint is not enabled. */
  retry(shopId: ShopId, id: string): Promise<boolean>
  drop(shopId: ShopId, id: string): Promise<boolean>
}

export function deadDeliveries(database: Pick<Database, 'query' | 'transaction'>, cell: CellName): DeadLetters {
  const letterOf = (one: DeadDelivery): DeadLetter => ({
    id: deliveryIdOf(cell, one),
    number: one.id,
    kind: 'webhook_delivery',
    orderId: parseWireId(one.subject)?.prefix === 'ord' ? one.subject : null,
    reason: one.reason!,
    tries: one.tries,
    since: one.updatedAt,
    data: {
      endpoint_id: toWireId('whe', cell, one.endpointId),
      event_id: one.eventId,
      type: one.type,
      subject: one.subject,
      attempts: one.attempts,
      last_answer: one.lastAnswer,
      created_at: toRfc3339(one.createdAt),
    },
  })
  const find = async (shopId: ShopId, id: string): Promise<DeadDelivery | undefined> => {
    const name = deliveryNameOf(id, cell)
    return name && (await findDead(database, { ...name, shopId }))[0]
  }
  const nameOf = (one: DeadDelivery) => ({ ...one, shopId: one.shopId as ShopId })
  return {
    list: async (shopId, page) => (await listDead(database, shopId, page)).map(letterOf),
    get: async (shopId, id) => {
      const found = await find(shopId, id)
      return found && letterOf(found)
    },
    retry: async (shopId, id) => {
      const found = await find(shopId, id)
      if (!found) return false
      return (await database.transaction((session) => redeliver(session, nameOf(found), null))).count > 0
    },
    drop: async (shopId, id) => {
      const found = await find(shopId, id)
      if (!found) return false
      return (await database.transaction((session) => dropDead(session, nameOf(found)))).count > 0
    },
  }
}
