// Dead letters of payments: operations that were given up, or that a provider refused although money is owed. They stand until
// somebody tries them again or drops them. Of one that is dropped its order is told, so that it waits for it no longer.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { randomUuid } from '../../runtime/random.ts'
import type { Settlement } from '../orders/types.ts'
import type { SubmitSettle } from './executor.ts'
import { type DeadRecord, dropDead, readDead, readDeadPage, retryDead } from './store.ts'
import type { OperationKind } from './types.ts'

export type DeadOperation = {
  id: Uuid
  kind: OperationKind
  orderId: Uuid
  reason: string
  tries: number
  since: Instant
  /** Ids are bare UUIDs. */
  data: {
    payment_id: Uuid
    refund_id: Uuid | null
    provider: string
    amount: number
    currency: string
    reference: string | null
    /** The provider has said that it will never do it under this key; a retry uses another one. */
    refused: boolean
    asked_at: Instant
  }
}

export type DeadOperations = ReturnType<typeof deadOperations>

export function deadOperations(database: Pick<Database, 'query' | 'transaction'>, submit: SubmitSettle) {
  return {
    /** By id; `after` is the last of the page before. */
    list: async (shopId: ShopId, page: { after: Uuid | null; limit: number }): Promise<DeadOperation[]> =>
      (await readDeadPage(database, shopId, page)).map(told),

    async get(shopId: ShopId, id: Uuid): Promise<DeadOperation | undefined> {
      const record = await readDead(database, shopId, id)
      return record && told(record)
    },

    /**
     * Opens it again, and answers its id: another one where the provider refused the old key. What may have been done is asked
     * after before it is sent. Undefined when there is no such dead operation.
     */
    retry: (shopId: ShopId, id: Uuid): Promise<Uuid | undefined> => retryDead(database, { shopId, id }, randomUuid()),

    /** Tells the order first, then forgets it. False when there is no such dead operation. */
    drop: (shopId: ShopId, id: Uuid): Promise<boolean> =>
      dropDead(database, { shopId, id }, async (record) => {
        const settlement = settlementOfDrop(record)
        if (settlement) await submit({ kind: 'settle', shopId, orderId: record.orderId, settlement })
      }),
  }
}

/** Of a refund the order knows already that it failed. */
const settlementOfDrop = ({ kind, paymentId }: DeadRecord): Settlement | null =>
  kind === 'refund' ? null : { of: 'payment', id: paymentId, says: 'given_up', operation: kind }

const told = (record: DeadRecord): DeadOperation => ({
  id: record.id,
  kind: record.kind,
  orderId: record.orderId,
  reason: record.reason,
  tries: record.tries,
  since: record.since,
  data: {
    payment_id: record.paymentId,
    refund_id: record.kind === 'refund' ? (record.refundId ?? record.id) : null,
    provider: record.provider,
    amount: record.amount,
    currency: record.currency,
    reference: record.reference,
    refused: record.refused,
    asked_at: record.askedAt,
  },
})
